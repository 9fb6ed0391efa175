"""How quiet each 5-minute step is, and the quietest start: over arrays of VMs, what the forecast step stores.

The choice for one VM under a question's constraints is `models.window`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from models.blackout import covered_before
from models.forecast import HOURS, NO_START, STARTS, Floats
from models.minutes import HOUR_MIN, STEP_MIN, Minute

RECORD_MIN = HOURS * HOUR_MIN
QUIETEST = np.float32(255)
FLAT_PCT = np.float32(0.05)  # less is no difference to wait for: an idle VM may go at once
_CHUNK_ROWS = 4096  # some megabytes of float32 at a time stay in the cache

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


def quietness(level: Floats, inside_pct: Floats) -> Bytes:
    """How quiet each 5-minute step is: uint8[n, STARTS], 255 the quietest of the VM's record, 0 the busiest.

    level: float32[n, HOURS], percent (`Prediction.rank`); inside_pct: float32[n, 12], points that the load stands above
    its hour's level in each 5 minutes. Their sum is scaled per VM over its record. A VM that is flat all over is 255
    everywhere; a step without a number is 0, so a VM without one is 0 everywhere.
    """
    quiet = np.zeros((len(level), STARTS), dtype=np.uint8)
    for rows in _chunks(len(level)):
        load = (level[rows, :, None] + inside_pct[rows, None, :]).reshape(-1, STARTS)
        low = np.fmin.reduce(load, axis=1, keepdims=True)
        span = np.fmax.reduce(load, axis=1, keepdims=True) - low
        load -= low
        load *= np.where(span > FLAT_PCT, -QUIETEST / np.maximum(span, FLAT_PCT), np.float32(0))
        load += QUIETEST
        quiet[rows] = np.rint(np.fmax(load, 0, out=load), out=load)  # fmax: NaN is 0
    return quiet


def allowed_starts(first_minute: Minute, timezone: str, rules: tuple[str, ...], steps: int) -> Bools:
    """Whether a window of `steps` 5-minute steps may start at each step of a record: bool[STARTS].

    It may where no minute of it is blacked out and it ends within the record. BadInput where a rule cannot be read.
    """
    allowed = np.zeros(STARTS, dtype=np.bool_)
    sums = covered_before(rules, timezone, first_minute, RECORD_MIN)[::STEP_MIN]
    allowed[: STARTS - steps + 1] = sums[steps:] == sums[: len(sums) - steps]
    return allowed


def default_starts(quiet: Bytes, allowed: Bools, steps: int, first_step: int, last_step: int) -> npt.NDArray[np.uint16]:
    """Index of the quietest allowed start of each VM, the earliest among equals, NO_START where there is none.

    quiet: uint8[n, STARTS]; allowed: bool[STARTS] or bool[n, STARTS]. The window of `steps` steps lies wholly inside
    steps [first_step, last_step). A VM whose quietness is 0 everywhere has no forecast and gets NO_START.
    """
    best = np.full(len(quiet), NO_START, dtype=np.uint16)
    starts = slice(first_step, min(last_step, STARTS) - steps + 1)
    if starts.stop <= starts.start:
        return best
    allowed = np.broadcast_to(allowed, quiet.shape)
    for rows in _chunks(len(quiet)):
        part = quiet[rows]
        score = np.zeros((len(part), starts.stop - starts.start), dtype=np.int16)
        for step in range(steps):
            score += part[:, starts.start + step : starts.stop + step]
        score[~allowed[rows, starts]] = -1
        pick = score.argmax(axis=1)
        found = part.any(axis=1) & (np.take_along_axis(score, pick[:, None], axis=1)[:, 0] >= 0)
        best[rows] = np.where(found, pick + first_step, NO_START)
    return best


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK_ROWS) for start in range(0, n, _CHUNK_ROWS))
