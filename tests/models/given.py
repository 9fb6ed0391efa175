"""Histories by hand, and a seeded fleet whose load can be learned: daily and weekly rhythm, drifting level, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.calibration import BINS, QUANTILES, Calibration, Chosen
from models.forecast import History
from models.sureness import as_said

Floats = npt.NDArray[np.float32]
END = 60 * 24 * 20_000  # a midnight UTC; day 20,000 is 2024-10-04, a Friday


def history_of(mean: npt.ArrayLike, end: int = END, timezones: Sequence[str] = (), kind: Sequence[int] = ()) -> History:
    """A history with these hourly means, float[n, h]; a full count wherever one is known."""
    values = np.array(mean, dtype=np.float32)
    n = len(values)
    return History(
        end=end,
        mean=values,
        count=np.where(np.isnan(values), 0, 60).astype(np.uint8),
        interval_min=np.ones(n, np.uint8),
        vcpus=np.full(n, 2, np.float32),
        kind=np.array(kind or [0] * n, np.int32),
        host=np.full(n, -1, np.int32),
        created_at=np.full(n, end - values.shape[1] * 60, np.int64),
        timezones=tuple(timezones) or ("UTC",) * n,
        shape=np.zeros((n, 288), np.int8),
        scale=np.zeros((n, 24), np.float32),
    )


def rhythm(vms: int, hours: int, seed: int) -> Floats:
    """float32[vms, hours] ending at END: a daily wave, half of it at weekends, a level that drifts, noise."""
    rng = np.random.default_rng(seed)
    hour = END // 60 - hours + np.arange(hours)
    weekend = (hour // 24 + 3) % 7 >= 5
    level = rng.uniform(5, 40, (vms, 1)) * np.exp(rng.normal(0, 0.03, (vms, hours)).cumsum(axis=1))
    wave = 1 + 0.6 * np.sin((hour + rng.integers(0, 24, (vms, 1))) * (2 * np.pi / 24))
    load = level * wave * np.where(weekend, 0.5, 1.0) * rng.normal(1, 0.1, (vms, hours))
    return np.asarray(np.clip(load, 0, 100), dtype=np.float32)


def table_of(*quantiles: npt.ArrayLike, lengths_min: Sequence[int] = (10,)) -> Calibration:
    """A calibration with these ratios' quantiles, a row a length, of whose windows' regrets nobody knows."""
    rows = np.array([np.broadcast_to(row, QUANTILES) for row in quantiles], dtype=np.float32)
    nobody = np.empty((len(rows), 0), np.float32)
    return Calibration(tuple(lengths_min), rows, nobody, nobody, np.tile(as_said(), (len(rows), 1)).astype(np.float32))


def regretting(calibration: Calibration) -> Calibration:
    """The same, with a regret of 1 where a window promises nothing, falling by 0.1 a spread of hope to 0.3."""
    bins = np.arange(BINS, dtype=np.float32)
    hope = np.broadcast_to(bins, (len(calibration.lengths_min), BINS))
    return replace(calibration, hope=hope, regret=1 - hope / np.float32(10))


def chosen_of(ratio: npt.ArrayLike) -> Chosen:
    """Chosen windows of which only the ratio is known."""
    ratios = np.asarray(ratio, dtype=np.float64)
    return Chosen(ratios, np.full(ratios.shape, np.nan), np.full(ratios.shape, np.nan))
