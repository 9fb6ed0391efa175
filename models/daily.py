"""The arithmetic of days: a history cut into days that end with it, their profile, and the level's drift from it.

Days here are not calendar days: they end at the origin (`History.end`), so slot j of a day is the hour that begins
j hours after the day does, and the hour at lead k falls into slot k % 24 whatever the time zone.
"""

from __future__ import annotations

import numpy as np

from models.forecast import HOURS, Floats

DAY_HOURS = 24
PROFILE_DAYS = 14
MAX_LOAD_PCT = 100.0
DAY_DECAY = 0.95  # weight of a day against the day after it
LEVEL_DECAY = 0.8  # what is left of the level's drift one hour later
LEVEL_HOURS = 3
SLOT_OF_LEAD = np.arange(HOURS) % DAY_HOURS


def last_days(mean: Floats, days: int = PROFILE_DAYS) -> Floats:
    """The last `days` days of float32[n, h] hourly means: float32[n, days, 24], oldest first, clipped to 100 %.

    Hours before the history's first column are NaN, and so is what is not finite.
    """
    hours = days * DAY_HOURS
    known = np.minimum(mean[:, -hours:], np.float32(MAX_LOAD_PCT))
    known = np.where(np.isfinite(mean[:, -hours:]), known, np.float32(np.nan))
    padded = np.full((mean.shape[0], hours), np.nan, np.float32)
    padded[:, hours - known.shape[1] :] = known
    return padded.reshape(-1, days, DAY_HOURS)


def mean_known(values: Floats, axis: int) -> Floats:
    """Mean along `axis` of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    count = np.count_nonzero(known, axis=axis)
    total = np.where(known, values, np.float32(0)).sum(axis=axis, dtype=np.float32)
    mean = np.full(total.shape, np.nan, np.float32)
    np.divide(total, count, out=mean, where=count > 0, casting="same_kind")
    return mean


def quantile_known(values: Floats, q: float) -> Floats:
    """The q-quantile (the smallest value with at least a share q at or below it) along the last axis; NaN-aware."""
    count = np.count_nonzero(~np.isnan(values), axis=-1, keepdims=True)
    index = np.maximum(np.ceil(q * count).astype(np.int64) - 1, 0)
    quantile: Floats = np.take_along_axis(np.sort(values, axis=-1), index, axis=-1)[..., 0]
    return quantile


def day_profile(days: Floats) -> Floats:
    """Σ 0.95^age · day over what is known of float32[n, d, 24], divided by its weights: float32[n, 24].

    A slot never seen takes its neighbours' mean, weighted by half for each hour of distance; a VM without any known
    hour stays NaN.
    """
    weights = (DAY_DECAY ** np.arange(days.shape[1] - 1, -1, -1)).astype(np.float32)
    known = ~np.isnan(days)
    total = np.einsum("d,ndj->nj", weights, np.where(known, days, np.float32(0)))
    weight = np.einsum("d,ndj->nj", weights, known.astype(np.float32))
    return settle(total, weight)


def settle(total: Floats, weight: Floats) -> Floats:
    """total / weight, both float32[n, 24]; slots without weight from their neighbours (see `day_profile`)."""
    profile: Floats = np.divide(total, weight, out=np.full(total.shape, np.nan, np.float32), where=weight > 0)
    known = weight > 0
    holed = np.flatnonzero(known.any(axis=1) & ~known.all(axis=1))
    around = _around(total[holed]) / _around(weight[holed])
    profile[holed] = np.where(known[holed], profile[holed], around)
    return profile


def _around(values: Floats) -> Floats:
    """Each slot's neighbours in sum, half as much for each hour of distance: float32[n, 24]."""
    distance = np.abs(np.subtract.outer(np.arange(DAY_HOURS), np.arange(DAY_HOURS)))
    near = (0.5 ** np.minimum(distance, DAY_HOURS - distance)).astype(np.float32)
    around = np.zeros(values.shape, np.float32)
    for slot in range(DAY_HOURS):  # not BLAS: a VM's bytes must not depend on its place among the others
        around += values[:, slot, None] * near[slot]
    return around


def level_drift(last_hours: Floats, profile: Floats) -> Floats:
    """How far the last 3 hours (float32[n, 3]) stand above the profile's last 3: float32[n, 1]; 0 where unknown."""
    drift = mean_known(last_hours - profile[:, -LEVEL_HOURS:], axis=1)
    return np.where(np.isnan(drift), np.float32(0), drift)[:, None]


def drift_left(leads: int) -> Floats:
    """What is left of the level's drift at each lead: 0.8^(lead + 1), float32[leads]."""
    return (LEVEL_DECAY ** np.arange(1, leads + 1)).astype(np.float32)


def floor_forecast(days: Floats, profile: Floats) -> Floats:
    """The floor that every model must beat: day profile + level drift · 0.8^(lead + 1); float32[n, HOURS], percent."""
    drift = level_drift(days[:, -1, -LEVEL_HOURS:], profile)
    return profile[:, SLOT_OF_LEAD] + drift * drift_left(HOURS)
