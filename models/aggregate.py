"""Minutes to 5-minute and hourly means and counts: the one function for stream and batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CHUNK_COLUMNS = 32_768  # the running sums stay in the cache; measured best of 4,096 to 65,536


class Aggregate(NamedTuple):
    """mean: float32[columns], percent, NaN where there is no sample; count: uint8[columns], samples behind it."""

    mean: npt.NDArray[np.float32]
    count: npt.NDArray[np.uint8]


def aggregate(minutes: npt.NDArray[np.float32]) -> Aggregate:
    """Mean and count over the first axis of float32[m, columns]; NaN = gap, no value below 0, m at most 255.

    Minutes are added one by one in float64 in their order, so that a column's bits depend neither on the columns
    beside it nor on the shape of the array (numpy's own sum would add pairwise where a column stands alone).
    """
    columns = minutes.shape[1]
    mean = np.empty(columns, dtype=np.float32)
    count = np.empty(columns, dtype=np.uint8)
    for start in range(0, columns, CHUNK_COLUMNS):
        part = slice(start, min(start + CHUNK_COLUMNS, columns))
        mean[part], count[part] = _aggregate_chunk(minutes[:, part])
    return Aggregate(mean, count)


def _aggregate_chunk(minutes: npt.NDArray[np.float32]) -> Aggregate:
    columns = minutes.shape[1]
    total = np.zeros(columns, dtype=np.float64)
    count = np.zeros(columns, dtype=np.uint8)
    there = np.empty(columns, dtype=np.bool_)
    value = np.empty(columns, dtype=np.float32)
    for line in minutes:
        np.equal(line, line, out=there)  # false for NaN only
        count += there
        np.fmax(line, np.float32(0), out=value)  # NaN becomes 0 and no sample is negative: half the time of where=
        total += value
    with np.errstate(invalid="ignore"):
        mean = (total / count).astype(np.float32)
    return Aggregate(mean, count)
