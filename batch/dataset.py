"""From a long history to training rows: rolling origins, split by time only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.daily import MAX_LOAD_PCT
from models.errors import BadInput
from models.features import FLOOR, features
from models.forecast import HOURS, Floats, History, slice_history, take_vms
from models.minutes import HOUR_MIN, Minute

ORIGIN_STEP_H = 5  # not a divisor of 24, so that the origins go round the clock
LEAST_HISTORY_H = 72
HELD_OUT_H = (38, 26)  # origins of the held-out rows, hours before the end


class Rows(NamedTuple):
    """X: float32[rows, F]; y: float32[rows], percent up to 100, no NaN; vm: int64[rows], which VM."""

    X: Floats
    y: Floats
    vm: npt.NDArray[np.int64]


class Origins(NamedTuple):
    """Minutes at which the past is asked. No target of `fit` reaches the first target of `held_out`."""

    fit: list[Minute]
    held_out: list[Minute]


def origins_of(history: History) -> Origins:
    """Where to ask. BadInput where there are fewer than three days before the first target."""
    known = np.flatnonzero((history.count > 0).any(axis=0))
    first = history.end - (history.mean.shape[1] - int(known[0]) if len(known) else 0) * HOUR_MIN
    held_out = [history.end - hours * HOUR_MIN for hours in HELD_OUT_H]
    earliest, latest = first + LEAST_HISTORY_H * HOUR_MIN, held_out[0] - HOURS * HOUR_MIN
    fit = list(range(latest, earliest - 1, -ORIGIN_STEP_H * HOUR_MIN))
    if not fit:
        days = (LEAST_HISTORY_H + HOURS + HELD_OUT_H[0]) / 24
        raise BadInput(
            "history to train on",
            expected=f"at least {days:.1f} days of hours",
            got=f"{(history.end - first) / HOUR_MIN / 24:.1f}",
            remedy="Train again when more has come.",
        )
    return Origins(fit, held_out)


def rows_at(history: History, origin: Minute, vms: npt.NDArray[np.int64]) -> Rows:
    """The rows of these VMs as they would have been asked at `origin`, with what came; gaps are left out."""
    width = history.mean.shape[1]
    column = width - (history.end - origin) // HOUR_MIN
    truth = history.mean[vms, column : column + HOURS]
    truth = np.pad(truth, ((0, 0), (0, HOURS - truth.shape[1])), constant_values=np.nan)
    X = features(take_vms(slice_history(history, origin), vms))
    y = np.minimum(truth.reshape(-1), np.float32(MAX_LOAD_PCT))
    there = ~np.isnan(y) & ~np.isnan(X[:, FLOOR])
    return Rows(X[there], y[there], np.repeat(vms, HOURS)[there])


def fit_rows(history: History, origins: list[Minute], *, most_rows: int, seed: int) -> Rows:
    """At most about `most_rows` rows over all origins: at each another sample of the VMs."""
    rng = np.random.default_rng(seed)
    n = len(history.mean)
    share = max(1, min(n, most_rows // (HOURS * len(origins))))
    pieces = [rows_at(history, origin, np.sort(rng.choice(n, share, replace=False))) for origin in origins]
    return Rows(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))
