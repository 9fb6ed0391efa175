"""How sure chosen windows are: choose as the forecast step would have, at held-out origins, and see what came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batch.rolling import Asked, Records, loads_of, served, starts_of
from models.calibration import (
    LENGTHS_MIN,
    QUANTILES,
    Calibration,
    Chosen,
    assured,
    fit,
    hope_of,
    ratio_of,
    share_of,
)
from models.forecast import NO_START, Forecaster, Rung
from models.judge import in_windows
from models.minutes import STEP_MIN
from models.records import mean_and_spread
from models.score import MACRO_FLOOR_PCT
from models.sureness import MAX_LOADS_PCT

DAY_H = 24
Doubles = npt.NDArray[np.float64]


def calibrate_windows(forecaster: Forecaster, asked: Iterable[Asked]) -> Calibration | None:
    """Calibration from one chosen window a VM, length and origin; None where there are too few to say anything."""
    parts: dict[int, list[Became]] = {length: [] for length in LENGTHS_MIN}
    for question in asked:
        records = served(question.history, [forecaster])
        for length in LENGTHS_MIN:
            parts[length].append(chosen_windows(question, records, length))
    found = {length: joined(several) for length, several in parts.items() if several}
    if not found or min(int(np.count_nonzero(~np.isnan(one.load))) for one in found.values()) < QUANTILES:
        return None
    table = fit({length: Chosen(ratio_of(*one[:3]), one.hope, one.regret) for length, one in found.items()})
    return assured(table, {length: _kept(table, one, length) for length, one in found.items()})


class Became(NamedTuple):
    """Chosen windows: float64[n] each. load: what came; p50, p90: as said, percent; `hope_of` and regret."""

    load: Doubles
    p50: Doubles
    p90: Doubles
    hope: Doubles
    regret: Doubles


def joined(several: Sequence[Became]) -> Became:
    """All of these windows."""
    return Became(*(np.concatenate(columns) for columns in zip(*several, strict=True)))


def _kept(table: Calibration, windows: Became, minutes: int) -> tuple[Doubles, Doubles]:
    """What the table says of these windows for every max_load that callers may give, and whether it came so."""
    limits = np.array(MAX_LOADS_PCT)[:, None]
    said = share_of(table, windows.p50, windows.p90, limits, minutes)
    kept = np.where(np.isnan(windows.load), np.nan, windows.load <= limits)
    return said.ravel(), kept.ravel()


def chosen_windows(question: Asked, records: Records, minutes: int) -> Became:
    """What became of the default windows of the champion's records (other rungs have no table)."""
    starts = starts_of(records, minutes, DAY_H, whole_hours=False)
    starts[records["rung"] != Rung.CHAMPION] = NO_START
    loads = loads_of(question, {"ours": starts}, minutes, whole_hours=False)
    room = loads.mean - loads.best
    regret = (loads.chosen["ours"] - loads.best) / np.where(room >= MACRO_FLOOR_PCT, room, np.nan)
    mean, p50, p90 = said_of(records, starts, minutes)
    hope = hope_of(mean, *mean_and_spread(records))
    return Became(load_in(question, starts, minutes), p50, p90, hope, regret)


def load_in(question: Asked, starts: npt.NDArray[np.int64], minutes: int) -> Doubles:
    """The mean load that came in these windows: float64[n], percent; NaN where there is none, or a step is a gap."""
    there = starts != NO_START
    columns = np.where(there, starts, 0)[:, None] + np.arange(minutes // STEP_MIN)
    load = question.came[np.arange(len(starts))[:, None], columns].mean(axis=1, dtype=np.float64)
    return np.where(there, load, np.nan)


def said_of(records: Records, starts: npt.NDArray[np.int64], minutes: int) -> tuple[Doubles, Doubles, Doubles]:
    """Mean, P50 and P90 that the records say of these windows: float64[n], percent; of the first where none is."""
    first = np.where(starts == NO_START, 0, starts)
    mean, p50, p90 = (in_windows(records, head, first, minutes) for head in ("mean", "p50", "p90"))
    return mean, p50, p90
