"""How sure chosen windows are: choose as the forecast step would have, at held-out origins, and see what came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.calibration import LENGTHS_MIN, QUANTILES, Calibration, fit, ratio_of
from models.daily import mean_known
from models.fleet import Vm
from models.forecast import NO_START, STARTS, Floats, Forecaster, History, slice_history
from models.minutes import DAY_MIN, HOUR_MIN, STEP_MIN, Minute, Span
from models.quiet import default_starts, quietness
from stream.stores.protocols import METRIC_CPU, Series

PAST_DAYS = 7
_HOUR_STEPS = HOUR_MIN // STEP_MIN


def calibrate_windows(
    series: Series, vms: Sequence[Vm], forecaster: Forecaster, history: History, origins: Sequence[Minute]
) -> Calibration | None:
    """Calibration from one chosen window a VM, length and origin; None where there are too few to say anything."""
    ratios: dict[int, list[npt.NDArray[np.float64]]] = {length: [] for length in LENGTHS_MIN}
    for origin in origins:
        past, came = _steps(series, vms, origin)
        said = forecaster.predict(slice_history(history, origin))
        inside = _inside(past)
        quiet = quietness(said.mean, inside)
        p50, p90 = (_on_grid(values, inside) for values in (said.p50, said.p90))
        for length in LENGTHS_MIN:
            steps = length // STEP_MIN
            best = default_starts(quiet, np.ones(STARTS, np.bool_), steps, 0, DAY_MIN // STEP_MIN)
            rows = np.flatnonzero(best != NO_START)
            columns = best[rows, None].astype(np.int64) + np.arange(steps)
            means = [values[rows[:, None], columns].mean(axis=1) for values in (came, p50, p90)]
            ratios[length].append(ratio_of(*means))
    found = {length: np.concatenate(parts) for length, parts in ratios.items()}
    if min(int(np.count_nonzero(~np.isnan(r))) for r in found.values()) < QUANTILES:
        return None
    return fit(found)


def _steps(series: Series, vms: Sequence[Vm], origin: Minute) -> tuple[Floats, Floats]:
    """5-minute means of each VM's present place: the days before `origin` and the record's hours after it."""
    span = Span(origin - PAST_DAYS * DAY_MIN, origin + STARTS * STEP_MIN)
    out = np.empty((len(vms), (span.end - span.start) // STEP_MIN), np.float32)
    blocks = np.array([vm.current.block for vm in vms])
    slots = np.array([vm.current.slot for vm in vms])
    for block in np.unique(blocks):
        mine = np.flatnonzero(blocks == block)
        out[mine] = series.read(METRIC_CPU, STEP_MIN, [int(block)], span).mean[:, slots[mine]].T
    return out[:, :-STARTS], out[:, -STARTS:]


def _inside(past: Floats) -> Floats:
    """float32[n, 12]: points above its hour's mean in each 5 minutes of an hour, over the days before."""
    hours = past.reshape(len(past), -1, _HOUR_STEPS)
    inside = mean_known(hours - mean_known(hours, axis=2)[:, :, None], axis=1)
    return np.nan_to_num(inside, nan=0.0)


def _on_grid(level: Floats, inside: Floats) -> Floats:
    grid: Floats = np.maximum(level[:, :, None] + inside[:, None, :], np.float32(0)).reshape(len(level), STARTS)
    return grid
