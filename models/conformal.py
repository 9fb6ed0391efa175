"""Split conformal correction of a learned P90, by lead and load class.

A quantile model trained on the past covers less than it promises on days it has not seen. On held-out days the
shortfall (truth - p90) / spread has a 0.9-quantile in each cell of lead and load class: by so many of a VM's spreads
the bound is widened. It is never narrowed: a class of few VMs that had a calm day is no reason for a tighter bound.

Source: Romano, Patterson & Candès, "Conformalized quantile regression" (2019), with cells and one-sided.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.features import LEAD, LEVEL, SPREAD
from models.forecast import Floats

LEVEL_EDGES_PCT = (1.0, 3.0, 10.0, 30.0)  # load classes
LEAD_EDGES_H = (3, 9)
CELLS = (len(LEAD_EDGES_H) + 1) * (len(LEVEL_EDGES_PCT) + 1)
MIN_ROWS = 200  # a cell with fewer takes the correction of all rows
COVERAGE = 0.9


def fit_widening(X: Floats, p90: Floats, truth: Floats) -> Floats:
    """By how many spreads to widen each cell's P90: float32[CELLS], none negative.

    X: float32[rows, features]; p90, truth: float32[rows], percent, of days that the model has not seen. A row whose
    truth is a gap (NaN) is left out; without any row the widening is 0.
    """
    known = ~np.isnan(truth) & ~np.isnan(p90)
    shortfall = (truth[known] - p90[known]) / X[known, SPREAD]
    cells = _cells(X[known])
    widening = np.full(CELLS, _shortfall_quantile(shortfall), np.float32)
    for cell in range(CELLS):
        own = shortfall[cells == cell]
        if len(own) >= MIN_ROWS:
            widening[cell] = _shortfall_quantile(own)
    return widening


def widen(X: Floats, p90: Floats, widening: Floats) -> Floats:
    """p90 + widening of each row's cell; float32[rows], percent."""
    return p90 + widening[_cells(X)] * X[:, SPREAD]


def _shortfall_quantile(shortfall: Floats) -> float:
    """The ceil(0.9 (n + 1))-th smallest of n, which covers 0.9 of new draws of the same kind; never under 0."""
    if shortfall.size == 0:
        return 0.0
    rank = min(int(np.ceil(COVERAGE * (shortfall.size + 1))), shortfall.size)
    return max(float(np.partition(shortfall, rank - 1)[rank - 1]), 0.0)


def _cells(X: Floats) -> npt.NDArray[np.int64]:
    lead_class = np.searchsorted(LEAD_EDGES_H, X[:, LEAD], side="right")
    level_class = np.searchsorted(LEVEL_EDGES_PCT, X[:, LEVEL], side="right")
    return lead_class * (len(LEVEL_EDGES_PCT) + 1) + level_class
