"""Rolling origins: each method says which windows it would choose, and then it is told what came.

A method sees `Asked` and nothing else. It answers with the first 5-minute step of the window that it chooses for each
VM, NO_START where it can say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batch.recorded import Recorded, came_after, history_at
from models.forecast import HOURS, NO_START, STARTS, Floats, Forecaster, History, Rung
from models.inside import HOUR_STEPS
from models.judge import LEAST_KNOWN
from models.ladder import climb, state_of
from models.minutes import DAY_STEPS, HOUR_MIN, STEP_MIN, Minute
from models.quiet import default_starts
from models.records import pack

STALE_AFTER_MIN = 180

Ints = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]


class Asked(NamedTuple):
    """One origin. history: what was known, steps: the same in 5 minutes, float32[n, 14 days]; day_h: hours to look at.

    came: float32[n, STARTS], hours: float32[n, HOURS]: what happened, for the judge alone.
    """

    history: History
    steps: Floats
    day_h: int
    came: Floats
    hours: Floats


Method = Callable[[Asked, int, bool], Ints]  # of `minutes`, `whole_hours`: int64[n], first steps


def asked_at(fleet: Recorded, origin: Minute, day_h: int = 24) -> Asked:
    """The question at `origin`."""
    column = (origin - fleet.start) // STEP_MIN
    came, hours = came_after(fleet, origin)
    past = fleet.steps[:, max(0, column - 14 * DAY_STEPS) : column]
    past = np.pad(past, ((0, 0), (14 * DAY_STEPS - past.shape[1], 0)), constant_values=np.float32(np.nan))
    return Asked(history_at(fleet, origin), past, day_h, came, hours)


def served(history: History, forecasters: Sequence[Forecaster]) -> Records:
    """The records that the forecast step would have stored of this history (`models.records`)."""
    state = state_of(history)
    return pack(history, state, climb(history, forecasters, state, history.end, STALE_AFTER_MIN))


def starts_of(records: Records, minutes: int, day_h: int, *, whole_hours: bool) -> Ints:
    """The default window of each record, of `minutes`, within `day_h` hours: int64[n] steps, NO_START for none."""
    steps = minutes // STEP_MIN
    allowed = np.ones(STARTS, np.bool_)
    if whole_hours:
        allowed[:] = np.arange(STARTS) % HOUR_STEPS == 0
    best = default_starts(records["quiet"], allowed, steps, 0, day_h * HOUR_STEPS).astype(np.int64)
    best[records["rung"] == Rung.REFUSED] = NO_START
    return best


class Loads(NamedTuple):
    """True loads of one length of window over n VM-days, float64[n], percent; NaN where the day does not count.

    chosen: by method; best, mean: the quietest window that there was, and the day's mean.
    """

    chosen: Mapping[str, npt.NDArray[np.float64]]
    best: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]


def loads_of(asked: Asked, starts: Mapping[str, Ints], minutes: int, *, whole_hours: bool) -> Loads:
    """What the chosen windows came to; the same VM-days count for every method.

    whole_hours: windows of an hour on the hour, judged by hourly means, all of the day known. Else any 5-minute start,
    95 % of the day's steps known, and those of every method's window; the best is of the windows that are known.
    """
    windows = _hours(asked) if whole_hours else _windows(asked, minutes)
    unit = HOUR_STEPS if whole_hours else 1
    n = len(windows)
    complete = np.ones(n, np.bool_)
    chosen = {}
    for name, first in starts.items():
        there = first != NO_START
        load = windows[np.arange(n), np.where(there, first // unit, 0)]
        chosen[name] = np.where(there, load, np.nan)
        complete &= ~np.isnan(chosen[name])
    day = asked.hours[:, : asked.day_h] if whole_hours else asked.came[:, : asked.day_h * HOUR_STEPS]
    known = ~np.isnan(day)
    complete &= known.mean(axis=1) >= (1.0 if whole_hours else LEAST_KNOWN)
    mean = np.where(known, day, 0).sum(axis=1, dtype=np.float64) / np.maximum(known.sum(axis=1), 1)
    best = np.fmin.reduce(windows, axis=1)
    blank = np.where(complete, 0.0, np.nan)
    return Loads({name: load + blank for name, load in chosen.items()}, best + blank, mean + blank)


def _hours(asked: Asked) -> npt.NDArray[np.float64]:
    return asked.hours[:, : asked.day_h].astype(np.float64)


def _windows(asked: Asked, minutes: int) -> npt.NDArray[np.float64]:
    """Mean load of the window from each step of the day on: float64[n, steps]; NaN where a step of it is a gap."""
    return window_means(asked.came[:, : asked.day_h * HOUR_STEPS].astype(np.float64), minutes // STEP_MIN)


def window_means(steps: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Mean of `width` steps from each on that leaves room for them: float64[n, steps - width + 1]; a gap is NaN."""
    slid = np.lib.stride_tricks.sliding_window_view(steps, width, axis=1)
    return np.asarray(slid.mean(axis=2))


def origins_between(first: Minute, last: Minute, step_h: int) -> Iterator[Minute]:
    """Origins from `first` on, `step_h` apart, whose record ends by `last`."""
    return iter(range(first, last - HOURS * HOUR_MIN + 1, step_h * HOUR_MIN))
