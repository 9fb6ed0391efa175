"""Whether what is promised is kept: bounds by class of hour, and the confidence of chosen windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batch.rolling import Asked, Records, starts_of
from batch.windows import DAY_H, load_in, said_of
from models.calibration import DEFAULT, LENGTHS_MIN, Calibration, confidence
from models.conformal import CELLS, LEVELS, cells_of
from models.daily import mean_known, quantile_known
from models.forecast import NO_START, Rung

LEADS = CELLS // LEVELS
BINS = 10
LEAST_WINDOWS = 30  # a bin of fewer says nothing
LEAST_HOURS = 24  # and so does a VM of fewer
MAX_LOADS = (0.5, 0.65, 0.8, 0.9, 0.95)  # as quantiles of the VM's own hours: what its owner might ask for
WEEK_HOURS = 168

Doubles = npt.NDArray[np.float64]


class Bounds(NamedTuple):
    """How often hours lay at or under what was said, of the P50 and the P90.

    overall: float64[2]; vm_p10: of the P90, the tenth percentile over VMs; cells: float64[2, LEADS, LEVELS], by class
    of lead and load (`models.conformal`), NaN where there are no hours; hours: int64[LEADS, LEVELS].
    """

    overall: Doubles
    vm_p10: float
    cells: Doubles
    hours: npt.NDArray[np.int64]


class Kept(NamedTuple):
    """One day's hours, float64[n, h] each: 1 where the truth lay at or under it, 0 where not, NaN where not known.

    cells: int64[n, h], as `models.conformal.cells_of`.
    """

    p50: Doubles
    p90: Doubles
    cells: npt.NDArray[np.int64]


class Sure(NamedTuple):
    """Windows with a max_load each: said, P(mean load <= max_load); kept, whether it was; float64[m]."""

    said: Doubles
    kept: Doubles


class Bins(NamedTuple):
    """Confidence in BINS equal parts of 0 to 1. said, kept: float64[BINS], means, NaN where empty; windows: int64.

    error: mean of |said - kept| over the bins of LEAST_WINDOWS and more; weighted: over the windows.
    """

    said: Doubles
    kept: Doubles
    windows: npt.NDArray[np.int64]
    error: float
    weighted: float


def kept_of(question: Asked, records: Records) -> Kept:
    """What became of the hours of the day; not known where the VM was refused."""
    truth = question.hours[:, : question.day_h].astype(np.float64)
    truth[records["rung"] == Rung.REFUSED] = np.nan
    level = mean_known(question.history.mean[:, -WEEK_HOURS:], axis=1)
    p50, p90 = (_under(truth, records[head][:, : question.day_h] / 100.0) for head in ("p50", "p90"))
    return Kept(p50, p90, cells_of(level, question.day_h))


def bounds_of(days: Sequence[Kept]) -> Bounds:
    """Of the same VMs at several origins."""
    p50, p90, cells = (np.concatenate(columns, axis=1) for columns in zip(*days, strict=True))
    known = ~np.isnan(p90)
    hours = np.bincount(cells[known], minlength=CELLS)
    sums = np.array([np.bincount(cells[known], part[known], CELLS) for part in (p50, p90)])
    by_cell = np.divide(sums, hours, out=np.full(sums.shape, np.nan), where=hours > 0)
    enough = known.sum(axis=1) >= LEAST_HOURS
    by_vm = np.nan_to_num(p90[enough]).sum(axis=1) / known[enough].sum(axis=1)
    return Bounds(
        overall=sums.sum(axis=1) / max(int(hours.sum()), 1),
        vm_p10=float(np.quantile(by_vm, 0.1)) if len(by_vm) else float("nan"),
        cells=by_cell.reshape(2, LEADS, LEVELS),
        hours=hours.reshape(LEADS, LEVELS),
    )


def sure_of(question: Asked, records: Records, calibration: Calibration) -> Sure:
    """The default windows of each length that a set is calibrated for, asked with each of MAX_LOADS.

    As in answers: `calibration` speaks for the champion's, DEFAULT for other rungs.
    """
    said, kept = [], []
    limits = [quantile_known(question.history.mean, q).astype(np.float64) for q in MAX_LOADS]
    ours = records["rung"] == Rung.CHAMPION
    for minutes in LENGTHS_MIN:
        starts = starts_of(records, minutes, DAY_H, whole_hours=False)
        load = load_in(question, starts, minutes)
        _, p50, p90 = said_of(records, starts, minutes)
        for limit in limits:
            usual, own = (confidence(by, p50, p90, limit, minutes) for by in (DEFAULT, calibration))
            sure = np.where(ours, own, usual)
            known = (starts != NO_START) & ~np.isnan(load) & ~np.isnan(sure)
            said.append(sure[known])
            kept.append((load <= limit)[known].astype(np.float64))
    return Sure(np.concatenate(said), np.concatenate(kept))


def bins_of(several: Sequence[Sure]) -> Bins:
    """Said and kept, side by side."""
    said, kept = (np.concatenate(columns) for columns in zip(*several, strict=True))
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    mean_said, mean_kept = (
        np.divide(np.bincount(place, part, BINS), count, out=np.full(BINS, np.nan), where=count > 0)
        for part in (said, kept)
    )
    apart = np.abs(mean_said - mean_kept)
    enough = count >= LEAST_WINDOWS
    return Bins(
        mean_said,
        mean_kept,
        count,
        error=float(apart[enough].mean()) if enough.any() else float("nan"),
        weighted=float(apart[enough] @ count[enough] / count[enough].sum()) if enough.any() else float("nan"),
    )


def _under(truth: Doubles, said: Doubles) -> Doubles:
    return np.where(np.isnan(truth), np.nan, (truth <= said).astype(np.float64))
