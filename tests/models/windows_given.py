"""Records by hand and by chance, and what their windows are when minutes are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from models.forecast import FORECAST_DTYPE, HOURS
from models.quiet import RECORD_MIN, quietness

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[Any]
FLAT_INSIDE = np.zeros(12, dtype=np.float32)


def hours(*values: float) -> Floats:
    """The given levels hour by hour, the last one to the end of the record."""
    return np.array([*values, *[values[-1]] * (HOURS - len(values))], dtype=np.float32)


def record_of(level: Numbers, inside: Numbers = FLAT_INSIDE, spread: float = 2.0) -> np.void:
    """A record with this hourly level as mean and P50, the P90 `spread` points above; inside: int8[12] at scale 127."""
    record = np.zeros(1, dtype=FORECAST_DTYPE)
    record["mean"], record["p50"] = np.rint(level * 100), np.rint(level * 100)
    record["p90"] = np.rint((level + spread) * 100)
    record["inside"], record["scale"] = inside, 127.0
    record["quiet"] = quietness(np.atleast_2d(level).astype(np.float32), np.atleast_2d(inside).astype(np.float32))
    return np.void(record[0])


def loads_by_minute(record: np.void) -> tuple[Numbers, Numbers]:
    """Quietness and mean load at every minute of the record."""
    step = np.arange(RECORD_MIN) // 5
    mean = record["mean"][step // 12] / 100 + record["inside"][step % 12] / 127 * float(record["scale"])
    return record["quiet"][step], np.maximum(mean, 0)


records = st.builds(
    lambda level, inside, spread: record_of(np.array(level), np.array(inside), spread),
    st.lists(st.floats(0, 100), min_size=HOURS, max_size=HOURS),
    st.lists(st.integers(-20, 40), min_size=12, max_size=12),
    st.floats(0, 30),
)
