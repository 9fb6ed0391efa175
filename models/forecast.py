"""The record that the forecast step writes and every answer is made from, and what makes it.

A forecast covers HOURS hours from the first open one, so that 24 are still promised when it is asked at minute 59.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from models.minutes import HOUR_MIN, STEP_MIN, Minute

HOURS = 26
STARTS = HOURS * HOUR_MIN // STEP_MIN
HISTORY_HOURS = 336
NO_START = 65_535
SHAPE_ONE = 127.0  # `inside` of a record and `shape` of a profile are in 1/127 of their scale
COVERAGE_ONE = 200.0  # `coverage` of a record is in 1/200

Floats = npt.NDArray[np.float32]


class Rung(IntEnum):
    """Which step of the fallback ladder answered."""

    REFUSED = 0
    KIND = 1
    HOUR_OF_DAY = 2
    CHAMPION = 3


class Reason(IntEnum):
    """Why a VM has no forecast, or why one is not of the champion's rung."""

    NONE = 0
    NO_DATA = 1
    SHORT_HISTORY = 2
    STALE = 3
    GAPS = 4
    MODEL_MISSING = 5
    UNKNOWN = 6
    CONSTRAINTS = 7


# One VM's forecast as stored: VM-major, so that one VM is read without its 2,499 neighbours.
# mean, p50, p90: 0.01 % of the allocation, a value an hour. quiet: 255 is the quietest 5-minute start of the record,
# 0 the busiest. best: index of the 5-minute start of the default window (NO_START: none). data_through: epoch minute,
# exclusive. coverage: data_coverage_7d in 1/200. inside, scale: in the k-th 5 minutes of an hour the load stands
# inside[k] / 127 * scale points above the hour's mean.
FORECAST_DTYPE = np.dtype(
    [
        ("mean", "<u2", HOURS),
        ("p50", "<u2", HOURS),
        ("p90", "<u2", HOURS),
        ("quiet", "u1", STARTS),
        ("best", "<u2"),
        ("data_through", "<i4"),
        ("created_at", "<i4"),
        ("rung", "u1"),
        ("reason", "u1"),
        ("coverage", "u1"),
        ("inside", "i1", HOUR_MIN // STEP_MIN),
        ("scale", "<f4"),
    ]
)


@dataclass(frozen=True, slots=True)
class History:
    """What is known of n VMs at `end`, the start of the first open hour.

    mean: float32[n, h], hourly mean in percent, NaN = gap; column j is the hour that starts at end - (h - j) * 60.
    count: uint8[n, h], samples behind each mean. interval_min: uint8[n], the declared interval.
    vcpus: float32[n], NaN = unknown. kind: int32[n], a code of (size, cluster); host: int32[n], one of the host, -1 =
    unknown. created_at: int64[n], when the life began. timezones: names, one a VM.
    shape: int8[n, 288] and scale: float32[n, 24], the day's 5-minute profile: in the 5-minute step s of the UTC day the
    load stands shape[:, s] / 127 * scale[:, s // 12] points above its hour's mean; scale 0 = not known yet.
    """

    end: Minute
    mean: Floats
    count: npt.NDArray[np.uint8]
    interval_min: npt.NDArray[np.uint8]
    vcpus: Floats
    kind: npt.NDArray[np.int32]
    host: npt.NDArray[np.int32]
    created_at: npt.NDArray[np.int64]
    timezones: tuple[str, ...]
    shape: npt.NDArray[np.int8]
    scale: Floats


class Prediction(NamedTuple):
    """mean, p50, p90: float32[n, HOURS] in percent, from `History.end` on; NaN where a forecaster can say nothing.

    rank: float32[n, HOURS], what the choice of a window goes by, the lower the quieter; in percent, but only its order
    and its distances within a VM mean something (a point of it weighs as a point of load inside an hour).
    """

    mean: Floats
    p50: Floats
    p90: Floats
    rank: Floats


class Forecaster(Protocol):
    """Anything that turns n histories into n predictions; `rung` and `name` say in the answer who spoke."""

    name: str
    rung: Rung

    def predict(self, history: History) -> Prediction:
        """Prediction of the HOURS hours from `history.end` on."""
        ...


def slice_history(history: History, end: Minute) -> History:
    """The same VMs as known at `end`, an earlier or the same whole hour: the columns that end there (views, no copies).

    Shape, scale and kind are left as they are. ValueError where `end` is not the end of one of the columns.
    """
    hours = history.mean.shape[1]
    cut, rest = divmod(history.end - end, HOUR_MIN)
    if rest or not 0 <= cut < hours:
        first = history.end - (hours - 1) * HOUR_MIN
        raise ValueError(f"end of a slice: expected a whole hour from {first} to {history.end}, got {end}")
    keep = slice(0, hours - cut)
    return replace(history, end=end, mean=history.mean[:, keep], count=history.count[:, keep])


def take_vms(history: History, rows: npt.NDArray[np.int64]) -> History:
    """The history of the VMs at `rows` (int64[k], any order), as copies."""
    return replace(
        history,
        mean=history.mean[rows],
        count=history.count[rows],
        interval_min=history.interval_min[rows],
        vcpus=history.vcpus[rows],
        kind=history.kind[rows],
        host=history.host[rows],
        created_at=history.created_at[rows],
        timezones=tuple(history.timezones[row] for row in rows),
        shape=history.shape[rows],
        scale=history.scale[rows],
    )
