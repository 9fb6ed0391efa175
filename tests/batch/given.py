"""Recorded fleets by hand."""

from __future__ import annotations

import numpy as np

from batch.recorded import Recorded
from tests.models.given import END, Floats


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


def hourly_fleet(hours: Floats, end: int = END) -> Recorded:
    """A fleet whose load moves between its hours only."""
    return fleet_of(np.repeat(hours, 12, axis=1), end)
