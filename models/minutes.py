"""Time as integers: epoch minutes UTC, half-open spans, and the clock that every process reads.

`datetime` exists only at the edges (`parse_iso`, `format_iso`) and in `utc_offsets_min`, which asks the zone database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from models.errors import BadInput

Minute = int  # epoch minutes UTC; 0 is a minute like others

STEP_MIN = 5
HOUR_MIN = 60
DAY_MIN = 1440
DAY_STEPS = DAY_MIN // STEP_MIN
EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0


class Span(NamedTuple):
    """Half-open interval [start, end) of epoch minutes."""

    start: Minute
    end: Minute


def floor_to(minute: Minute, step_min: int) -> Minute:
    """Start of the step of `step_min` minutes that holds `minute` (epoch-aligned, also before 1970)."""
    return minute - minute % step_min


def ceil_to(minute: Minute, step_min: int) -> Minute:
    """First step boundary at or after `minute`."""
    return minute + -minute % step_min


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is for a fleet: one record in the control store, read by every process.

    With a `speed`, time runs from `origin_minute` at wall time `origin_wall_s` (epoch seconds) at `speed` times
    real time: a replay of 2013 is as fresh as now. With `speed` None the clock follows the highest watermark
    (backfill, full speed, benchmarks).
    """

    speed: float | None = None
    origin_minute: float = 0.0
    origin_wall_s: float = 0.0

    def now(self, wall_s: float, watermark: Minute) -> Minute:
        """The fleet's current minute, given the wall clock (epoch seconds) and the highest watermark."""
        if self.speed is None:
            return watermark
        return int(self.origin_minute + (wall_s - self.origin_wall_s) / 60.0 * self.speed)


REAL_TIME = Clock(speed=1.0)


def format_iso(minute: Minute) -> str:
    """`2013-08-31T12:05Z`."""
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")


def parse_iso(text: str) -> Minute:
    """Epoch minute of an ISO 8601 time with a zone; seconds are dropped. BadInput where the zone is missing."""
    remedy = "Write it as 2026-03-10T12:00Z or with an offset such as +05:45."
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("time", expected="an ISO 8601 time", got=repr(text), remedy=remedy) from None
    if moment.tzinfo is None:
        raise BadInput("time", expected="an ISO 8601 time with a zone", got=f"{text!r} without one", remedy=remedy)
    return int(moment.timestamp() // 60)


def check_timezone(name: str) -> str:
    """`name` itself where the zone database has it, else BadInput."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadInput(
            "timezone", expected="an IANA name", got=repr(name), remedy="Write it like Asia/Shanghai or UTC."
        ) from None
    return name


def utc_offsets_min(timezone: str, minutes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Offset of `timezone` from UTC in minutes at each epoch minute; int64, the shape of `minutes`.

    Zone rules change at whole quarter hours at the finest, so one look-up serves a quarter of an hour.
    """
    quarters, where = np.unique(minutes // 15, return_inverse=True)
    offsets = np.array([_quarter_offset_min(timezone, int(q)) for q in quarters], dtype=np.int64)
    return offsets[where].reshape(minutes.shape)


@lru_cache(maxsize=65536)
def _quarter_offset_min(timezone: str, quarter: int) -> int:
    moment = datetime.fromtimestamp(quarter * 900, UTC).astimezone(ZoneInfo(timezone))
    offset = moment.utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)
