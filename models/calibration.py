"""How sure a chosen window is: the forecast's own P50 and P90, corrected by what happened in windows chosen before.

Choosing the quietest window picks forecasts that erred on the low side, so the P90 of a chosen window is not the P90
of an hour. A calibration keeps, for some lengths of window, the distribution of

    ratio = (true mean load in the chosen window - p50) / max(p90 - p50, SMALL_PCT)

as its quantiles at PROBABILITIES. P(load <= max_load) is then the share of ratios at or under max_load's own ratio.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import BadInput, SetError

LENGTHS_MIN = (10, 30, 60, 120)  # the lengths that a set is calibrated for
QUANTILES = 65
# i / (m + 1), Weibull's plotting positions: a table of m quantiles says nothing beyond its ends, so no confidence
# is under 1/66 or over 65/66.
PROBABILITIES: npt.NDArray[np.float64] = np.arange(1, QUANTILES + 1) / (QUANTILES + 1)
SMALL_PCT = 0.1  # a spread under a tenth of a point is noise, and an idle VM's is 0

Doubles = npt.NDArray[np.float64]
Load = float | npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """Ratio quantiles by length of window. lengths_min: rising; quantiles: float32[len(lengths_min), QUANTILES]."""

    lengths_min: tuple[int, ...]
    quantiles: npt.NDArray[np.float32]


def ratio_of(load_pct: Load, p50_pct: Load, p90_pct: Load) -> Doubles:
    """Where a load lies between the forecast's P50 (0) and P90 (1); a gap (NaN) stays one."""
    return (np.asarray(load_pct, dtype=np.float64) - p50_pct) / _spread(p50_pct, p90_pct)


def fit(ratios: Mapping[int, npt.NDArray[np.floating[Any]]]) -> Calibration:
    """Calibration from ratios (`ratio_of`) of chosen windows by length in minutes; gaps (NaN) are left out.

    BadInput where no length is given, or one has fewer than QUANTILES ratios.
    """
    if not ratios:
        raise _too_few("no length at all")
    rows = []
    for length in sorted(ratios):
        known = ratios[length][~np.isnan(ratios[length])]
        if known.size < QUANTILES:
            raise _too_few(f"{known.size} of {length} minutes")
        rows.append(np.quantile(known.astype(np.float64), PROBABILITIES, method="weibull"))
    return Calibration(tuple(sorted(ratios)), np.array(rows, dtype=np.float32))


def confidence(calibration: Calibration, p50_pct: Load, p90_pct: Load, max_load_pct: float, minutes: int) -> Doubles:
    """P(mean load <= max_load_pct) in chosen windows of `minutes`, within 1/66 and 65/66; NaN where the forecast is."""
    ratio = ratio_of(max_load_pct, p50_pct, p90_pct)
    return np.asarray(np.interp(ratio, _table(calibration, minutes), PROBABILITIES))


def p90_of(calibration: Calibration, p50_pct: Load, p90_pct: Load, minutes: int) -> Doubles:
    """Calibrated P90 of the mean load in chosen windows of `minutes`, percent.

    Kept within 0 and 100, or the forecast's own P90 where that is higher (a VM may run over its allocation).
    """
    q90 = np.interp(0.9, PROBABILITIES, _table(calibration, minutes))
    p90 = np.asarray(p50_pct, dtype=np.float64) + q90 * _spread(p50_pct, p90_pct)
    return np.asarray(np.clip(p90, 0.0, np.maximum(100.0, p90_pct)))


def to_json(calibration: Calibration) -> bytes:
    """UTF-8 JSON; `from_json` gives the same numbers back, bit for bit."""
    body = {"lengths_min": calibration.lengths_min, "quantiles": calibration.quantiles.tolist()}
    return json.dumps(body).encode()


def from_json(data: bytes) -> Calibration:
    """The calibration that `to_json` wrote; SetError where `data` is none."""
    try:
        body = json.loads(data)
        lengths = tuple(int(length) for length in body["lengths_min"])
        quantiles = np.array(body["quantiles"], dtype=np.float32)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _broken(f"{type(error).__name__}: {error}") from error
    if quantiles.shape != (len(lengths), QUANTILES) or not lengths:
        raise _broken(f"quantiles of shape {quantiles.shape} for {len(lengths)} lengths")
    if not np.isfinite(quantiles).all() or (np.diff(quantiles) < 0).any() or any(np.diff(lengths) <= 0):
        raise _broken("numbers that are not finite and rising")
    return Calibration(lengths, quantiles)


def _spread(p50_pct: Load, p90_pct: Load) -> Doubles:
    return np.asarray(np.maximum(np.asarray(p90_pct, dtype=np.float64) - p50_pct, SMALL_PCT))


def _table(calibration: Calibration, minutes: int) -> Doubles:
    """float64[QUANTILES]: the quantiles for a length, between two lengths in proportion, beyond the ends the end's."""
    place = float(np.interp(minutes, calibration.lengths_min, np.arange(len(calibration.lengths_min))))
    low = int(place)
    high = min(low + 1, len(calibration.lengths_min) - 1)
    part = place - low
    below, above = calibration.quantiles[[low, high]].astype(np.float64)
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
    return Calibration(LENGTHS_MIN, np.tile(ratios, (len(LENGTHS_MIN), 1)))


DEFAULT = _normal()  # for rungs that have no table of their own
