"""From a long history to what is learned: days of VMs at rolling origins, split by time only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.daily import MAX_LOAD_PCT
from models.errors import BadInput
from models.features import Seen, features
from models.forecast import HOURS, Floats, History, slice_history, take_vms
from models.hour_features import hour_features
from models.minutes import HOUR_MIN, Minute
from models.xgb_teachers import Lessons

ORIGIN_STEP_H = 5  # not a divisor of 24, so that the origins go round the clock
LEAST_HISTORY_H = 72
HELD_OUT_ORIGINS = 4  # of the held-out days, the last of which ends with the history
HELD_OUT_STEP_H = 7
WORN_SHARE = 0.25  # of the days are learned from as if less were known: VMs are young, and samples get lost
WORN_HISTORY_H = (24, 168)
WORN_GAPS = 0.3

Ints = npt.NDArray[np.int64]


class Known(NamedTuple):
    """What was known of n VMs at an origin, and what came.

    past: their histories; truth: float32[n, HOURS], percent up to 100, NaN = gap; vm: int64[n], which VM.
    """

    past: History
    seen: Seen
    truth: Floats
    vm: Ints


class Days(NamedTuple):
    """Days of VMs as they would have been asked at some origin, with what came.

    hour_X: float32[n, HOURS, len(HOUR_FEATURES)]; seen: of n VMs; truth: float32[n, HOURS], percent up to 100, NaN =
    gap; vm: int64[n], which VM.
    """

    hour_X: Floats  # noqa: N815 (X is a matrix)
    seen: Seen
    truth: Floats
    vm: Ints

    @property
    def lessons(self) -> Lessons:
        """What teachers learn from."""
        return Lessons(self.hour_X, self.truth, self.seen.floor, self.seen.spread)


class Origins(NamedTuple):
    """Minutes at which the past is asked. No target of `fit` reaches the first target of `held_out`."""

    fit: list[Minute]
    held_out: list[Minute]


def origins_of(history: History) -> Origins:
    """Where to ask. BadInput where there are fewer than three days before the first target."""
    known = np.flatnonzero((history.count > 0).any(axis=0))
    first = history.end - (history.mean.shape[1] - int(known[0]) if len(known) else 0) * HOUR_MIN
    steps = range(HELD_OUT_ORIGINS - 1, -1, -1)
    held_out = [history.end - (HOURS + step * HELD_OUT_STEP_H) * HOUR_MIN for step in steps]
    earliest, latest = first + LEAST_HISTORY_H * HOUR_MIN, held_out[0] - HOURS * HOUR_MIN
    fit = list(range(latest, earliest - 1, -ORIGIN_STEP_H * HOUR_MIN))
    if not fit:
        days = LEAST_HISTORY_H / 24 + (history.end - latest) / HOUR_MIN / 24
        raise BadInput(
            "history to train on",
            expected=f"at least {days:.1f} days of hours",
            got=f"{(history.end - first) / HOUR_MIN / 24:.1f}",
            remedy="Train again when more has come.",
        )
    return Origins(fit, held_out)


def known_at(history: History, origin: Minute, vms: Ints, worn: np.random.Generator | None = None) -> Known:
    """These VMs as they would have been asked at `origin`; those of which nothing is known at it are left out.

    With `worn`, a quarter of them is seen with a shorter history or with gaps; what came stays as it is.
    """
    width = history.mean.shape[1]
    column = width - (history.end - origin) // HOUR_MIN
    truth = np.minimum(history.mean[vms, column : column + HOURS], np.float32(MAX_LOAD_PCT))
    truth = np.pad(truth, ((0, 0), (0, HOURS - truth.shape[1])), constant_values=np.nan)
    past = take_vms(slice_history(history, origin), vms)
    if worn is not None:
        past = _worn(past, worn)
    seen = features(past)
    there = np.flatnonzero(~np.isnan(seen.level) & ~np.isnan(truth).all(axis=1))
    return Known(take_vms(past, there), seen.take(there), truth[there], vms[there])


def days_at(history: History, origin: Minute, vms: Ints, worn: np.random.Generator | None = None) -> Days:
    """What is learned from `known_at`."""
    known = known_at(history, origin, vms, worn)
    return Days(hour_features(known.past), known.seen, known.truth, known.vm)


def fit_days(history: History, origins: Iterable[Minute], most_days: int, seed: int) -> Days:
    """At most about `most_days` days over all origins: at each another sample of the VMs."""
    rng = np.random.default_rng(seed)
    origins = list(origins)
    n = len(history.mean)
    share = max(1, min(n, most_days // len(origins)))
    return joined(
        days_at(history, origin, np.sort(rng.choice(n, share, replace=False)), worn=rng) for origin in origins
    )


def joined(parts: Iterable[Days]) -> Days:
    """All of these days."""
    hour_X, seen, truth, vm = zip(*parts, strict=True)
    return Days(
        np.concatenate(hour_X),
        joined_seen(seen),
        np.concatenate(truth),
        np.concatenate(vm),
    )


def joined_seen(parts: Iterable[Seen]) -> Seen:
    """What is known of all of these VMs."""
    return Seen(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _worn(past: History, rng: np.random.Generator) -> History:
    n, width = past.mean.shape
    mean, count = past.mean.copy(), past.count.copy()
    young = rng.random(n) < WORN_SHARE / 2
    known_h = np.where(young, rng.integers(*WORN_HISTORY_H, n), width)
    lost = np.arange(width)[::-1] >= known_h[:, None]
    holed = rng.random((n, 1)) < WORN_SHARE / 2
    lost |= holed & (rng.random((n, width)) < WORN_GAPS)
    mean[lost], count[lost] = np.nan, 0
    created_at = np.where(young, past.end - known_h * HOUR_MIN, past.created_at)
    return replace(past, mean=mean, count=count, created_at=created_at)
