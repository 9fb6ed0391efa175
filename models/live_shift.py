"""The champion's P90 moved by what live forecasts showed: by lead and load class, fleet-wide, up as well as down.

Split conformal (`models.conformal`) corrects a set once, on the days held out when it was trained. What follows tracks
the quantile from then on: each judged run of forecasts moves the bound of a cell by

    RATE * n / (n + FEW_HOURS) * (share of the n hours above the P90 - 0.1)

spreads, a spread being a VM's own p90 - p50. Few hours move it little, and it stays within LOWEST and HIGHEST.

Source: Angelopoulos, Candes & Tibshirani, "Conformal PID control for time series prediction" (2023), its quantile
tracker. A run is judged more than a day after it was made, and four are made a day, so that each move is seen only by
the fifth run after it: RATE is so small that the same error, counted five times over, is not corrected beyond itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.calibration import SMALL_PCT
from models.conformal import CELLS, COVERAGE, cells_of
from models.forecast import Floats

RATE = 0.3  # for a normal error a spread is worth 0.22 of coverage: a run corrects a fifteenth of what is missing
FEW_HOURS = 200.0
LOWEST, HIGHEST = -0.5, 1.0  # spreads; at -1 the P90 would be the P50

Tally = npt.NDArray[np.int64]


def no_shift() -> Floats:
    """What a model set begins with: float32[CELLS] of 0."""
    return np.zeros(CELLS, np.float32)


def shift_p90(p50: Floats, p90: Floats, level_pct: Floats, shift: Floats) -> Floats:
    """The P90 with each cell's shift, in spreads of the VM: float32[n, h], percent, p50 <= it <= 100; NaN stays NaN.

    p50, p90: float32[n, h], percent within 0 and 100, by lead; level_pct: float32[n], a record's mean load;
    shift: float32[CELLS]. A spread counts for at least SMALL_PCT, or an idle VM's bound could never widen.
    """
    spread = np.maximum(p90 - p50, np.float32(SMALL_PCT))
    moved = p90 + shift[cells_of(level_pct, p90.shape[1])] * spread
    return np.asarray(np.clip(moved, p50, np.float32(100)), dtype=np.float32)


def tally(under: Floats, level_pct: Floats) -> Tally:
    """Hours known and hours above the P90 by cell: int64[CELLS, 2]; of several blocks of VMs they add up.

    under: float32[n, h], 1 where the truth was at or under the P90, 0 where it was above it, NaN for a gap.
    """
    cells, known = cells_of(level_pct, under.shape[1]), ~np.isnan(under)
    counts = [np.bincount(cells[which], minlength=CELLS) for which in (known, known & (under == 0))]
    return np.stack(counts, axis=1).astype(np.int64)


def refreshed(shift: Floats, counts: Tally) -> Floats:
    """The shift after one more run, float32[CELLS]; a cell that saw no hour keeps its own."""
    hours, above = counts[:, 0].astype(np.float64), counts[:, 1]
    missed = np.divide(above, hours, out=np.full(CELLS, 1 - COVERAGE), where=hours > 0)
    move = RATE * hours / (hours + FEW_HOURS) * (missed - (1 - COVERAGE))
    moved: Floats = np.clip(shift + move, LOWEST, HIGHEST).astype(np.float32)
    return moved
