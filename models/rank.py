"""The rank: which hours of a VM's day are quiet, not what the load in them is.

What is learned is the regret, for that is what a window is judged by: a forecast with the smallest error need not
choose the best hour. A score means nothing but its order within one VM's record: the lower, the quieter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.forecast import Floats
from models.score import MACRO_FLOOR_PCT

MOST_REGRET = 3.0  # an hour three times as far from the best one as the mean is just busy
STEP_WEIGHT = 0.3  # a step inside an hour one spread above its hour weighs as much as 0.3 standard deviations of hours

Bools = npt.NDArray[np.bool_]


def regrets(truth: Floats) -> tuple[Floats, Floats]:
    """(load - best) / (mean - best) of each hour, at most 3, and mean - best: float32[n, hours] and float32[n].

    truth: float32[n, hours], percent; a gap stays NaN, and so is a day of which less than half is known.
    """
    known = ~np.isnan(truth)
    enough = known.mean(axis=1) > 0.5
    filled = np.where(known, truth, np.float32(0))
    mean = filled.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    best = np.where(known, truth, np.float32(np.inf)).min(axis=1)
    room = np.where(enough, mean - np.where(enough, best, np.float32(0)), np.float32(np.nan)).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):  # a flat day has no order: `teachable` leaves it out
        regret = (truth - best[:, None]) / room[:, None]
    return np.minimum(regret, np.float32(MOST_REGRET)).astype(np.float32), room


def teachable(room: Floats) -> Bools:
    """Whether a day has a quiet time to find: bool[n]."""
    return np.asarray(room >= MACRO_FLOOR_PCT)


def standardised(scores: Floats) -> Floats:
    """Mean 0 and standard deviation 1 within each VM's record: float32[n, hours]; a flat record is 0."""
    moved = scores - scores.mean(axis=1, keepdims=True)
    deviation = moved.std(axis=1, keepdims=True)
    return np.asarray(moved / np.maximum(deviation, np.float32(1e-6)), dtype=np.float32)


def in_points(scores: Floats, spread: Floats) -> Floats:
    """Standardised scores as percent points, so that what a load does inside its hours can be added to them.

    spread: float32[n], percent. Measured on Bitbrains, July: see STEP_WEIGHT.
    """
    return scores * (spread[:, None] / np.float32(STEP_WEIGHT))
