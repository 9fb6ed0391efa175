"""The forecasters that need no training: the rungs below the champion, and the peer that all must beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.daily import (
    DAY_DECAY,
    DAY_HOURS,
    LEVEL_HOURS,
    MAX_LOAD_PCT,
    SLOT_OF_LEAD,
    day_profile,
    drift_left,
    floor_forecast,
    last_days,
    level_drift,
    mean_known,
    quantile_known,
    settle,
)
from models.forecast import Floats, History, Prediction, Rung

MIN_DAY_HOURS = 24  # known hours from which a VM has a day profile of its own
PRIOR_HOURS = 48  # past errors that the spread of the hours counts for
PRIOR_DAYS = 14  # past errors of one slot that those of all slots count for
SMALL_PCT = 0.05  # keeps ratios of an idle VM or kind from blowing up
UNSEEN_MARGIN_PCT = np.float32(20)  # P90 above the level where nobody has shown a whole day yet

Bools = npt.NDArray[np.bool_]


def hour_of_day_mean(history: History) -> Floats:
    """The peer to beat: the plain mean of the same hour over the last 7 days; float32[n, HOURS], NaN where unknown."""
    return mean_known(last_days(history.mean, days=7), axis=1)[:, SLOT_OF_LEAD]


class HourOfDay:
    """Day profile (Σ 0.95^age · day) plus the decayed drift of the level: the floor, for 24 known hours and more.

    mean and p50 are the same. p90 adds what this very forecast missed on the VM's own past days.
    """

    def __init__(self) -> None:
        self.name = "hour-of-day"
        self.rung = Rung.HOUR_OF_DAY

    def predict(self, history: History) -> Prediction:
        """See `Forecaster`; NaN for VMs with fewer than 24 known hours in the last 14 days."""
        days = last_days(history.mean)
        days = np.where(_has_day(days)[:, None, None], days, np.float32(np.nan))
        mean = _to_load(floor_forecast(days, day_profile(days)))
        p90 = _to_load(mean + _margin(days)[:, SLOT_OF_LEAD])
        return Prediction(mean, mean.copy(), p90, mean.copy())


class KindProfile:
    """The level of a VM's last hours on the day profile of its kind (of the fleet, where its kind has none).

    The profile comes from the VMs of the same call that have a day of their own; without any, the day is flat.
    """

    def __init__(self) -> None:
        self.name = "kind"
        self.rung = Rung.KIND

    def predict(self, history: History) -> Prediction:
        """See `Forecaster`; NaN for VMs without a known hour in the last 24.

        The level is a factor on the kind's profile, so a VM idle at 0 stays there; p90 adds the kind's mean margin.
        """
        days = last_days(history.mean)
        shapes, margins = _kinds(days, history)
        last = days[:, -1]
        seen = mean_known(np.where(np.isnan(last), np.float32(np.nan), shapes), axis=1)
        level = (mean_known(last, axis=1) / seen)[:, None]
        mean = _to_load((level * shapes)[:, SLOT_OF_LEAD])
        return Prediction(mean, mean.copy(), _to_load(mean + margins[:, SLOT_OF_LEAD]), mean.copy())


def _to_load(values: Floats) -> Floats:
    return np.clip(values, np.float32(0), np.float32(MAX_LOAD_PCT))


def _has_day(days: Floats) -> Bools:
    enough: Bools = np.count_nonzero(~np.isnan(days), axis=(1, 2)) >= MIN_DAY_HOURS
    return enough


def _past_errors(days: Floats) -> Floats:
    """What the floor, asked at the start of each of the last 13 days, missed at leads 0 to 23: float32[n, 13, 24]."""
    errors = np.empty((len(days), days.shape[1] - 1, DAY_HOURS), np.float32)
    total = np.zeros((len(days), DAY_HOURS), np.float32)
    weight = np.zeros_like(total)
    for d in range(1, days.shape[1]):
        before = days[:, d - 1]
        known = ~np.isnan(before)
        total = np.float32(DAY_DECAY) * total + np.where(known, before, np.float32(0))
        weight = np.float32(DAY_DECAY) * weight + known
        profile = settle(total, weight)
        drift = level_drift(before[:, -LEVEL_HOURS:], profile)
        errors[:, d - 1] = days[:, d] - (profile + drift * drift_left(DAY_HOURS))
    return errors


def _margin(days: Floats) -> Floats:
    """How far the P90 stands above the floor in each slot: float32[n, 24], never negative."""
    return margin_over(_past_errors(days), days.reshape(len(days), -1))


def margin_over(errors: Floats, hours: Floats) -> Floats:
    """How far a P90 stands above a forecast in each slot of the day: float32[n, 24], never negative.

    errors: float32[n, d, 24], what the forecast missed on d past days; hours: float32[n, h], the loads. The
    0.9-quantile of the slot's own past errors, shrunk to that of all the VM's, itself shrunk to that of its hours
    around their own mean.
    """
    spread = quantile_known(hours - mean_known(hours, axis=1)[:, None], 0.9)
    of_vm = _shrunk(errors.reshape(len(errors), -1), spread, PRIOR_HOURS)
    of_slot = _shrunk(errors.swapaxes(1, 2), of_vm[:, None], PRIOR_DAYS)
    return np.maximum(of_slot, np.float32(0))


def _shrunk(errors: Floats, prior: Floats, weight: int) -> Floats:
    """The 0.9-quantile along the last axis, drawn to `prior` as if by `weight` more errors."""
    count = np.count_nonzero(~np.isnan(errors), axis=-1)
    own = np.where(count > 0, quantile_known(errors, 0.9), np.float32(0))
    shrunk: Floats = ((count * own + weight * prior) / (count + weight)).astype(np.float32)
    return shrunk


def _kinds(days: Floats, history: History) -> tuple[Floats, Floats]:
    """Each VM's kind's shape of the day (mean 1) and P90 margin in percent, by slot: float32[n, 24] each."""
    teaches = _has_day(days)
    if not teaches.any():
        shape = (len(days), DAY_HOURS)
        return np.ones(shape, np.float32), np.full(shape, UNSEEN_MARGIN_PCT)
    taught = days[teaches]
    learned = np.concatenate([day_profile(taught), _margin(taught)], axis=1)
    kinds, kind_of_vm = np.unique(history.kind, return_inverse=True)
    total = np.zeros((len(kinds), 2 * DAY_HOURS))
    np.add.at(total, kind_of_vm[teaches], learned)
    count = np.bincount(kind_of_vm[teaches], minlength=len(kinds))[:, None]
    table = np.where(count > 0, total / np.maximum(count, 1), learned.mean(axis=0))
    profiles, margins = table[:, :DAY_HOURS] + SMALL_PCT, table[:, DAY_HOURS:]
    shapes = profiles / profiles.mean(axis=1, keepdims=True)
    return shapes[kind_of_vm].astype(np.float32), margins[kind_of_vm].astype(np.float32)
