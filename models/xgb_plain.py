"""The plain alternative, as anybody would build it: XGBoost on raw percentages, one row an hour, squared error.

It serves nobody. It stands in every table beside what serves, so that what is gained by learning the rank, by features
free of scale and by a student that answers once a VM can be read off.
"""

from __future__ import annotations

import numpy as np
import xgboost as xgb

from models.daily import MAX_LOAD_PCT
from models.effort import Effort
from models.forecast import HOURS, Floats, History, take_vms
from models.hour_features import HOUR_FEATURES, hour_features
from models.xgb_teachers import Lessons

CALENDAR = ("lead_h", "local_hour_h", "local_weekday")
RAW = tuple(k for k, name in enumerate(HOUR_FEATURES) if name.endswith("_pct") or name in CALENDAR)
PROFILE = HOUR_FEATURES.index("profile_pct")  # NaN just where nothing is known of a VM
ROUNDS = 200
PARAMS = {"objective": "reg:squarederror", "max_depth": 6, "eta": 0.1, "tree_method": "hist", "verbosity": 0}
CHUNK_VMS = 10_000


def train(lessons: Lessons, effort: Effort) -> xgb.Booster:
    """Learn the load in percent of every known hour of these days."""
    known = ~np.isnan(lessons.truth)
    rows = np.ascontiguousarray(lessons.X[known][:, RAW])
    data = xgb.QuantileDMatrix(rows, lessons.truth[known], nthread=effort.threads)
    machine = {"seed": effort.seed, "nthread": effort.threads, "device": effort.device}
    return xgb.train({**PARAMS, **machine}, data, ROUNDS)


def forecast(booster: xgb.Booster, history: History) -> Floats:
    """The load to expect of each hour from `history.end` on: float32[n, HOURS], percent within 0 and 100.

    A VM without a known hour is NaN.
    """
    n = len(history.mean)
    said = np.empty((n, HOURS), np.float32)
    for start in range(0, n, CHUNK_VMS):
        rows = np.arange(start, min(start + CHUNK_VMS, n))
        X = hour_features(take_vms(history, rows))
        load = booster.inplace_predict(np.ascontiguousarray(X.reshape(-1, X.shape[2])[:, RAW]))
        blank = np.isnan(X[:, :, PROFILE])
        said[rows] = np.where(blank, np.float32(np.nan), load.reshape(len(rows), HOURS))
    return np.clip(said, np.float32(0), np.float32(MAX_LOAD_PCT))
