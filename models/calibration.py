"""How sure a chosen window is: the forecast's own P50 and P90, corrected by what happened in windows chosen before.

Choosing the quietest window picks forecasts that erred on the low side, so the P90 of a chosen window is not the P90
of an hour. A calibration keeps, for some lengths of window, the distribution of

    ratio = (true mean load in the chosen window - p50) / max(p90 - p50, SMALL_PCT)

as its quantiles at PROBABILITIES. P(load <= max_load) is then the share of ratios at or under max_load's own ratio.

It also keeps what regret such windows had by how much they promised: the hope of a window is how far it is expected to
stand under its record's mean, in spreads of the record. Regret falls as hope rises; where little is hoped for, the
choice is little better than any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import BadInput, SetError
from models.sureness import KNOTS, SHARES, as_said, fit_sureness

LENGTHS_MIN = (10, 30, 60, 120)  # the lengths that a set is calibrated for
QUANTILES = 65
BINS = 8  # of hope
TABLES = ("quantiles", "hope", "regret", "sure")
# i / (m + 1), Weibull's plotting positions: a table of m quantiles says nothing beyond its ends, so no confidence
# is under 1/66 or over 65/66.
PROBABILITIES: npt.NDArray[np.float64] = np.arange(1, QUANTILES + 1) / (QUANTILES + 1)
SMALL_PCT = 0.1  # a spread under a tenth of a point is noise, and an idle VM's is 0

Doubles = npt.NDArray[np.float64]
Load = float | npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """By length of window, lengths_min rising. quantiles: float32[lengths, QUANTILES], of the ratio.

    hope, regret: float32[lengths, BINS], rising and falling: the mean regret of windows that promised so much; both of
    no bins where nobody has measured it. sure: float32[lengths, KNOTS], what a share of ratios is worth (`sureness`).
    """

    lengths_min: tuple[int, ...]
    quantiles: npt.NDArray[np.float32]
    hope: npt.NDArray[np.float32]
    regret: npt.NDArray[np.float32]
    sure: npt.NDArray[np.float32]


class Chosen(NamedTuple):
    """Windows of one length that were chosen, float64[n] each: `ratio_of`, `hope_of` and regret; NaN = not known."""

    ratio: Doubles
    hope: Doubles
    regret: Doubles


def ratio_of(load_pct: Load, p50_pct: Load, p90_pct: Load) -> Doubles:
    """Where a load lies between the forecast's P50 (0) and P90 (1); a gap (NaN) stays one."""
    return (np.asarray(load_pct, dtype=np.float64) - p50_pct) / _spread(p50_pct, p90_pct)


def hope_of(expected_pct: Load, record_mean_pct: Load, record_spread_pct: Load) -> Doubles:
    """How much less load a window promises than its record's mean, in the record's mean distance of P50 and P90."""
    promised = np.asarray(record_mean_pct, dtype=np.float64) - expected_pct
    return np.asarray(promised / np.maximum(np.asarray(record_spread_pct, dtype=np.float64), SMALL_PCT))


def fit(chosen: Mapping[int, Chosen]) -> Calibration:
    """Calibration from chosen windows by length in minutes; what is not known (NaN) is left out.

    BadInput where no length is given, or one has fewer than QUANTILES ratios.
    """
    if not chosen:
        raise _too_few("no length at all")
    rows, tables = [], []
    for length in sorted(chosen):
        known = chosen[length].ratio[~np.isnan(chosen[length].ratio)]
        if known.size < QUANTILES:
            raise _too_few(f"{known.size} of {length} minutes")
        rows.append(np.quantile(known.astype(np.float64), PROBABILITIES, method="weibull"))
        tables.append(_regret_table(chosen[length]))
    hope, regret = np.array(tables, dtype=np.float32).transpose(1, 0, 2)
    return Calibration(tuple(sorted(chosen)), np.array(rows, dtype=np.float32), hope, regret, _sure(len(rows)))


def assured(calibration: Calibration, observed: Mapping[int, tuple[Doubles, Doubles]]) -> Calibration:
    """The same with what was observed: for each of its lengths, `share_of` and whether it came so (`fit_sureness`)."""
    rows = [fit_sureness(*observed[length]) for length in calibration.lengths_min]
    return replace(calibration, sure=np.array(rows, dtype=np.float32))


def expected_regret(calibration: Calibration, hope: Load, minutes: int) -> Doubles:
    """Mean regret of windows of this length that promised as much; NaN where the calibration does not know."""
    if not calibration.hope.shape[1]:
        return np.full(np.shape(hope), np.nan)
    hopes, regrets = _row(calibration, "hope", minutes), _row(calibration, "regret", minutes)
    return np.asarray(np.interp(np.asarray(hope, dtype=np.float64), hopes, regrets))


def _regret_table(chosen: Chosen) -> tuple[Doubles, Doubles]:
    """Mean hope and mean regret in BINS equal shares of the windows by hope, the regret made falling.

    Pooling adjacent violators gives the falling sequence that is nearest (Ayer et al. 1955; Barlow et al. 1972).
    """
    known = ~(np.isnan(chosen.hope) | np.isnan(chosen.regret))
    if np.count_nonzero(known) < BINS:
        return np.arange(BINS, dtype=np.float64), np.full(BINS, np.nan)
    order = np.argsort(chosen.hope[known], kind="stable")
    shares = np.array_split(order, BINS)
    hope = np.array([chosen.hope[known][share].mean() for share in shares])
    regret = [[float(chosen.regret[known][share].mean()), 1] for share in shares]
    pooled: list[list[float]] = []
    for value, weight in regret:
        pooled.append([value, weight])
        while len(pooled) > 1 and pooled[-2][0] < pooled[-1][0]:
            last, before = pooled.pop(), pooled.pop()
            total = last[1] + before[1]
            pooled.append([(last[0] * last[1] + before[0] * before[1]) / total, total])
    return hope, np.repeat([value for value, _ in pooled], [int(weight) for _, weight in pooled])


