"""History and calendar → X, one row a VM: the one function for training and serving.

Everything is known at `History.end`: no column looks past it. A gap stays NaN, which XGBoost takes as it is; so does
what is not finite. Loads are free of scale, in the VM's own spreads above its own level, because one VM idles at 1 %,
another works at 80 %, and one model serves both; level and spread themselves come beside them, as logarithms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.daily import (
    DAY_HOURS,
    LEVEL_HOURS,
    PROFILE_DAYS,
    SLOT_OF_LEAD,
    drift_left,
)
from models.forecast import HISTORY_HOURS, HOURS, Floats, History, take_vms
from models.minutes import DAY_MIN, EPOCH_WEEKDAY, HOUR_MIN, utc_offsets_min
from models.past import Past, mean_all, mean_of, past_of, profile_of_day, week_mean, week_std

WEEK_HOURS = 168
MOST_SPREADS = 20.0  # a VM that was idle for a week and now works is not 1,000 spreads away
DAYS = (  # one column a lead, 0 to 23, in spreads above the level
    "profile",
    "week_mean",
    "last_day",
    "day_before",
    "week_ago",
    "week_std",  # of the same hour over the last 7 days
)
SCALARS = (
    "level_log",  # of percent + 0.1
    "spread_log",
    "last_1h_spreads",
    "last_2h_spreads",  # the hour before the last one
    "last_3h_spreads",  # means of the last 3, 6 and 24 hours
    "last_6h_spreads",
    "last_1d_spreads",
    "trend_spreads",  # the last 7 days' mean over that of the 7 before
    "low_spreads",  # the quietest and the busiest hour of the last 7 days
    "high_spreads",
    "residual_spreads",  # how far the last 7 days' hours were from the profile, root of the mean square
    "over_1d_share",  # of the known hours that stood over the profile by more than that: is a bound too low of late?
    "over_7d_share",
    "variation",  # standard deviation of the last 7 days over the level
    "same_1h",  # autocorrelation of the hours at these lags
    "same_1d",
    "same_7d",
    "daily_power",  # share of the variance at the period of a day, and of half a day
    "half_daily_power",
    "inside_spreads",  # how far the load moves inside its hours, by the 5-minute profile
    "known_share",  # of the last 14 days' hours
    "data_coverage_7d",
    "age_h",  # of the life
    "vcpus",
    "quietest_h",  # hours to the profile's quietest
    "local_hour_h",  # of the first hour to come, in the VM's timezone
    "local_weekday",  # 0: Monday
    "host_spreads",  # the mean over the host's VMs, itself among them, of their last_3h_spreads
)
FEATURES = (*(f"{name}_{lead:02}h_spreads" for name in DAYS for lead in range(DAY_HOURS)), *SCALARS)
DAY_COLUMNS = len(DAYS) * DAY_HOURS
CHUNK_VMS = 512  # some megabytes stay in the cache

LAGS_H = {"same_1h": 1, "same_1d": DAY_HOURS, "same_7d": WEEK_HOURS}

_PERIODS_H = np.array([[24], [12]])
_ANGLES = 2 * np.pi * np.arange(DAY_HOURS) / _PERIODS_H
_WAVES = np.concatenate([np.cos(_ANGLES), np.sin(_ANGLES)]).astype(np.float32)  # [cos 24, cos 12, sin 24, sin 12]


class Seen(NamedTuple):
    """What is known of n VMs. X: float32[n, len(FEATURES)]; a VM without a known hour in 14 days is NaN in most of it.

    floor: float32[n, HOURS], percent: day profile + decayed drift of the level. level: float32[n], percent: mean of
    the day profile. spread: float32[n], percent: how far the level stands above the profile's quietest hour; never 0.
    """

    X: Floats
    floor: Floats
    level: Floats
    spread: Floats

    def take(self, rows: npt.NDArray[np.int64] | slice) -> Seen:
        """The same of some of the VMs."""
        return Seen(*(part[rows] for part in self))


def features(history: History) -> Seen:
    """What is known of the VMs of `history`, in their order; a VM's row depends on its own history and its host's."""
    n = len(history.mean)
    if n == 1:  # see `_chunks`
        return features(take_vms(history, np.array([0, 0]))).take(slice(0, 1))
    seen = Seen(
        np.empty((n, len(FEATURES)), np.float32), *(np.empty(shape, np.float32) for shape in ((n, HOURS), n, n))
    )
    for rows in _chunks(n):
        _fill(seen, history, rows)
    _calendar(seen.X, history)
    _hosts(seen.X, history)
    return seen


def _fill(seen: Seen, history: History, rows: slice) -> None:
    """Everything of these rows that their own loads say. Arrays here are hour-major: c VMs lie side by side."""
    past = past_of(history.mean[rows])
    profile = profile_of_day(past)
    level = mean_all(profile)
    spread = level - profile.min(axis=0) + np.float32(0.02) * level + np.float32(0.1)
    drift = np.nan_to_num(mean_of(past, slice(-LEVEL_HOURS, None), minus=profile[-LEVEL_HOURS:]))
    floor = profile[SLOT_OF_LEAD] + drift * drift_left(HOURS)[:, None]
    seen.floor[rows], seen.level[rows], seen.spread[rows] = floor.T, level, spread
    columns = np.empty((len(FEATURES), len(level)), np.float32)
    for k, values in enumerate((profile, *_days(past))):
        columns[k * DAY_HOURS : (k + 1) * DAY_HOURS] = _spreads(values, level, spread)
    columns[DAY_COLUMNS - DAY_HOURS : DAY_COLUMNS] = week_std(past.days()) / spread
    scalars = {
        **_levels(past, level, spread),
        **_residuals(past, profile, spread),
        **_rhythm(past),
        **_life(history, rows),
    }
    scalars["inside_spreads"] = mean_all(history.scale[rows].T) / spread
    scalars["quietest_h"] = np.where(np.isnan(level), np.float32(np.nan), profile.argmin(axis=0))
    for name, values in scalars.items():
        columns[DAY_COLUMNS + SCALARS.index(name)] = values
    seen.X[rows] = columns.T


def _spreads(values: Floats, level: Floats, spread: Floats) -> Floats:
    """Distance from the level in spreads, within -20 and 20."""
    return np.asarray(np.clip((values - level) / spread, -MOST_SPREADS, MOST_SPREADS))


def _days(past: Past) -> tuple[Floats, ...]:
    """week_mean, last_day, day_before and week_ago in percent: float32[24, c] each."""
    days = past.days()
    return week_mean(days), days.hours[-1], days.hours[-2], days.hours[-7]


def _levels(past: Past, level: Floats, spread: Floats) -> dict[str, Floats]:
    """Where the load stands lately: float32[c] each."""
    week = slice(-WEEK_HOURS, None)
    mean, before = mean_of(past, week), mean_of(past, slice(0, -WEEK_HOURS))
    moved = (past.filled[week] - np.nan_to_num(mean)) * past.known[week]
    count = np.maximum(past.known[week].sum(axis=0), 1)
    near = {
        "last_1h_spreads": past.hours[-1],
        "last_2h_spreads": past.hours[-2],
        "last_3h_spreads": mean_of(past, slice(-3, None)),
        "last_6h_spreads": mean_of(past, slice(-6, None)),
        "last_1d_spreads": mean_of(past, slice(-DAY_HOURS, None)),
        "low_spreads": np.fmin.reduce(past.hours[week]),
        "high_spreads": np.fmax.reduce(past.hours[week]),
    }
    return {
        **{name: _spreads(values, level, spread) for name, values in near.items()},
        "trend_spreads": np.clip((mean - before) / spread, -MOST_SPREADS, MOST_SPREADS),
        "level_log": np.log(level + np.float32(0.1)),
        "spread_log": np.log(spread),
        "variation": np.sqrt((moved * moved).sum(axis=0) / count) / (level + np.float32(0.1)),
    }


def _residuals(past: Past, profile: Floats, spread: Floats) -> dict[str, Floats]:
    """How the last 7 days went about the profile: float32[c] each."""
    days = past.days()
    known = days.known[-7:]
    over = (days.filled[-7:] - profile) * known
    count = known.sum(axis=(0, 1))
    rms = np.sqrt((over * over).sum(axis=(0, 1)) / np.maximum(count, 1))
    above = over > rms
    last = np.maximum(known[-1].sum(axis=0), 1)
    return {
        "residual_spreads": np.minimum(rms / spread, np.float32(MOST_SPREADS)),
        "over_1d_share": (above[-1].sum(axis=0) / last).astype(np.float32),
        "over_7d_share": (above.sum(axis=(0, 1)) / np.maximum(count, 1)).astype(np.float32),
    }


def _rhythm(past: Past) -> dict[str, Floats]:
    """How much the hours repeat: autocorrelation at lags, and the share of the variance at two periods; float32[c]."""
    moved = (past.filled - np.nan_to_num(mean_of(past, slice(None)))) * past.known
    power = (moved * moved).sum(axis=0) + np.float32(1e-3)
    same = {name: (moved[lag:] * moved[:-lag]).sum(axis=0) / power for name, lag in LAGS_H.items()}
    # The discrete Fourier transform at periods that divide the day needs only the sum of the days.
    day = moved.reshape(PROFILE_DAYS, DAY_HOURS, -1).sum(axis=0)
    waves = (day[None] * _WAVES[:, :, None]).sum(axis=1) ** 2
    share = (waves[:2] + waves[2:]) * np.float32(2 / HISTORY_HOURS) / power
    return {**same, "daily_power": share[0], "half_daily_power": share[1]}


def _life(history: History, rows: slice) -> dict[str, Floats]:
    """What the counts and the inventory say: float32[c] each."""
    expected = WEEK_HOURS * HOUR_MIN / history.interval_min[rows]
    came = history.count[rows, -WEEK_HOURS:].sum(axis=1, dtype=np.int64)
    known = np.count_nonzero(np.isfinite(history.mean[rows, -HISTORY_HOURS:]), axis=1)
    return {
        "known_share": (known / HISTORY_HOURS).astype(np.float32),
        "data_coverage_7d": np.minimum(came / expected, 1).astype(np.float32),
        "age_h": ((history.end - history.created_at[rows]) / HOUR_MIN).astype(np.float32),
        "vcpus": history.vcpus[rows],
    }


def _calendar(X: Floats, history: History) -> None:
    """Local hour and weekday of the first hour to come."""
    zones, zone_of_vm = np.unique(np.array(history.timezones, dtype=np.str_), return_inverse=True)
    first = np.array([history.end])
    local = np.array([(first + utc_offsets_min(str(zone), first))[0] for zone in zones], dtype=np.int64)[zone_of_vm]
    X[:, FEATURES.index("local_hour_h")] = local % DAY_MIN / HOUR_MIN
    X[:, FEATURES.index("local_weekday")] = (local // DAY_MIN + EPOCH_WEEKDAY) % 7


def _hosts(X: Floats, history: History) -> None:
    """The host's column, NaN where no host is known."""
    own = X[:, FEATURES.index("last_3h_spreads")]
    told = (history.host >= 0) & ~np.isnan(own)
    column = np.full(len(X), np.nan, np.float32)
    if told.any():
        total = np.bincount(history.host[told], weights=own[told])
        count = np.bincount(history.host[told])
        column[told] = (total / np.maximum(count, 1))[history.host[told]]
    X[:, FEATURES.index("host_spreads")] = column


def _chunks(n: int) -> Iterator[slice]:
    """Parts of nearly one size: numpy sums a lone column in another order than one of several, so none may be left."""
    parts = -(-n // CHUNK_VMS)
    return (slice(n * k // parts, n * (k + 1) // parts) for k in range(parts))
