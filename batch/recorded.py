"""A recorded fleet as arrays, and what was known of it at any hour: for backtests, where nothing may look ahead."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from models.daily import MAX_LOAD_PCT
from models.forecast import HISTORY_HOURS, HOURS, STARTS, Floats, History
from models.inside import HOUR_STEPS, profile_of
from models.minutes import HOUR_MIN, STEP_MIN, Minute

PROFILE_ALPHA = 0.25  # as `ingest.profile_alpha` is by default
STEP_S = STEP_MIN * 60

Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]
Number = TypeVar("Number", np.float32, np.uint8)


class Recorded(NamedTuple):
    """A fleet from minute `start`, a whole hour, on. steps: float32[n, 12 * h], 5-minute means, percent up to 100.

    counts: uint8[n, 12 * h], the samples behind each; hours, hour_counts: the same by hour, float32 and uint8[n, h].
    """

    ids: tuple[str, ...]
    start: Minute
    interval_min: int
    steps: Floats
    counts: Counts
    hours: Floats
    hour_counts: Counts

    @property
    def end(self) -> Minute:
        """The end of the last hour."""
        return self.start + int(self.hours.shape[1]) * HOUR_MIN

    def take(self, rows: Ints) -> Recorded:
        """Some of its VMs."""
        ids = tuple(self.ids[row] for row in rows)
        by_step, by_hour = (self.steps[rows], self.counts[rows]), (self.hours[rows], self.hour_counts[rows])
        return Recorded(ids, self.start, self.interval_min, *by_step, *by_hour)


class Samples(NamedTuple):
    """What a trace holds: vm (int64[s], an index into ids), ts_s (int64[s], epoch seconds), cpu (float32[s], %)."""

    ids: tuple[str, ...]
    interval_min: int
    vm: Ints
    ts_s: Ints
    cpu: Floats


def recorded(samples: Samples) -> Recorded:
    """The trace in 5-minute steps; a sample half a minute early or late still counts in its step (jitter)."""
    known = np.isfinite(samples.cpu)
    step = (samples.ts_s[known] + 30) // STEP_S
    first = int(step.min()) // HOUR_STEPS * HOUR_STEPS
    width = -(-(int(step.max()) + 1 - first) // HOUR_STEPS) * HOUR_STEPS
    cell = samples.vm[known] * width + step - first
    shape = (len(samples.ids), width)
    load = np.minimum(samples.cpu[known], MAX_LOAD_PCT)
    total = np.bincount(cell, load, shape[0] * width).reshape(shape).astype(np.float64)
    count: Ints = np.bincount(cell, minlength=shape[0] * width).reshape(shape)
    by_hour = (shape[0], -1, HOUR_STEPS)
    hour_total: Doubles = total.reshape(by_hour).sum(axis=2)
    hour_count: Ints = count.reshape(by_hour).sum(axis=2)
    return Recorded(
        samples.ids,
        first * STEP_MIN,
        samples.interval_min,
        _mean(total, count),
        np.minimum(count, 255).astype(np.uint8),
        _mean(hour_total, hour_count),
        np.minimum(hour_count, 255).astype(np.uint8),
    )


def history_at(fleet: Recorded, origin: Minute, hours: int = HISTORY_HOURS) -> History:
    """What was known at `origin`, a whole hour: the `hours` before it, and the day profile that they leave."""
    column = (origin - fleet.start) // HOUR_MIN
    mean, count = _last(fleet.hours, column, hours, np.nan), _last(fleet.hour_counts, column, hours, 0)
    steps = fleet.steps[:, max(0, column - hours) * HOUR_STEPS : column * HOUR_STEPS]
    shape, scale = profile_of(steps[:, -HISTORY_HOURS * HOUR_STEPS :], origin, PROFILE_ALPHA)
    there = count > 0
    first = np.where(there.any(axis=1), there.argmax(axis=1), hours)
    n = len(mean)
    return History(
        end=origin,
        mean=mean,
        count=np.where(np.isnan(mean), 0, count).astype(np.uint8),
        interval_min=np.full(n, fleet.interval_min, np.uint8),
        vcpus=np.full(n, np.nan, np.float32),
        kind=np.zeros(n, np.int32),
        host=np.full(n, -1, np.int32),
        created_at=origin - (hours - first.astype(np.int64)) * HOUR_MIN,
        timezones=("UTC",) * n,
        shape=shape,
        scale=scale,
    )


def came_after(fleet: Recorded, origin: Minute) -> tuple[Floats, Floats]:
    """What happened from `origin` on: float32[n, STARTS] by 5 minutes and float32[n, HOURS] by hour, NaN = gap."""
    column = (origin - fleet.start) // HOUR_MIN
    return _next(fleet.steps, column * HOUR_STEPS, STARTS), _next(fleet.hours, column, HOURS)


def _mean(total: Doubles, count: Ints) -> Floats:
    mean: Doubles = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean.astype(np.float32)


def _last(values: npt.NDArray[Number], column: int, width: int, blank: float) -> npt.NDArray[Number]:
    """The `width` columns before `column`; those before the record began are blank."""
    part = values[:, max(0, column - width) : column]
    return np.pad(part, ((0, 0), (width - part.shape[1], 0)), constant_values=blank)


def _next(values: Floats, column: int, width: int) -> Floats:
    part = values[:, column : column + width]
    return np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=np.float32(np.nan))
