"""How good a forecast and a chosen window were: the definitions behind every table.

NaN is a gap: a pair with a gap on either side is left out, and a score over no pairs is NaN, never 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import BadInput

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

MACRO_FLOOR_PCT = 0.1  # below it a VM-day has no quiet time to find
CLEAR_FLOOR_PCT = 1.0
QUIET_SHARE = 0.1


class Regret(NamedTuple):
    """Regret of chosen windows: 0 is the oracle, 1 is random.

    macro: mean over the VM-days that count (denominator >= 0.1 point); macro_ge_1: over those with >= 1 point;
    pooled: sum of numerators over sum of denominators, all complete VM-days; vm_days: how many `macro` counted.
    """

    macro: float
    macro_ge_1: float
    pooled: float
    vm_days: int


def mae(pred: Floats, truth: Floats) -> float:
    """Mean absolute error in the unit of `truth`; arrays of one shape, any number of axes."""
    return _mean(np.abs(_errors(pred, truth)))


def seasonal_scale(history: Floats, season: int = 24) -> Doubles:
    """In-sample error of the seasonal naive forecast, one a series: the denominator of `mase`.

    history: float[..., h], oldest first; returns float64[...], mean |y[t] - y[t - season]| over the pairs without a
    gap, NaN where there is none. Source: Hyndman & Koehler, "Another look at measures of forecast accuracy" (2006).
    """
    steps = np.abs(history[..., season:].astype(np.float64) - history[..., :-season])
    known = ~np.isnan(steps)
    count = known.sum(axis=-1)
    total = np.where(known, steps, 0.0).sum(axis=-1)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(count), np.nan), where=count > 0))


def mase(pred: Floats, truth: Floats, scale: Floats) -> float:
    """Mean absolute scaled error: each series' MAE over its `seasonal_scale`, then the mean over series.

    pred, truth: float[n, h]; scale: float[n]. A series whose scale is NaN or 0 has no scaled error and is left out.
    """
    errors = np.abs(_errors(pred, truth))
    per_series = np.array([_mean(row) for row in errors], dtype=np.float64)
    usable = scale > 0
    return _mean(per_series[usable] / scale[usable])


def pinball(pred: Floats, truth: Floats, q: float) -> float:
    """Mean pinball (quantile) loss of `pred` as the q-quantile of `truth`; 0 < q < 1.

    Source: Koenker & Bassett, "Regression quantiles" (1978): q * e where the truth lies above (e = truth - pred >= 0),
    (q - 1) * e where it lies below.
    """
    below_by = -_errors(pred, truth)
    return _mean(np.maximum(q * below_by, (q - 1.0) * below_by))


def interval_coverage(p90: Floats, truth: Floats) -> float:
    """Share of truths at or under the P90; 0.9 is right."""
    over_by = _errors(p90, truth)
    return _mean((over_by[~np.isnan(over_by)] >= 0).astype(np.float64))


def window_regret(chosen: Floats, best: Floats, mean: Floats) -> Regret:
    """(chosen - best) / (mean - best) over n VM-days; each float[n], in percent.

    chosen: true load in the chosen window; best: in the best possible one; mean: the day's. A VM-day with a missing
    span must come with NaN in one of them: it does not count.
    """
    excess, room = _errors(chosen, best), _errors(mean, best)
    complete = ~(np.isnan(excess) | np.isnan(room))
    excess, room = excess[complete], room[complete]
    counts, clear = room >= MACRO_FLOOR_PCT, room >= CLEAR_FLOOR_PCT
    total = float(room.sum())
    return Regret(
        macro=_mean(excess[counts] / room[counts]),
        macro_ge_1=_mean(excess[clear] / room[clear]),
        pooled=float(excess.sum()) / total if total > 0 else float("nan"),
        vm_days=int(counts.sum()),
    )


def hit_rate(chosen: Floats, candidates: Floats) -> float:
    """Share of VM-days whose chosen window is among the quietest tenth of that day's windows.

    chosen: float[n], true load in the chosen window; candidates: float[n, w], true load in every window that could
    have been chosen. A hit has fewer than a tenth of the candidates strictly quieter than it, so on a day that is
    flat all over any choice hits. A VM-day with a gap in any candidate does not count.
    """
    if candidates.shape[:-1] != chosen.shape:
        raise _shape_error("candidates", f"{chosen.shape} and one more axis", candidates.shape)
    complete = ~(np.isnan(chosen) | np.isnan(candidates).any(axis=-1))
    quieter = (candidates[complete] < chosen[complete][:, None]).mean(axis=-1)
    return _mean((quieter < QUIET_SHARE).astype(np.float64))


def _errors(pred: Floats, truth: Floats) -> Doubles:
    """pred - truth in float64. BadInput where the shapes differ: numpy would broadcast them into nonsense."""
    if pred.shape != truth.shape:
        raise _shape_error("arrays to score", str(truth.shape), pred.shape)
    return np.asarray(pred, dtype=np.float64) - np.asarray(truth, dtype=np.float64)


def _mean(values: Doubles) -> float:
    """Mean of what is known, NaN where nothing is (numpy's nanmean warns there)."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _shape_error(what: str, expected: str, got: tuple[int, ...]) -> BadInput:
    return BadInput(what, expected=f"shape {expected}", got=f"shape {got}", remedy="Pass one value a VM-day or hour.")