def confidence(calibration: Calibration, p50_pct: Load, p90_pct: Load, max_load_pct: Load, minutes: int) -> Doubles:
    """P(mean load <= max_load_pct) in chosen windows of `minutes`, within 1/66 and 65/66; NaN where the forecast is."""
    share = share_of(calibration, p50_pct, p90_pct, max_load_pct, minutes)
    sure = np.interp(share, SHARES, _row(calibration, "sure", minutes))
    return np.clip(sure, PROBABILITIES[0], PROBABILITIES[-1])


def share_of(calibration: Calibration, p50_pct: Load, p90_pct: Load, max_load_pct: Load, minutes: int) -> Doubles:
    """Share of the table's ratios at or under max_load's own: a confidence before `sureness`."""
    ratio = ratio_of(max_load_pct, p50_pct, p90_pct)
    return np.asarray(np.interp(ratio, _row(calibration, "quantiles", minutes), PROBABILITIES))


def p90_of(calibration: Calibration, p50_pct: Load, p90_pct: Load, minutes: int) -> Doubles:
    """Calibrated P90 of the mean load in chosen windows of `minutes`, percent.

    Kept within 0 and 100, or the forecast's own P90 where that is higher (a VM may run over its allocation).
    """
    share = np.interp(0.9, _row(calibration, "sure", minutes), SHARES)
    q90 = np.interp(share, PROBABILITIES, _row(calibration, "quantiles", minutes))
    p90 = np.asarray(p50_pct, dtype=np.float64) + q90 * _spread(p50_pct, p90_pct)
    return np.asarray(np.clip(p90, 0.0, np.maximum(100.0, p90_pct)))


def to_json(calibration: Calibration) -> bytes:
    """UTF-8 JSON; `from_json` gives the same numbers back, bit for bit."""
    tables = {name: getattr(calibration, name).tolist() for name in TABLES}
    return json.dumps({"lengths_min": calibration.lengths_min, **tables}).encode()


def from_json(data: bytes) -> Calibration:
    """The calibration that `to_json` wrote; SetError where `data` is none."""
    try:
        body = json.loads(data)
        lengths = tuple(int(length) for length in body["lengths_min"])
        quantiles, hope, regret, sure = (np.array(body[name], dtype=np.float32) for name in TABLES)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _broken(f"{type(error).__name__}: {error}") from error
    if quantiles.shape != (len(lengths), QUANTILES) or not lengths:
        raise _broken(f"quantiles of shape {quantiles.shape} for {len(lengths)} lengths")
    if not np.isfinite(quantiles).all() or (np.diff(quantiles) < 0).any() or any(np.diff(lengths) <= 0):
        raise _broken("numbers that are not finite and rising")
    bins = BINS if hope.size else 0
    if hope.shape != (len(lengths), bins) or regret.shape != hope.shape or not (np.diff(hope) >= 0).all():
        raise _broken(f"regrets of shape {regret.shape} by hopes of shape {hope.shape}, or hopes that do not rise")
    if sure.shape != (len(lengths), KNOTS) or not (np.diff(sure) >= 0).all() or sure.min() < 0 or sure.max() > 1:
        raise _broken(f"sureness of shape {sure.shape}, or shares that do not rise from 0 to 1")
    return Calibration(lengths, quantiles, hope, regret, sure)


def _sure(lengths: int) -> npt.NDArray[np.float32]:
    return np.tile(as_said(), (lengths, 1)).astype(np.float32)


def _spread(p50_pct: Load, p90_pct: Load) -> Doubles:
    return np.asarray(np.maximum(np.asarray(p90_pct, dtype=np.float64) - p50_pct, SMALL_PCT))


def _row(calibration: Calibration, table: str, minutes: int) -> Doubles:
    """A table's row for a length, between two lengths in proportion, beyond the ends the end's: float64."""
    place = float(np.interp(minutes, calibration.lengths_min, np.arange(len(calibration.lengths_min))))
    low = int(place)
    high = int(np.ceil(place))
    part = place - low
    below, above = getattr(calibration, table)[[low, high]].astype(np.float64)
    return np.asarray(below + part * (above - below))


def _too_few(got: str) -> BadInput:
    return BadInput(
        "calibration",
        expected=f"at least {QUANTILES} chosen windows of each length",
        got=got,
        remedy="Choose windows on more days of the past, or use calibration.DEFAULT.",
    )


def _broken(got: str) -> SetError:
    return SetError("calibration table", expected="what to_json writes", got=got, remedy="Train the set again.")


def _normal() -> Calibration:
    """What a normal error would do: P90 lies 1.2816 standard deviations above P50."""
    unit = NormalDist()
    ratios = np.array([unit.inv_cdf(float(p)) / unit.inv_cdf(0.9) for p in PROBABILITIES], dtype=np.float32)
    nobody = np.empty((len(LENGTHS_MIN), 0), np.float32)
    return Calibration(LENGTHS_MIN, np.tile(ratios, (len(LENGTHS_MIN), 1)), nobody, nobody, _sure(len(LENGTHS_MIN)))


DEFAULT = _normal()  # for rungs that have no table of their own
