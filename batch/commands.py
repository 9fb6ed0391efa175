"""What the front door takes from this room: training on the hours that are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from batch.recorded import PROFILE_ALPHA
from batch.rolling import Asked
from batch.train import MOST_HELD_OUT_VMS, How, train_champion
from models.effort import Effort
from models.fleet import Vm, newest_lives
from models.forecast import STARTS, History, slice_history, take_vms
from models.inside import profile_of
from models.minutes import DAY_MIN, HOUR_MIN, STEP_MIN, Minute, Span
from models.objects import open_objects
from stream.stores.history import read_history, read_means
from stream.stores.open import Stores
from stream.stores.protocols import Series

TRAIN_HOURS = 24 * 28
PAST_DAYS = 14


def train_from_stores(
    stores: Stores, registry: str, effort: Effort, end: Minute, progress: Callable[[float, str], None]
) -> None:
    """Train on the 28 days before `end` and promote. BadInput as `train_champion`."""
    vms = newest_lives(stores.catalogue.lives())
    history = read_history(stores.series, vms, end, TRAIN_HOURS)
    how = How(effort, lambda origin: asked_from(stores.series, vms, history, origin))
    train_champion(history, open_objects(registry), how, progress)


def asked_from(series: Series, vms: Sequence[Vm], history: History, origin: Minute) -> Asked:
    """The question at `origin` of some 4,000 of the VMs."""
    rows = np.arange(0, len(vms), max(1, len(vms) // MOST_HELD_OUT_VMS))
    known = take_vms(slice_history(history, origin), rows)
    span = Span(origin - PAST_DAYS * DAY_MIN, origin + STARTS * STEP_MIN)
    steps, _ = read_means(series, [vms[row] for row in rows.tolist()], STEP_MIN, span)
    past, came = steps[:, :-STARTS], steps[:, -STARTS:]
    shape, scale = profile_of(past, origin, PROFILE_ALPHA)
    column = history.mean.shape[1] - (history.end - origin) // HOUR_MIN
    hours = history.mean[rows, column : column + STARTS // 12]
    return Asked(replace(known, shape=shape, scale=scale), past, DAY_MIN // HOUR_MIN, came, hours)
