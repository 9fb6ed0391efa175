"""The outlook beyond a record: what a VM usually does at that hour of that weekday, up to 7 days ahead.

A VM's weeks are few, so its own mean at an hour of a weekday is drawn to that of its workdays or weekend days at the
hour, and that to the hour's mean over all days, each as if by some more hours seen. Hour and weekday are local, in the
VM's timezone; time itself stays UTC epoch minutes, so both DST days come out right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.baseline import MIN_DAY_HOURS, margin_over
from models.daily import DAY_HOURS, MAX_LOAD_PCT, last_days, settle
from models.forecast import HOURS, Floats, History
from models.minutes import DAY_MIN, EPOCH_WEEKDAY, HOUR_MIN, Minute, utc_offsets_min

WEEK_HOURS = 7 * DAY_HOURS
OUTLOOK_HOURS = 6 * DAY_HOURS  # with the record's hours, 7 days are still promised at minute 59
OUTLOOK_DAYS = 28
PRIOR_KIND = np.float32(1)  # hours that the mean over all days counts for among workdays, or weekend days
PRIOR_WEEKDAY = np.float32(4)  # hours that the mean over workdays, or weekend days, counts for on one weekday
LEAST_KNOWN_HOURS = 4 * DAY_HOURS  # of a profile whose errors say how wrong this one may be
SATURDAY = 5

Ints = npt.NDArray[np.int64]


class Outlook(NamedTuple):
    """mean, p50, p90 of n VMs in the OUTLOOK_HOURS hours after a record's: float32[n, OUTLOOK_HOURS], percent.

    The record is the one made at the same `History.end`: hour j begins at end + (HOURS + j) * 60. p50 <= p90; both NaN
    where a VM has too little history for a day of its own.
    """

    mean: Floats
    p50: Floats
    p90: Floats

    def of(self, row: int) -> Outlook:
        """That of one VM: float32[OUTLOOK_HOURS] each."""
        return Outlook(*(values[row] for values in self))


def weekday_outlook(history: History) -> Outlook:
    """The outlook of the VMs of `history`, from up to OUTLOOK_DAYS days; NaN under 24 known hours.

    mean and p50 are the same. p90 adds what this very profile, asked a week before, missed in the week that came.
    """
    hours = last_days(history.mean, OUTLOOK_DAYS).reshape(len(history.mean), -1)
    mean = np.full((len(hours), OUTLOOK_HOURS), np.nan, np.float32)
    p90 = mean.copy()
    enough = np.count_nonzero(~np.isnan(hours), axis=1) >= MIN_DAY_HOURS
    zones = np.array(history.timezones, dtype=np.str_)
    for zone in np.unique(zones[enough]):
        rows = np.flatnonzero(enough & (zones == zone))
        slots = _local_slots(str(zone), history.end, hours.shape[1])
        mean[rows], p90[rows] = _outlook(hours[rows], slots)
    return Outlook(mean, mean.copy(), p90)


def _outlook(hours: Floats, slots: Ints) -> tuple[Floats, Floats]:
    """mean and p90 of VMs of one zone; `slots`: int64[h + HOURS + OUTLOOK_HOURS], local hour of the week of each."""
    known, ahead = slots[: hours.shape[1]], slots[hours.shape[1] + HOURS :]
    mean = _profile(hours, known)[:, ahead]
    margin = margin_over(_past_errors(hours, known), hours)[:, (HOURS + np.arange(OUTLOOK_HOURS)) % DAY_HOURS]
    return mean, np.clip(mean + margin, np.float32(0), np.float32(MAX_LOAD_PCT))


def _past_errors(hours: Floats, slots: Ints) -> Floats:
    """What the profile, asked 1, 2, ... weeks ago, missed in the week that came: float32[n, days, 24].

    NaN where it knew too little then to be a measure of what it knows now.
    """
    errors = []
    for origin in range(WEEK_HOURS, hours.shape[1], WEEK_HOURS):
        before, week = hours[:, :origin], slice(origin, origin + WEEK_HOURS)
        missed = hours[:, week] - _profile(before, slots[:origin])[:, slots[week]]
        knew = np.count_nonzero(~np.isnan(before), axis=1, keepdims=True) >= LEAST_KNOWN_HOURS
        errors.append(np.where(knew, missed, np.float32(np.nan)))
    return np.concatenate(errors, axis=1).reshape(len(hours), -1, DAY_HOURS)


def _profile(hours: Floats, slots: Ints) -> Floats:
    """Mean load at each local hour of the week: float32[n, 168] from float32[n, h] at `slots`, shrunk as above.

    An hour of the day that was never seen takes its neighbours'; a VM without any known hour stays NaN.
    """
    known = ~np.isnan(hours)
    of_hour = np.zeros((hours.shape[1], WEEK_HOURS), np.float32)
    of_hour[np.arange(hours.shape[1]), slots] = 1
    total = (np.where(known, hours, np.float32(0)) @ of_hour).reshape(-1, 7, DAY_HOURS)
    count = (known.astype(np.float32) @ of_hour).reshape(-1, 7, DAY_HOURS)
    usual = settle(total.sum(axis=1), count.sum(axis=1))[:, None]
    weekdays = np.empty_like(total)
    for days in (slice(0, SATURDAY), slice(SATURDAY, 7)):
        of_kind = _drawn(
            total[:, days].sum(axis=1, keepdims=True), count[:, days].sum(axis=1, keepdims=True), usual, PRIOR_KIND
        )
        weekdays[:, days] = _drawn(total[:, days], count[:, days], of_kind, PRIOR_WEEKDAY)
    return weekdays.reshape(-1, WEEK_HOURS)


def _drawn(total: Floats, count: Floats, prior: Floats, weight: np.float32) -> Floats:
    """The mean total / count, drawn to `prior` as if by `weight` more hours."""
    drawn: Floats = (total + weight * prior) / (count + weight)
    return drawn


def _local_slots(timezone: str, end: Minute, hours: int) -> Ints:
    """Local hour of the week (0: Monday 00:00) of the `hours` hours before `end` and of those ahead, in UTC's order."""
    minutes = end + HOUR_MIN * np.arange(-hours, HOURS + OUTLOOK_HOURS, dtype=np.int64)
    local = minutes + utc_offsets_min(timezone, minutes) + EPOCH_WEEKDAY * DAY_MIN
    return local // HOUR_MIN % WEEK_HOURS
