"""How sure chosen windows are: choose as the forecast step would have, at held-out origins, and see what came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from batch.rolling import Asked, Records, loads_of, served, starts_of
from models.calibration import LENGTHS_MIN, QUANTILES, Calibration, Chosen, fit, hope_of, ratio_of
from models.forecast import NO_START, SHAPE_ONE, STARTS, Forecaster, Rung
from models.minutes import STEP_MIN
from models.records import mean_and_spread
from models.score import MACRO_FLOOR_PCT

DAY_H = 24
Doubles = npt.NDArray[np.float64]


def calibrate_windows(forecaster: Forecaster, asked: Iterable[Asked]) -> Calibration | None:
    """Calibration from one chosen window a VM, length and origin; None where there are too few to say anything."""
    parts: dict[int, list[Chosen]] = {length: [] for length in LENGTHS_MIN}
    for question in asked:
        records = served(question.history, [forecaster])
        for length in LENGTHS_MIN:
            parts[length].append(chosen_windows(question, records, length))
    found = {length: joined(several) for length, several in parts.items() if several}
    if not found or min(int(np.count_nonzero(~np.isnan(one.ratio))) for one in found.values()) < QUANTILES:
        return None
    return fit(found)


def joined(several: Sequence[Chosen]) -> Chosen:
    """All of these windows."""
    return Chosen(*(np.concatenate(columns) for columns in zip(*several, strict=True)))


def chosen_windows(question: Asked, records: Records, minutes: int) -> Chosen:
    """What became of the default windows of the champion's records (other rungs have no table): float64[n] each."""
    starts = starts_of(records, minutes, DAY_H, whole_hours=False)
    starts[records["rung"] != Rung.CHAMPION] = NO_START
    loads = loads_of(question, {"ours": starts}, minutes, whole_hours=False)
    room = loads.mean - loads.best
    regret = (loads.chosen["ours"] - loads.best) / np.where(room >= MACRO_FLOOR_PCT, room, np.nan)
    mean, p50, p90 = said_of(records, starts, minutes)
    return Chosen(
        ratio_of(load_in(question, starts, minutes), p50, p90), hope_of(mean, *mean_and_spread(records)), regret
    )


def load_in(question: Asked, starts: npt.NDArray[np.int64], minutes: int) -> Doubles:
    """The mean load that came in these windows: float64[n], percent; NaN where there is none, or a step is a gap."""
    there = starts != NO_START
    columns = np.where(there, starts, 0)[:, None] + np.arange(minutes // STEP_MIN)
    load = question.came[np.arange(len(starts))[:, None], columns].mean(axis=1, dtype=np.float64)
    return np.where(there, load, np.nan)


def said_of(records: Records, starts: npt.NDArray[np.int64], minutes: int) -> tuple[Doubles, Doubles, Doubles]:
    """Mean, P50 and P90 that the records say of these windows: float64[n], percent; of the first where none is."""
    first = np.where(starts == NO_START, 0, starts)
    columns = first[:, None] + np.arange(minutes // STEP_MIN)
    inside = records["inside"] * (records["scale"][:, None].astype(np.float64) / SHAPE_ONE)
    rows = np.arange(len(first))[:, None]

    def over(head: str) -> Doubles:
        steps = np.maximum(records[head][:, :, None] / 100.0 + inside[:, None, :], 0.0).reshape(-1, STARTS)
        return np.asarray(steps[rows, columns].mean(axis=1))

    return over("mean"), over("p50"), over("p90")
