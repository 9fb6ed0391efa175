"""The fallback ladder: which forecaster answers for which VM, decided VM by VM and never for a batch.

Champion, else hour of the day with level, else the profile of its kind, else refused with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.forecast import HOURS, Floats, Forecaster, History, Prediction, Reason, Rung
from models.minutes import HOUR_MIN, Minute

WEEK_HOURS = 168
CHAMPION_HOURS = 72  # the champion's features look back days: below three of them they are mostly missing
DAY_HOURS = 24
LEAST_COVERAGE = 0.25  # below a quarter of the expected samples nothing can be said
CHAMPION_COVERAGE = 0.5


class State(NamedTuple):
    """What is known of n VMs. hours: int64[n], hours with samples; coverage: float32[n], data_coverage_7d (0 to 1).

    data_through: int64[n], end of the newest hour with a sample (epoch minute, exclusive); -1 where there is none.
    """

    hours: npt.NDArray[np.int64]
    coverage: Floats
    data_through: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Served:
    """A prediction for every VM with the rung it came from and the reason why not from a higher one; uint8[n] each."""

    prediction: Prediction
    rung: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint8]


def state_of(history: History) -> State:
    """How much and how fresh the histories are.

    Expected samples: the declared interval's, from 7 days back or the VM's first stored hour if that is later.
    """
    there = history.count > 0
    width = there.shape[1]
    any_there = there.any(axis=1)
    first = np.where(any_there, there.argmax(axis=1), width)
    last = np.where(any_there, width - there[:, ::-1].argmax(axis=1), 0)
    came = history.count[:, -WEEK_HOURS:].sum(axis=1, dtype=np.int64)
    expected = (width - np.maximum(first, width - WEEK_HOURS)) * HOUR_MIN / history.interval_min
    coverage = np.divide(came, expected, out=np.zeros(len(came)), where=expected > 0)
    through = np.where(any_there, history.end - (width - last) * HOUR_MIN, -1)
    return State(there.sum(axis=1), np.minimum(coverage, 1).astype(np.float32), through)


def climb(
    history: History, forecasters: Sequence[Forecaster], state: State, now: Minute, stale_after_min: int
) -> Served:
    """Ask the forecasters, highest rung first, and give each VM the highest that has enough to go by.

    A VM is refused with NO_DATA, STALE (newest data older than `stale_after_min`), GAPS (under a quarter of the
    expected samples) or SHORT_HISTORY (no forecaster can say anything yet).
    """
    n = len(history.mean)
    blank = np.full((n, HOURS), np.nan, dtype=np.float32)
    made = Prediction(*(blank.copy() for _ in Prediction._fields))
    rung = np.full(n, Rung.REFUSED, dtype=np.uint8)
    refusal = _refusals(state, now, stale_after_min)
    for forecaster in forecasters:
        open_ = (refusal == Reason.NONE) & (rung == Rung.REFUSED) & _enough(forecaster.rung, state)
        if not open_.any():
            continue
        said = forecaster.predict(history)
        takes = open_ & np.isfinite(said.mean).all(axis=1) & np.isfinite(said.p90).all(axis=1)
        for out, values in zip(made, said, strict=True):
            out[takes] = values[takes]
        rung[takes] = forecaster.rung
    has_champion = any(forecaster.rung == Rung.CHAMPION for forecaster in forecasters)
    reason = np.where(refusal != Reason.NONE, refusal, _why_lower(rung, state, has_champion=has_champion))
    return Served(made, rung, reason.astype(np.uint8))


def _enough(rung: Rung, state: State) -> npt.NDArray[np.bool_]:
    if rung == Rung.CHAMPION:
        return (state.hours >= CHAMPION_HOURS) & (state.coverage >= CHAMPION_COVERAGE)
    if rung == Rung.HOUR_OF_DAY:
        return state.hours >= DAY_HOURS
    return state.hours >= 1


def _refusals(state: State, now: Minute, stale_after_min: int) -> npt.NDArray[np.uint8]:
    conditions = [state.hours == 0, now - state.data_through > stale_after_min, state.coverage < LEAST_COVERAGE]
    return np.select(conditions, [Reason.NO_DATA, Reason.STALE, Reason.GAPS], Reason.NONE).astype(np.uint8)


def _why_lower(rung: npt.NDArray[np.uint8], state: State, *, has_champion: bool) -> npt.NDArray[np.int64]:
    could = _enough(Rung.CHAMPION, state)
    conditions = [rung == Rung.CHAMPION, could & (not has_champion), state.hours < CHAMPION_HOURS]
    return np.select(conditions, [Reason.NONE, Reason.MODEL_MISSING, Reason.SHORT_HISTORY], Reason.GAPS)
