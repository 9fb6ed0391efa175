"""What every decoder of a wire format shares: messages, what becomes of them, and how a time is read.

A decoder never raises for what a message holds: bytes are parsed inside its guard, and what cannot be read is a Bad.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import BadInput
from models.fleet import FOREVER
from models.minutes import check_timezone

MAX_DETAIL_CHARS = 200
MAX_CACHED_TEXTS = 65_536
END_S = FOREVER * 60  # a time from here on is one in another unit
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

# Why a message is bad, for people and for metrics.
EMPTY = "no_value"  # null: a tombstone
MALFORMED = "malformed"  # not JSON, msgpack or Arrow at all
FIELDS = "wrong_fields"  # one is missing or of another type
COLUMNS = "unequal_columns"
ID = "bad_id"
HOST = "no_host"
TIME = "bad_time"
TOO_LARGE = "too_large"  # deeper nested or larger than can be read
COMPRESSED = "compressed"


class Message(Protocol):
    """One message of the log; records of aiokafka, bare or not, and of kafka-python fit. `timestamp`: milliseconds."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Wire:
    """What a source declares about its messages. `fields`: its names of vm, host, ts and cpu where they differ.

    `ts_unit` s, ms, us or ns counts from 1970 in UTC; iso is ISO 8601 text, in `timezone` where it names no zone.
    """

    format: str
    unit: str = "percent"
    interval_min: int = 1
    timezone: str = "UTC"
    ts_unit: str = "s"
    fields: Mapping[str, str] = field(default_factory=dict)


def names_of(wire: Wire) -> dict[str, str]:
    """The source's names of vm, host, ts and cpu. BadInput where one is a name of two."""
    names = {field: wire.fields.get(field, field) for field in ("vm", "host", "ts", "cpu")}
    if len(set(names.values())) < len(names):
        raise BadInput(
            "fields of the source",
            expected="a name of its own for each of vm, host, ts and cpu",
            got=", ".join(f"{field} = {name!r}" for field, name in names.items()),
            remedy="Correct the table `fields` of the source.",
        )
    return names


class Bad(NamedTuple):
    """The message `at` this place of the list cannot be read. `reason`: a short label; `detail`: ASCII for a person."""

    at: int
    reason: str
    detail: str


class Decoded(NamedTuple):
    """n samples in columns: message int32[n] (index of the message that each came from), key int32[n],

    ts_s int64[n] (epoch seconds UTC), value float64[n] in the source's unit, also impossible ones; and what is bad.
    """

    message: npt.NDArray[np.int32]
    key: npt.NDArray[np.int32]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    bad: list[Bad]


class Decoder(Protocol):
    """The decoder of one partition; it may keep what it has seen, but answers as if it had not."""

    def decode(self, messages: Sequence[Message]) -> Decoded:
        """The samples of the messages, in their order."""
        ...


class Unreadable(ValueError):  # noqa: N818 (a verdict on a message, caught where it is given)
    """Why one message is bad."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def shown(text: str) -> str:
    """`text` as plain ASCII of a bounded length: what a message held must not reach a log as it was."""
    return ascii(text[:MAX_DETAIL_CHARS])


def bad_of(index: int, message: Message, error: Exception) -> Bad:
    """The verdict on a message at which its decoder raised `error`."""
    if isinstance(error, Unreadable):
        return Bad(index, error.reason, error.detail[:MAX_DETAIL_CHARS])
    if message.value is None:
        return Bad(index, EMPTY, "the message has no value")
    if isinstance(error, (MemoryError, RecursionError)):
        return Bad(index, TOO_LARGE, type(error).__name__)
    if isinstance(error, msgspec.ValidationError):
        return Bad(index, FIELDS, shown(str(error)))
    return Bad(index, MALFORMED, shown(str(error)))


def host_of(message: Message) -> str:
    """The host that the message's key names. Unreadable where there is none."""
    if not message.key:
        raise Unreadable(HOST, "neither the value nor the message's key names the host")
    try:
        return message.key.decode()
    except UnicodeDecodeError:
        raise Unreadable(HOST, "the message's key is not UTF-8") from None


def time_reader(wire: Wire) -> Callable[[Any], int]:
    """What turns a `ts` (a number, or for iso a text) into epoch seconds UTC, and raises Unreadable where it is none.

    BadInput where the zone is unknown, or a number is said to be in another zone than UTC.
    """
    check_timezone(wire.timezone)
    if wire.ts_unit == "iso":
        return _text_reader(ZoneInfo(wire.timezone))
    per_second = PER_SECOND.get(wire.ts_unit)
    if per_second is None:
        units = ", ".join([*PER_SECOND, "iso"])
        raise BadInput("ts_unit", expected=units, got=repr(wire.ts_unit), remedy="Declare the unit of the source's ts.")
    if wire.timezone != "UTC":
        raise BadInput(
            f"timezone of a source whose ts_unit is {wire.ts_unit}",
            expected="UTC, as a number counts from 1970 in UTC",
            got=repr(wire.timezone),
            remedy="Leave timezone out, or set ts_unit to iso where the source writes local times as text.",
        )

    def read(ts: float) -> int:
        if per_second == 1 and type(ts) is int and 0 <= ts < END_S:  # as it nearly always is
            return ts
        try:
            second = int(ts // per_second)
        except (TypeError, ValueError, OverflowError):  # a text, not a number, or endless
            raise Unreadable(TIME, f"ts is {shown(str(ts))}") from None
        return _within(second, ts)

    return read


def _text_reader(zone: ZoneInfo) -> Callable[[str], int]:
    """Of an hour that the zone has twice a time without zone is in the first (fold=0); one that it skips counts on

    with the offset before the gap, as if the clock had not been changed yet.
    """
    seen: dict[str, int] = {}

    def read(text: str) -> int:
        second = seen.get(text)
        if second is None:
            second = _within(epoch_s_of(text, zone), text)
            if len(seen) >= MAX_CACHED_TEXTS:
                seen.clear()
            seen[text] = second
        return second

    return read


def epoch_s_of(text: str, zone: ZoneInfo) -> int:
    """Epoch second of an ISO 8601 time, fractions dropped; without a zone it is in `zone`. Unreadable for others."""
    try:
        moment = datetime.fromisoformat(text)
        return math.floor((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
    except (TypeError, ValueError, OverflowError):
        raise Unreadable(TIME, f"ts is {shown(str(text))}") from None


def local_to_utc_s(local_s: int, zone: ZoneInfo) -> int:
    """Epoch second UTC of a clock that shows `local_s` (seconds since 1970-01-01 00:00 local) in `zone`."""
    try:
        return math.floor(datetime.fromtimestamp(local_s, UTC).replace(tzinfo=zone).timestamp())
    except (ValueError, OverflowError, OSError):
        raise Unreadable(TIME, f"ts is {local_s}") from None


def _within(second: int, ts: object) -> int:
    if 0 <= second < END_S:
        return second
    raise Unreadable(TIME, f"ts {shown(str(ts))} is before 1970 or far ahead: is its unit the declared one?")
