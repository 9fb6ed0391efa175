"""Recorded fleets by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch.recorded import Recorded
from tests.models.given import END, Floats, rhythm


def fleet_of(steps: Floats, end: int = END) -> Recorded:
    """A fleet with these 5-minute means, float32[n, 12 * h], a sample each, that ends at `end`."""
    known = ~np.isnan(steps)
    by_hour = (len(steps), -1, 12)
    counts = known.reshape(by_hour).sum(axis=2)
    total = np.where(known, steps, 0).reshape(by_hour).sum(axis=2)
    hours = np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0).astype(np.float32)
    ids = tuple(f"vm-{k}" for k in range(len(steps)))
    start = end - steps.shape[1] * 5
    return Recorded(ids, start, 5, steps, known.astype(np.uint8), hours, counts.astype(np.uint8))


def write_trace(path: Path) -> None:
    """A trace of twelve VMs with a daily rhythm: 16 days of 5-minute samples from END on."""
    steps = np.repeat(rhythm(12, 24 * 16, seed=2), 12, axis=1)
    ids = np.repeat([f"vm-{k}" for k in range(len(steps))], steps.shape[1])
    ts_s = END * 60 + np.tile(300 * np.arange(steps.shape[1]), len(steps))
    pq.write_table(pa.table({"vm": ids, "ts": ts_s, "cpu": steps.ravel()}), path)


def unwatched(share: float, what: str) -> None:
    """A progress that nobody watches."""


def hourly_fleet(hours: Floats, end: int = END) -> Recorded:
    """A fleet whose load moves between its hours only."""
    return fleet_of(np.repeat(hours, 12, axis=1), end)
