"""What a round of ingest has stored, as others are told of it: closed hours, placed VMs, coverage."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from models.fleet import Placement, Vm
from models.minutes import HOUR_MIN, Minute
from stream.due import ClosedHour
from stream.events import HourClosed
from stream.unsaved import Changes


@dataclass(slots=True)
class Stored:
    """What was stored: hours that were stored for the first time, VMs that were placed anew, block rows.

    `placed`: messages of `stream.placements`, as a million VMs are many objects. `coverage`: share of the last closed
    hour's expected samples that came, of VMs that reported at all.
    """

    hours: list[HourClosed] = field(default_factory=list)
    placed: list[bytes] = field(default_factory=list)
    rows: int = 0
    coverage: float | None = None


def vms_of(changes: Changes) -> list[Vm]:
    """The changed lives with their placements."""
    placements: dict[tuple[str, Minute], list[Placement]] = defaultdict(list)
    for placement in changes.placements:
        placements[placement.vm_id, placement.created_at].append(placement)
    return [Vm(life, tuple(placements[life.vm_id, life.created_at])) for life in changes.lives]


def coverage_of(hours: list[ClosedHour], interval_min: int) -> float | None:
    """Share of the expected samples that came; None where no hour was closed."""
    came = sum(int(closed.hour.count.sum()) for closed in hours)
    vms = sum(int(np.count_nonzero(closed.hour.count)) for closed in hours)
    return came * interval_min / (vms * HOUR_MIN) if vms else None


def events_of(hours: list[ClosedHour]) -> list[HourClosed]:
    """One event an hour and partition."""
    blocks: dict[tuple[Minute, int], list[int]] = defaultdict(list)
    for closed in hours:
        blocks[closed.start, closed.part].append(closed.block)
    return [HourClosed(start, part, tuple(some)) for (start, part), some in sorted(blocks.items())]
