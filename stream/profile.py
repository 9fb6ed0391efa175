"""Upkeep of the day profile: how the load moves inside each hour of the UTC day, as far as it repeats itself.

Each closed hour's twelve 5-minute means go into an exponentially weighted mean of their distance from the hour's mean.
It starts at 0, so what came once weighs little and what comes each day grows to its full size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from models.fleet import SLOTS
from models.forecast import SHAPE_ONE
from models.inside import HOUR_STEPS, packed, updated
from models.minutes import DAY_MIN, HOUR_MIN
from stream.due import ClosedHour
from stream.stores.protocols import METRIC_CPU, ProfileRow, Series


def updated_profiles(series: Series, hours: Sequence[ClosedHour], alpha: float) -> list[ProfileRow]:
    """The profile rows of these closed hours, each hour of a block counted once however often it is replayed."""
    if not hours:
        return []
    wanted: dict[int, set[int]] = defaultdict(set)
    for closed in hours:
        wanted[closed.start % DAY_MIN // HOUR_MIN].add(closed.block)
    stored = (series.profiles(METRIC_CPU, sorted(blocks), hour) for hour, blocks in wanted.items())
    known = {(row.block, row.hour_of_day): row for rows in stored for row in rows}
    changed: dict[tuple[int, int], ProfileRow] = {}
    for closed in sorted(hours, key=lambda c: c.start):
        key = (closed.block, closed.start % DAY_MIN // HOUR_MIN)
        old = changed.get(key) or known.get(key)
        if old is None or closed.start >= old.through:
            changed[key] = _update(old, closed, key[1], alpha)
    return [changed[key] for key in sorted(changed)]


def _update(old: ProfileRow | None, closed: ClosedHour, hour_of_day: int, alpha: float) -> ProfileRow:
    distance = np.zeros((HOUR_STEPS, SLOTS), dtype=np.float32)
    if old is not None:
        distance += old.shape * (old.scale / SHAPE_ONE)
    shape, scale = packed(updated(distance, closed.steps, closed.hour.mean, alpha))
    return ProfileRow(closed.block, hour_of_day, closed.start + HOUR_MIN, shape, scale)
