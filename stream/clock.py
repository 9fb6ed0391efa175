"""The fleet's clock: one record in the control store that every process reads, and the watermarks that it may follow.

Records: `clock` (the fields of `models.minutes.Clock`; absent: real time) and `watermark/<part>` ({"minute": int}, the
minute up to which that partition's events have been seen).
"""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from models.errors import StoreError
from models.minutes import REAL_TIME, Clock, Minute
from stream.samples import Batch
from stream.stores.overwrite import overwrite
from stream.stores.protocols import Control, Versioned

CLOCK_KEY = "clock"
WATERMARK_PREFIX = "watermark/"


def read_clock(control: Control) -> Clock:
    """The clock in force; real time where none was set. StoreError where the record is not a clock."""
    record = control.get(CLOCK_KEY)
    if record is None:
        return REAL_TIME
    try:
        fields = json.loads(record.value)
        speed = fields["speed"]
        return Clock(
            None if speed is None else float(speed), float(fields["origin_minute"]), float(fields["origin_wall_s"])
        )
    except (ValueError, TypeError, KeyError):
        raise _broken(CLOCK_KEY, "speed, origin_minute and origin_wall_s", record) from None


def write_clock(control: Control, clock: Clock) -> None:
    """Put `clock` in force, whatever was there before."""
    overwrite(control, CLOCK_KEY, json.dumps(asdict(clock)))


def now(control: Control, wall_s: float) -> Minute:
    """The fleet's current minute, given the wall clock (epoch seconds).

    A clock that follows stands at the highest watermark; before the first one, at its origin. StoreError where a
    record is not what it should be.
    """
    clock = read_clock(control)
    if clock.speed is not None:
        return clock.now(wall_s, 0)
    return clock.now(wall_s, max(watermarks(control).values(), default=int(clock.origin_minute)))


def watermarks(control: Control) -> dict[int, Minute]:
    """The minute up to which each partition's events have been seen, by part. StoreError as `now`."""
    records = control.list(WATERMARK_PREFIX).items()
    return {int(key.removeprefix(WATERMARK_PREFIX)): _watermark(key, record) for key, record in records}


def newest_minute(clock: Clock, wall_s: float) -> Minute:
    """The fleet's minute at `wall_s` (epoch seconds); what is later is ahead. Of a clock that follows, real time."""
    return _running(clock).now(wall_s, 0)


def newest_minutes(clock: Clock, batch: Batch, wall_s: float) -> Minute | npt.NDArray[np.int64]:
    """The fleet's minute as each sample of a batch came, int64[n], or one for all; of a clock that follows, real time.

    Where the log says when it got a sample that time counts, so that a replay decides as the first reading did; else
    it is `wall_s`, epoch seconds.
    """
    running = _running(clock)
    if batch.arrived_s is None or not len(batch.arrived_s):
        return running.now(wall_s, 0)
    first = running.now(float(batch.arrived_s.min()), 0)
    if int(batch.samples.ts_s.max()) // 60 <= first:
        return first  # so much is known of all of them, and it is enough
    a_second = (running.speed or 0.0) / 60.0
    at = running.origin_minute + (batch.arrived_s - running.origin_wall_s) * a_second
    return np.floor(at).astype(np.int64)


def _running(clock: Clock) -> Clock:
    """A clock that follows says nothing of the future: real time does."""
    return REAL_TIME if clock.speed is None else clock


def _watermark(key: str, record: Versioned) -> Minute:
    try:
        return int(json.loads(record.value)["minute"])
    except (ValueError, TypeError, KeyError):
        raise _broken(key, "a minute", record) from None


def _broken(key: str, expected: str, record: Versioned) -> StoreError:
    return StoreError(
        f"control record {key!r}",
        expected=f"JSON with {expected}",
        got=repr(record.value[:80]),
        remedy="Another program wrote it: delete the record, or use another control store.",
    )
