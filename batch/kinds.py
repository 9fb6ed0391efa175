"""Kinds of VM, for tables: how much its days repeat, and how much it works."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.daily import DAY_HOURS, mean_known
from models.forecast import Floats

RHYTHM_EDGES = (0.2, 0.5)  # autocorrelation of the hours at 24 hours
RHYTHMS = ("no rhythm", "some rhythm", "daily rhythm")
LOAD_EDGES_PCT = (3.0, 15.0)  # mean load
LOADS = ("under 3 %", "3 to 15 %", "over 15 %")

Doubles = npt.NDArray[np.float64]


class Kinds(NamedTuple):
    """rhythm, load: int64[n], indices of RHYTHMS and LOADS."""

    rhythm: npt.NDArray[np.int64]
    load: npt.NDArray[np.int64]


def kinds_of(hours: Floats) -> Kinds:
    """The kind of each VM by its hourly means: float32[n, h], percent, NaN = gap. What never moves has no rhythm."""
    rhythm = np.searchsorted(RHYTHM_EDGES, autocorrelation(hours, DAY_HOURS), side="right")
    load = np.searchsorted(LOAD_EDGES_PCT, np.nan_to_num(mean_known(hours, axis=1)), side="right")
    return Kinds(rhythm, load)


def autocorrelation(hours: Floats, lag: int) -> Doubles:
    """Correlation of each VM's hours with those `lag` before, over the pairs without a gap: float64[n]; flat is 0."""
    moved = (hours - mean_known(hours, axis=1)[:, None]).astype(np.float64)
    now, then = moved[:, lag:], moved[:, :-lag]
    known = ~(np.isnan(now) | np.isnan(then))
    now, then = np.where(known, now, 0.0), np.where(known, then, 0.0)
    norm = np.sqrt((now * now).sum(axis=1) * (then * then).sum(axis=1))
    return np.asarray(np.divide((now * then).sum(axis=1), norm, out=np.zeros(len(hours)), where=norm > 0))
