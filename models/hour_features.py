"""What teachers learn from: one row an hour to come, history and calendar as known at `History.end`.

Only training reads these. What serves learns from the teachers, from one row a VM (`features`), which costs a tenth.
A gap stays NaN. Levels come twice: in percent, and free of scale, in the VM's own spreads above its own level.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.daily import DAY_HOURS, PROFILE_DAYS, SLOT_OF_LEAD, day_profile, floor_forecast, last_days, mean_known
from models.features import MOST_SPREADS
from models.forecast import HOURS, Floats, History
from models.minutes import DAY_MIN, EPOCH_WEEKDAY, HOUR_MIN, utc_offsets_min

WEEK_HOURS = 168

LEVELS = (
    "floor_pct",  # day profile + decayed drift of the level
    "profile_pct",  # the day profile at the target hour, then around it
    "profile_2h_before_pct",
    "profile_1h_before_pct",
    "profile_1h_after_pct",
    "profile_2h_after_pct",
    "week_mean_pct",  # the same hour over the last 7 days
    "ago_1d_pct",  # the same hour of the last day (48 hours ago for leads over 23)
    "ago_2d_pct",
    "ago_7d_pct",
    "near_1d_pct",  # mean of the five hours around it
    "near_7d_pct",
    "last_1h_pct",
    "last_2h_pct",  # the hour before the last one
    "last_3h_mean_pct",
    "last_6h_mean_pct",
    "last_1d_mean_pct",
    "last_7d_mean_pct",
)
RANKED = ("profile", "floor", "week_mean", "ago_1d")
HOUR_FEATURES = (
    *LEVELS,
    *(name.replace("_pct", "_spreads") for name in LEVELS),  # (value - level) / spread
    *(name + "_rank" for name in RANKED),  # within the day, 0: the quietest hour, 1: the busiest
    "week_std_pct",  # the same hour's standard deviation over the last 7 days
    "week_std_spreads",
    "after_best_h",  # hours since the profile's quietest one, around the clock
    "lead_h",
    "local_hour_h",  # the target hour's start in the VM's timezone
    "local_weekday",  # 0: Monday
    "level_pct",  # mean of the day profile
    "spread_pct",  # how far the level stands above the profile's quietest hour; never 0
    "residual_spreads",  # of the last 7 days' hours from the profile, root of the mean square
    "over_1d_share",  # of the hours over the profile by more than that
    "over_7d_share",
    "variation",  # standard deviation of the last 7 days over the level
    "known_share",  # of the last 14 days' hours
    "vcpus",
)
SCALE_FREE = tuple(k for k, name in enumerate(HOUR_FEATURES) if not name.endswith("_pct") or name == "level_pct")


def hour_features(history: History) -> Floats:
    """float32[n, HOURS, len(HOUR_FEATURES)]; a VM without a known hour is NaN in most of it.

    Takes about 15 kB a VM while it runs: callers pass some 10,000 VMs at a time.
    """
    days = last_days(history.mean)
    profile = day_profile(days)
    level = profile.mean(axis=1, keepdims=True)
    spread = level - profile.min(axis=1, keepdims=True) + np.float32(0.02) * level + np.float32(0.1)
    levels = _levels(days, profile)
    week = days[:, -7:]
    week_std = _std_known(week, axis=1)[:, SLOT_OF_LEAD]
    columns = {
        **levels,
        **{name.replace("_pct", "_spreads"): (values - level) / spread for name, values in levels.items()},
        **{name + "_rank": _ranks(levels[name + "_pct"]) for name in RANKED},
        **_calendar(history),
        "week_std_pct": week_std,
        "week_std_spreads": week_std / spread,
        "after_best_h": (SLOT_OF_LEAD - profile.argmin(axis=1)[:, None]) % DAY_HOURS,
        "level_pct": level,
        "spread_pct": spread,
        "variation": _std_known(week.reshape(-1, WEEK_HOURS), axis=1)[:, None] / (level + np.float32(0.1)),
        **_residuals(week, profile, spread),
        "known_share": 1 - np.isnan(days).mean(axis=(1, 2), dtype=np.float32)[:, None],
        "vcpus": history.vcpus[:, None],
    }
    X = np.empty((len(days), HOURS, len(HOUR_FEATURES)), np.float32)
    for k, name in enumerate(HOUR_FEATURES):
        X[:, :, k] = columns[name]
    return X


def _levels(days: Floats, profile: Floats) -> dict[str, Floats]:
    """The columns of LEVELS, each float32[n, HOURS] or float32[n, 1], from float32[n, 14, 24] days."""
    hours = days.reshape(-1, PROFILE_DAYS * DAY_HOURS)
    leads = np.arange(HOURS)
    return {
        "floor_pct": floor_forecast(days, profile),
        "profile_pct": profile[:, SLOT_OF_LEAD],
        "profile_2h_before_pct": profile[:, (leads - 2) % DAY_HOURS],
        "profile_1h_before_pct": profile[:, (leads - 1) % DAY_HOURS],
        "profile_1h_after_pct": profile[:, (leads + 1) % DAY_HOURS],
        "profile_2h_after_pct": profile[:, (leads + 2) % DAY_HOURS],
        "week_mean_pct": mean_known(days[:, -7:], axis=1)[:, SLOT_OF_LEAD],
        "ago_1d_pct": days[:, -1, SLOT_OF_LEAD],
        "ago_2d_pct": days[:, -2, SLOT_OF_LEAD],
        "ago_7d_pct": hours[:, leads - WEEK_HOURS],
        "near_1d_pct": _around(hours, SLOT_OF_LEAD - DAY_HOURS),
        "near_7d_pct": _around(hours, leads - WEEK_HOURS),
        "last_1h_pct": hours[:, -1:],
        "last_2h_pct": hours[:, -2:-1],
        "last_3h_mean_pct": mean_known(hours[:, -3:], axis=1)[:, None],
        "last_6h_mean_pct": mean_known(hours[:, -6:], axis=1)[:, None],
        "last_1d_mean_pct": mean_known(hours[:, -DAY_HOURS:], axis=1)[:, None],
        "last_7d_mean_pct": mean_known(hours[:, -WEEK_HOURS:], axis=1)[:, None],
    }


def _around(hours: Floats, columns: npt.NDArray[np.int64]) -> Floats:
    """Mean of the five hours around each of `columns` (negative: from the end), none of them past the end."""
    five = columns[:, None] + np.arange(-2, 3)
    return mean_known(hours[:, np.minimum(five, -1)], axis=2)


def _std_known(values: Floats, axis: int) -> Floats:
    """Standard deviation along `axis` of what is not NaN; NaN where nothing is."""
    middle = np.expand_dims(mean_known(values, axis=axis), axis)
    return np.sqrt(mean_known((values - middle) ** 2, axis=axis))


def _residuals(week: Floats, profile: Floats, spread: Floats) -> dict[str, Floats]:
    """How the last 7 days went about the profile: float32[n, 1] each."""
    over = week - profile[:, None]
    rms = np.sqrt(mean_known((over * over).reshape(len(over), WEEK_HOURS), axis=1))[:, None]
    known = ~np.isnan(over)
    above = (over > rms[:, :, None]) & known
    return {
        "residual_spreads": np.minimum(rms / spread, np.float32(MOST_SPREADS)),
        "over_1d_share": (above[:, -1].sum(axis=1) / np.maximum(known[:, -1].sum(axis=1), 1)).astype(np.float32)[
            :, None
        ],
        "over_7d_share": (above.sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1)).astype(np.float32)[:, None],
    }


def _ranks(values: Floats) -> Floats:
    """Rank of each lead's slot within the day (the first 24 leads), 0 to 1; NaN where the value is a gap."""
    order = values[:, :DAY_HOURS].argsort(axis=1, kind="stable")
    ranks = np.empty(order.shape, np.float32)
    np.put_along_axis(ranks, order, np.float32(1 / (DAY_HOURS - 1)) * np.arange(DAY_HOURS, dtype=np.float32)[None], 1)
    return np.where(np.isnan(values), np.float32(np.nan), ranks[:, SLOT_OF_LEAD])


def _calendar(history: History) -> dict[str, npt.NDArray[np.float32]]:
    """Lead, and local hour and weekday of each target hour: float32[1, HOURS] and float32[n, HOURS]."""
    minutes = history.end + HOUR_MIN * np.arange(HOURS, dtype=np.int64)
    zones, zone_of_vm = np.unique(np.array(history.timezones, dtype=np.str_), return_inverse=True)
    local = np.array([minutes + utc_offsets_min(str(zone), minutes) for zone in zones], dtype=np.int64)
    local = local.reshape(-1, HOURS)[zone_of_vm]
    return {
        "lead_h": np.arange(HOURS, dtype=np.float32)[None],
        "local_hour_h": (local % DAY_MIN / HOUR_MIN).astype(np.float32),
        "local_weekday": ((local // DAY_MIN + EPOCH_WEEKDAY) % 7).astype(np.float32),
    }
