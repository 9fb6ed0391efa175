"""Split conformal correction of a learned P90, by lead and load class.

A quantile model trained on the past covers less than it promises on days it has not seen. On held-out days the
shortfall (truth - p90) / spread has a 0.9-quantile in each cell of lead and load class: by so many of a VM's spreads
the bound is moved.

Source: Romano, Patterson & Candès, "Conformalized quantile regression" (2019), with cells and one-sided.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.forecast import Floats

LEVEL_EDGES_PCT = (1.0, 3.0, 10.0, 30.0)  # load classes
LEAD_EDGES_H = (3, 9)
LEVELS = len(LEVEL_EDGES_PCT) + 1
CELLS = (len(LEAD_EDGES_H) + 1) * LEVELS
PRIOR_HOURS = 2_000  # a cell with so many hours (some 80 VM-days) counts as much as all cells together
COVERAGE = 0.9


def fit_widening(p90: Floats, truth: Floats, level_pct: Floats, spread: Floats) -> Floats:
    """By how many spreads to move each cell's P90: float32[CELLS]; negative where it held too often.

    p90, truth: float32[n, h], percent by lead, of days that the model has not seen; level_pct, spread: float32[n],
    percent. An hour with a gap is left out; without any hour the widening is 0. A cell is drawn to the correction of
    all hours, the more the fewer it has: a class of few VMs that had a calm day is no reason for a tight bound.
    """
    known = ~np.isnan(truth) & ~np.isnan(p90)
    shortfall = ((truth - p90) / spread[:, None])[known]
    cells = cells_of(level_pct, p90.shape[1])[known]
    everywhere = _shortfall_quantile(shortfall)
    widening = np.full(CELLS, everywhere, np.float32)
    for cell in range(CELLS):
        own = shortfall[cells == cell]
        if own.size:
            widening[cell] = (own.size * _shortfall_quantile(own) + PRIOR_HOURS * everywhere) / (own.size + PRIOR_HOURS)
    return widening


def widen(p90: Floats, level_pct: Floats, spread: Floats, widening: Floats) -> Floats:
    """p90 + the widening of each hour's cell: float32[n, h], percent."""
    return p90 + widening[cells_of(level_pct, p90.shape[1])] * spread[:, None]


def cells_of(level_pct: Floats, leads: int) -> npt.NDArray[np.int64]:
    """The cell of each VM at each lead: int64[n, leads]; a level that is NaN counts as the highest."""
    level = np.searchsorted(LEVEL_EDGES_PCT, level_pct, side="right")
    lead = np.searchsorted(LEAD_EDGES_H, np.arange(leads), side="right")
    return np.asarray(lead * LEVELS + level[:, None], dtype=np.int64)


def _shortfall_quantile(shortfall: Floats) -> float:
    """The ceil(0.9 (n + 1))-th smallest of n, which covers 0.9 of new draws of the same kind; 0 of none."""
    if shortfall.size == 0:
        return 0.0
    rank = min(int(np.ceil(COVERAGE * (shortfall.size + 1))), shortfall.size)
    return float(np.partition(shortfall, rank - 1)[rank - 1])
