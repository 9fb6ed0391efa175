"""Forecasts and the windows chosen from them, held against what happened: VM by VM, and in sum by rung.

What came is given from the first minute of the forecasts on: `five_min` float32[n, STARTS] and `hourly`
float32[n, HOURS], percent, NaN = gap. A refused record promised nothing, and is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.calibration import DEFAULT, Calibration, confidence
from models.forecast import HOURS, NO_START, SHAPE_ONE, STARTS, Floats, Rung
from models.minutes import HOUR_MIN, STEP_MIN
from models.score import window_regret

DAY_HOURS = 24
LEAST_KNOWN = 0.95  # share of the day's 5-minute steps that must have come
_HOUR_STEPS = HOUR_MIN // STEP_MIN

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]


class Terms(NamedTuple):
    """On what terms the windows of n records were chosen.

    minutes: how long each is; offered: bool[n, STARTS], the starts that it was chosen from; max_load_pct: float64[n];
    calibration: the champion's, other rungs have DEFAULT.
    """

    minutes: int
    offered: Bools
    max_load_pct: Doubles
    calibration: Calibration


class Verdicts(NamedTuple):
    """What became of n forecasts; NaN = not known.

    rung: uint8[n]. chosen, best, mean: float64[n], percent: the load in the chosen window, in the best of those that
    were offered and are known to their end, and over all steps that were offered; all three NaN where the VM-day does
    not count. best_start: int64[n], where that one starts, NO_START where the day does not count. promised, said:
    float64[n], expected load in the chosen window and P(load <= max_load). kept: float64[n], 1 where the load was
    within max_load, else 0. hours, under: int64[n], hours of the first 24 that came, and those at or under their P90.
    error_pct: float64[n], the sum of |p50 - truth| over these hours.
    """

    rung: npt.NDArray[np.uint8]
    chosen: Doubles
    best: Doubles
    mean: Doubles
    best_start: Ints
    promised: Doubles
    said: Doubles
    kept: Doubles
    hours: Ints
    under: Ints
    error_pct: Doubles


class Standing(NamedTuple):
    """A rung's verdicts in sum; vms: with an hour or a window that is known; vm_days: those that regret_macro counts.

    Regrets: see `score.window_regret`. interval_coverage: share of the hours at or under the P90; confidence_said,
    confidence_observed: means over the chosen windows that are known; mae_pct: of the P50. NaN = over nothing.
    """

    rung: Rung
    vms: int
    vm_days: int
    regret_macro: float
    regret_pooled: float
    interval_coverage: float
    confidence_said: float
    confidence_observed: float
    mae_pct: float


def judge(records: Records, five_min: Floats, hourly: Floats, terms: Terms) -> Verdicts:
    """The verdicts on n records (FORECAST_DTYPE[n])."""
    answered = records["rung"] != Rung.REFUSED
    weights = window_weights(terms.minutes)
    loads = window_loads(five_min, weights)
    rows = np.flatnonzero(answered & (records["best"] != NO_START))
    starts = records["best"][rows].astype(np.int64)
    load = _nans(len(records))
    load[rows] = loads[rows, starts]
    promised, said = _promises(records, rows, starts, terms)
    best, best_start, mean, complete = _day(five_min, loads, terms.offered, len(weights))
    counts = complete & ~np.isnan(load)
    below = under_p90(records, hourly)
    error = np.abs(records["p50"][:, :DAY_HOURS] / 100.0 - hourly[:, :DAY_HOURS])
    known = ~np.isnan(below)
    return Verdicts(
        rung=records["rung"],
        chosen=np.where(counts, load, np.nan),
        best=np.where(counts, best, np.nan),
        mean=np.where(counts, mean, np.nan),
        best_start=np.where(counts, best_start, NO_START),
        promised=promised,
        said=np.where(np.isnan(load), np.nan, said),
        kept=np.where(np.isnan(load), np.nan, load <= terms.max_load_pct),
        hours=known.sum(axis=1),
        under=np.where(known, below, 0).sum(axis=1).astype(np.int64),
        error_pct=np.where(known, error, 0.0).sum(axis=1),
    )


def under_p90(records: Records, hourly: Floats) -> Floats:
    """Whether each of the first 24 hours came at or under its P90: float32[n, 24], 1 or 0, NaN where not known.

    Both in 0.01 %, as they are stored. NaN also where nothing was forecast.
    """
    truth = np.rint(hourly[:, :DAY_HOURS] * np.float32(100))
    below: Floats = (truth <= records["p90"][:, :DAY_HOURS]).astype(np.float32)
    below[np.isnan(truth) | (records["rung"] == Rung.REFUSED)[:, None]] = np.nan
    return below


def summarize(parts: Sequence[Verdicts]) -> list[Standing]:
    """All the verdicts in sum, a rung each of which something is known, highest rung first."""
    if not parts:
        return []
    every = Verdicts(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    rungs = (rung for rung in sorted(Rung, reverse=True) if rung != Rung.REFUSED)
    standings = [_standing(rung, Verdicts(*(c[every.rung == rung] for c in every))) for rung in rungs]
    return [standing for standing in standings if standing.vms]


def window_weights(minutes: int) -> Doubles:
    """The share of each 5-minute step in a window of `minutes`: float64[steps], the last one's as far as it goes in."""
    steps = -(-minutes // STEP_MIN)
    return np.clip(minutes - STEP_MIN * np.arange(steps), 0, STEP_MIN) / minutes


def window_loads(five_min: Floats, weights: Doubles) -> Doubles:
    """Mean load in the window from each step on: float64[n, STARTS], NaN with a gap in it or beyond the last step."""
    loads = np.full(five_min.shape, np.nan)
    width = STARTS - len(weights) + 1
    loads[:, :width] = sum(weight * five_min[:, k : k + width] for k, weight in enumerate(weights))
    return loads


def _day(five_min: Floats, loads: Doubles, offered: Bools, steps: int) -> tuple[Doubles, Ints, Doubles, Bools]:
    """Of n days: the best offered load, its start, the mean of the steps that were offered, and whether enough came."""
    rivals = np.where(offered & ~np.isnan(loads), loads, np.inf)
    best_start = rivals.argmin(axis=1)
    best = np.take_along_axis(rivals, best_start[:, None], axis=1)[:, 0]
    day = np.zeros(offered.shape, dtype=np.bool_)
    for k in range(steps):
        day[:, k:] |= offered[:, : STARTS - k]
    came = day & ~np.isnan(five_min)
    number = came.sum(axis=1)
    total = np.where(came, five_min, np.float32(0)).sum(axis=1, dtype=np.float64)
    mean = np.divide(total, number, out=_nans(len(day)), where=number > 0)
    return best, best_start, mean, np.isfinite(best) & (number >= LEAST_KNOWN * day.sum(axis=1))


def _promises(records: Records, rows: Ints, starts: Ints, terms: Terms) -> tuple[Doubles, Doubles]:
    """Expected load in the chosen windows and how sure it was said to be: float64[n] each, NaN where none is chosen."""
    promised, said = _nans(len(records)), _nans(len(records))
    promised[rows], p50, p90 = (
        in_windows(records[rows], name, starts, terms.minutes) for name in ("mean", "p50", "p90")
    )
    champion = records["rung"][rows] == Rung.CHAMPION
    for calibration, whose in ((terms.calibration, champion), (DEFAULT, ~champion)):
        for limit in np.unique(terms.max_load_pct[rows[whose]]):
            these = whose & (terms.max_load_pct[rows] == limit)
            said[rows[these]] = confidence(calibration, p50[these], p90[these], float(limit), terms.minutes)
    return promised, said


def in_windows(records: Records, name: str, starts: Ints, minutes: int) -> Doubles:
    """Mean of `mean`, `p50` or `p90` in each record's window: float64[n], percent; as `window.choose` has it."""
    weights = window_weights(minutes)
    hour, k = np.divmod(starts[:, None] + np.arange(len(weights)), _HOUR_STEPS)
    scale = np.where(np.isfinite(records["scale"]), records["scale"], np.float32(0))
    inside_pct = np.take_along_axis(records["inside"], k, axis=1) * (scale[:, None] / SHAPE_ONE)
    level_pct = np.take_along_axis(records[name], np.minimum(hour, HOURS - 1), axis=1) / 100.0
    return np.asarray(np.maximum(level_pct + inside_pct, 0.0) @ weights)


def _standing(rung: Rung, verdicts: Verdicts) -> Standing:
    regret = window_regret(verdicts.chosen, verdicts.best, verdicts.mean)
    known = ~np.isnan(verdicts.kept)
    windows, hours = int(known.sum()), int(verdicts.hours.sum())
    return Standing(
        rung=rung,
        vms=int(np.count_nonzero(known | (verdicts.hours > 0))),
        vm_days=regret.vm_days,
        regret_macro=regret.macro,
        regret_pooled=regret.pooled,
        interval_coverage=_share(float(verdicts.under.sum()), hours),
        confidence_said=_share(float(verdicts.said[known].sum()), windows),
        confidence_observed=_share(float(verdicts.kept[known].sum()), windows),
        mae_pct=_share(float(verdicts.error_pct.sum()), hours),
    )


def _share(total: float, number: int) -> float:
    return total / number if number else float("nan")


def _nans(n: int) -> Doubles:
    return np.full(n, np.nan)
