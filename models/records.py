"""From predictions to what is stored of each VM: hours in 0.01 %, the inside of an hour, and how quiet each step is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.forecast import COVERAGE_ONE, FORECAST_DTYPE, NO_START, SHAPE_ONE, Floats, History
from models.inside import inside_hours
from models.ladder import Served, State
from models.quiet import quietness

LEAST_SPREAD_PCT = np.float32(0.1)

Doubles = npt.NDArray[np.float64]
Records = npt.NDArray[np.void] | np.void


def pack(history: History, state: State, served: Served) -> npt.NDArray[np.void]:
    """The stored records of n VMs, FORECAST_DTYPE[n]; `best` and `created_at` are the caller's to fill in."""
    records = np.zeros(len(served.rung), dtype=FORECAST_DTYPE)
    inside_pct = inside_hours(history, _spread(served.prediction.mean))
    for name in ("mean", "p50", "p90"):
        hundredths = np.rint(getattr(served.prediction, name) * 100)
        records[name] = np.nan_to_num(np.clip(hundredths, 0, NO_START - 1), nan=0.0)
    records["quiet"] = quietness(served.prediction.rank, inside_pct)
    scale = np.abs(inside_pct).max(axis=1)
    unit = np.divide(inside_pct, scale[:, None], out=np.zeros_like(inside_pct), where=scale[:, None] > 0)
    records["inside"], records["scale"] = np.rint(unit * SHAPE_ONE), scale
    records["data_through"] = state.data_through
    records["rung"], records["reason"] = served.rung, served.reason
    records["coverage"] = np.rint(state.coverage * COVERAGE_ONE)
    records["best"] = NO_START
    return records


def mean_and_spread(records: Records) -> tuple[Doubles, Doubles]:
    """A record's mean load and the mean distance of its P50 and P90, percent: what `calibration.hope_of` goes by.

    records: FORECAST_DTYPE[n], or one record (np.void); float64[n] each, or float64[].
    """
    spread = (records["p90"].astype(np.float64) - records["p50"]).mean(axis=-1)
    return np.asarray(records["mean"].mean(axis=-1) / 100.0), np.asarray(spread / 100.0)


def _spread(mean: Floats) -> Floats:
    """How far a record's mean stands above its quietest hour, float32[n], percent; 0.1 where nothing is forecast."""
    spread = mean.mean(axis=1) - mean.min(axis=1)
    return np.asarray(np.nan_to_num(spread) + LEAST_SPREAD_PCT, dtype=np.float32)
