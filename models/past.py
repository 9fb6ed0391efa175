"""A fleet's last 14 days, hour-major: n VMs lie side by side, so that sums over hours run along the memory.

What is not known is NaN in the hours and 0 in the two arrays beside them, which sums go by.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.daily import DAY_DECAY, DAY_HOURS, PROFILE_DAYS, last_days, settle
from models.forecast import HISTORY_HOURS, Floats


class Past(NamedTuple):
    """float32[336, n] each, oldest hour first: the hours (NaN = gap), the same with 0 for a gap, and 1 where known."""

    hours: Floats
    filled: Floats
    known: Floats

    def days(self) -> Past:
        """The same as float32[14, 24, n]."""
        return Past(*(part.reshape(PROFILE_DAYS, DAY_HOURS, -1) for part in self))


def past_of(mean: Floats) -> Past:
    """The last 14 days of float32[n, h] hourly means in percent (see `daily.last_days`)."""
    hours = last_days(mean).reshape(-1, HISTORY_HOURS).T.copy()
    there = ~np.isnan(hours)
    return Past(hours, np.where(there, hours, np.float32(0)), there.astype(np.float32))


def profile_of_day(past: Past) -> Floats:
    """`daily.day_profile`: float32[24, n]."""
    days = past.days()
    total, weight = np.zeros_like(days.filled[0]), np.zeros_like(days.filled[0])
    for filled, known in zip(days.filled, days.known, strict=True):
        total *= np.float32(DAY_DECAY)
        total += filled
        weight *= np.float32(DAY_DECAY)
        weight += known
    if (weight == 0).any():
        return np.ascontiguousarray(settle(total.T, weight.T).T)  # or later sums would run in another order
    return np.asarray(total / weight)


def mean_all(values: Floats) -> Floats:
    """Mean over the first axis of what has no gap; a NaN stays one."""
    return np.asarray(values.sum(axis=0, dtype=np.float32) / np.float32(len(values)))


def mean_of(past: Past, hours: slice, minus: Floats | float = 0.0) -> Floats:
    """Mean over these hours of what is known, less `minus`: float32[n]; NaN where nothing is."""
    known = past.known[hours]
    count = known.sum(axis=0, dtype=np.float32)
    total = ((past.filled[hours] - minus) * known).sum(axis=0, dtype=np.float32)
    return _over(total, count)


def week_mean(days: Past) -> Floats:
    """Mean of each hour of the day over the last 7 days: float32[24, n], of the `Past.days`; NaN where unknown."""
    total, count = days.filled[-7:].sum(axis=0), days.known[-7:].sum(axis=0)
    return _over(total, count)


def week_std(days: Past) -> Floats:
    """Standard deviation of each hour of the day over the last 7 days: float32[24, n]; NaN where unknown."""
    mean = week_mean(days)
    moved = (days.filled[-7:] - np.nan_to_num(mean)) * days.known[-7:]
    count = days.known[-7:].sum(axis=0)
    return np.sqrt(_over((moved * moved).sum(axis=0), count))


def _over(total: Floats, count: Floats) -> Floats:
    """total / count, NaN where there is none."""
    mean: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean
