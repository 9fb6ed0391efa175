"""What anybody would try first: the plain rules that a forecast must beat, and forecasts of hours as methods.

Each is a `Method` of `rolling`: from what was known at an origin to the first step of the window that it would choose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from batch.rolling import Asked, Ints, Method, window_means
from models.daily import mean_known
from models.forecast import NO_START, Floats
from models.inside import HOUR_STEPS
from models.minutes import DAY_MIN, DAY_STEPS, HOUR_MIN, STEP_MIN, utc_offsets_min

NIGHT_MIN = 3 * HOUR_MIN  # 03:00 local: when maintenance is done by custom


def now(asked: Asked, minutes: int, whole_hours: bool) -> Ints:  # noqa: ARG001 (as Method asks)
    """At once."""
    return np.zeros(len(asked.steps), np.int64)


def at_night(asked: Asked, minutes: int, whole_hours: bool) -> Ints:
    """At the next 03:00 in the VM's timezone; where that does not fit into the day, at the day's last start."""
    end = asked.history.end
    zones = sorted(set(asked.history.timezones))
    offset = {zone: int(utc_offsets_min(zone, np.array([end], np.int64))[0]) for zone in zones}
    wait = np.array([(NIGHT_MIN - end - offset[zone]) % DAY_MIN for zone in asked.history.timezones], np.int64)
    unit = HOUR_STEPS if whole_hours else 1
    last = asked.day_h * HOUR_STEPS - minutes // STEP_MIN
    return np.minimum(wait // STEP_MIN // unit * unit, last // unit * unit)


def of_past_days(days: slice, asked: Asked, minutes: int, whole_hours: bool) -> Ints:
    """At the time of day that was quietest on the mean of these past days (the last is -1), in 5-minute steps."""
    past = asked.steps.reshape(len(asked.steps), -1, DAY_STEPS)[:, days]
    expected = mean_known(past, axis=1)[:, : asked.day_h * HOUR_STEPS]
    return quietest(expected, minutes, whole_hours)


def by_hours(forecast: Callable[[Asked], Floats], asked: Asked, minutes: int, whole_hours: bool) -> Ints:  # noqa: ARG001
    """At the hour that a forecast of hours, float32[n, 24 or more], says is quietest; a shorter window starts it."""
    expected = np.repeat(forecast(asked)[:, : asked.day_h], HOUR_STEPS, axis=1)
    return quietest(expected, max(minutes, HOUR_MIN), whole_hours=True)


def quietest(expected: Floats, minutes: int, whole_hours: bool) -> Ints:
    """First step of the quietest window, the earliest among equals; NO_START where no window is known."""
    means = window_means(expected.astype(np.float64), minutes // STEP_MIN)
    if whole_hours:
        means = np.where(np.arange(means.shape[1]) % HOUR_STEPS == 0, means, np.nan)
    there = ~np.isnan(means).all(axis=1)
    return np.where(there, np.where(np.isnan(means), np.inf, means).argmin(axis=1), NO_START)


RULES: Mapping[str, Method] = {
    "now": now,
    "03:00": at_night,
    "same hour yesterday": partial(of_past_days, slice(-1, None)),
    "same hour last week": partial(of_past_days, slice(-7, -6)),
    "hour-of-day mean 7 d": partial(of_past_days, slice(-7, None)),
    "hour-of-day mean 14 d": partial(of_past_days, slice(None)),
}


def oracle(asked: Asked, minutes: int, whole_hours: bool) -> npt.NDArray[np.int64]:
    """The best that there was; no method, for it looks at what came."""
    return quietest(asked.came[:, : asked.day_h * HOUR_STEPS], minutes, whole_hours)
