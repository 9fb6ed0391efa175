"""The champion's heads: gradient-boosted trees for the mean, the median and the P90 of each hour.

Every head learns (load - floor) / spread, so that a VM idling at 2 % and one working at 80 % are learned from alike,
and what the trees do not know stays the floor's. This is the only file that knows XGBoost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xgboost as xgb

from models.conformal import CELLS, fit_widening, widen
from models.daily import MAX_LOAD_PCT
from models.errors import SetError
from models.features import FEATURES, FLOOR, SPREAD, features
from models.forecast import HOURS, Floats, History, Prediction, Rung, take_vms

CHUNK_VMS = 10_000
WIDENING_FILE = "p90_widening.json"
UBJ_START = b"{L"  # without it XGBoost 3.2 may abort the process (an empty file does)


@dataclass(frozen=True, slots=True)
class Head:
    """How one head is trained. Rows weigh spread ** weight_power: 0 counts VMs alike, 1 counts percent points."""

    objective: Mapping[str, Any]
    depth: int
    weight_power: float


# Measured on Bitbrains (July → August) and Azure: √spread is the compromise for both; a strong lambda keeps the mean
# near the floor where months differ; more rounds or depth fit the past month better and the next one worse.
HEADS = {
    "mean": Head({"objective": "reg:squarederror", "reg_lambda": 1000.0}, depth=5, weight_power=0.5),
    "p50": Head({"objective": "reg:quantileerror", "quantile_alpha": 0.5, "min_child_weight": 100.0}, 5, 0.5),
    "p90": Head({"objective": "reg:quantileerror", "quantile_alpha": 0.9, "min_child_weight": 100.0}, 4, 0.0),
}
P50, P90 = list(HEADS).index("p50"), list(HEADS).index("p90")
ROUNDS = 60
MAX_BIN = 128
COMMON = {
    "eta": 0.1,
    "subsample": 0.7,
    "colsample_bytree": 0.7,
    "tree_method": "hist",
    "max_bin": MAX_BIN,
    "verbosity": 0,
}


@dataclass(frozen=True, slots=True)
class Effort:
    """seed: same data, seed and threads give the same trees. device: XGBoost's `cpu` or `cuda`."""

    seed: int
    threads: int
    device: str = "cpu"


@dataclass(slots=True, eq=False)
class XgbForecaster:
    """Trained heads as a `Forecaster`. boosters: by head; widening: float32[CELLS], spreads (see `conformal`)."""

    name: str
    boosters: Mapping[str, xgb.Booster]
    widening: Floats
    rung: Rung = Rung.CHAMPION

    def predict(self, history: History) -> Prediction:
        """See `Forecaster`; NaN for VMs without a known hour in the last 14 days. 10,000 VMs at a time."""
        n = len(history.mean)
        loads = np.empty((n * HOURS, len(HEADS)), np.float32)
        for start in range(0, n, CHUNK_VMS):
            rows = np.arange(start, min(start + CHUNK_VMS, n))
            X = features(take_vms(history, rows))
            loads[start * HOURS : start * HOURS + len(X)] = self.predict_rows(X)
        mean, p50, p90 = (np.ascontiguousarray(head) for head in loads.reshape(n, HOURS, len(HEADS)).transpose(2, 0, 1))
        return Prediction(mean, p50, p90)

    def predict_rows(self, X: Floats) -> Floats:
        """mean, p50, p90 for rows of `features`: float32[rows, 3], percent within 0 and 100, p50 <= p90."""
        loads = _raw_loads(self.boosters, X)
        loads[:, P90] = np.minimum(widen(X, loads[:, P90], self.widening), np.float32(MAX_LOAD_PCT))
        return loads


def train(X: Floats, y: Floats, effort: Effort, progress: Callable[[str, float], None]) -> XgbForecaster:
    """Fit every head on X float32[rows, features] and loads y float32[rows] in percent; none may be NaN in y or floor.

    `progress(what, share)` is called before each head. The P90 is not corrected yet: see `calibrate`.
    """
    target = (y - X[:, FLOOR]) / X[:, SPREAD]
    data = xgb.QuantileDMatrix(X, target, feature_names=list(FEATURES), max_bin=MAX_BIN, nthread=effort.threads)
    boosters = {}
    for index, (name, head) in enumerate(HEADS.items()):
        progress(f"training the {name}", index / len(HEADS))
        data.set_weight(X[:, SPREAD] ** head.weight_power)
        machine = {"seed": effort.seed, "nthread": effort.threads, "device": effort.device}
        boosters[name] = xgb.train({**COMMON, **head.objective, "max_depth": head.depth, **machine}, data, ROUNDS)
    return XgbForecaster("untitled", boosters, np.zeros(CELLS, np.float32))


def calibrate(forecaster: XgbForecaster, X: Floats, y: Floats) -> XgbForecaster:
    """The same heads with a P90 widened by what held-out rows (later days than the trained ones) show."""
    return replace(forecaster, widening=fit_widening(X, _raw_loads(forecaster.boosters, X)[:, P90], y))


def to_files(forecaster: XgbForecaster) -> dict[str, bytes]:
    """A UBJ file for each head and the P90's widening as JSON: what `from_files` reads."""
    files = {f"{head}.ubj": bytes(forecaster.boosters[head].save_raw("ubj")) for head in HEADS}
    return {**files, WIDENING_FILE: json.dumps(forecaster.widening.tolist()).encode()}


def from_files(files: Mapping[str, bytes], name: str, *, threads: int, device: str = "cpu") -> XgbForecaster:
    """The forecaster that `to_files` wrote; SetError where a file is missing or cannot be read."""
    try:
        boosters = {head: _booster(files[f"{head}.ubj"], threads, device) for head in HEADS}
        widening = np.array(json.loads(files[WIDENING_FILE]), dtype=np.float32)
    except (KeyError, ValueError, TypeError, xgb.core.XGBoostError) as error:
        raise _broken(name, f"{type(error).__name__}: {error}") from error
    if widening.shape != (CELLS,):
        raise _broken(name, f"{WIDENING_FILE} of shape {widening.shape}")
    return XgbForecaster(name, boosters, widening)


def _booster(data: bytes, threads: int, device: str) -> xgb.Booster:
    if not data.startswith(UBJ_START):
        raise ValueError(f"a head of {len(data)} bytes that are not UBJ")
    booster = xgb.Booster(model_file=bytearray(data))
    booster.set_param({"nthread": threads, "device": device})
    return booster


def _raw_loads(boosters: Mapping[str, xgb.Booster], X: Floats) -> Floats:
    """mean, p50, p90 before the widening: float32[rows, 3], percent, clipped, p50 <= p90."""
    loads: Floats = np.stack([boosters[head].inplace_predict(X) for head in HEADS], axis=1)
    loads = np.clip(loads * X[:, [SPREAD]] + X[:, [FLOOR]], np.float32(0), np.float32(MAX_LOAD_PCT))
    loads[:, P90] = np.maximum(loads[:, P90], loads[:, P50])
    return loads


def _broken(name: str, got: str) -> SetError:
    return SetError(
        f"model set {name}", expected="a UBJ file for each head and the widening", got=got, remedy="Train a new set."
    )
