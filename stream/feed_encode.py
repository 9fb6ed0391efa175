"""Samples as messages, in the format, the unit, the times and the names that a source declares: what decoders read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import BadInput
from models.minutes import check_timezone, format_iso
from stream.feed_arrow import ArrowMessages
from stream.samples import Key, Unit
from stream.wire_base import PER_SECOND, Wire, names_of

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
FACTORS = {Unit.PERCENT: (1.0, 4), Unit.FRACTION: (0.01, 6)}  # of percent, and the decimals that are written


class Encoder(Protocol):
    """Of one wire format. `by` says what one message is about: a sample, a host's report, or a partition."""

    by: str
    listed: bool  # a message lists VMs and values side by side

    def encode(self, key: Keys, ts_s: Ints, value: Floats) -> bytes:
        """The value of one message; of a listed one, `value` may be of another length than `key`: a bad message."""
        ...


def unit_factor(unit: str) -> tuple[float, int]:
    """What percent are multiplied with, and how many decimals are written. BadInput for a unit that a load is not."""
    if unit not in FACTORS:
        raise BadInput(
            "unit of the source",
            expected=" or ".join(FACTORS),
            got=repr(unit),
            remedy="A feed knows loads, no counters and no vCPUs: declare a source for it.",
        )
    return FACTORS[Unit(unit)]


def open_encoder(wire: Wire, keys: Sequence[Key]) -> Encoder:
    """The encoder of `wire` for whom `keys` names. BadInput where the feed cannot write it."""
    unit_factor(wire.unit)
    names, times = names_of(wire), time_writer(wire)
    match wire.format:
        case "json":
            return _Singles(names, times, keys)
        case "host-json":
            return _Reports(names, times, keys)
        case "host-msgpack":
            return _Packed(names, times, keys)
        case "arrow":
            return ArrowMessages(names, wire.ts_unit, keys)
    raise BadInput(
        "format of the source",
        expected="json, host-json, host-msgpack or arrow",
        got=repr(wire.format),
        remedy="Declare a source of one of these for the feed.",
    )


def time_writer(wire: Wire) -> Callable[[int], int | str]:
    """What turns epoch seconds UTC into the source's ts: a number, or ISO 8601 text that names its zone."""
    check_timezone(wire.timezone)
    if wire.ts_unit == "iso":
        return lambda ts_s: f"{format_iso(ts_s // 60)[:-1]}:{ts_s % 60:02d}Z"
    factor = PER_SECOND[wire.ts_unit]
    return lambda ts_s: ts_s * factor


def _json(thing: object) -> bytes:
    return msgspec.json.encode(thing)


class _Singles:
    """`{"vm": …, "host": …, "ts": …, "cpu": …}`; NaN is null."""

    by, listed = "sample", False

    def __init__(self, names: dict[str, str], times: Callable[[int], int | str], keys: Sequence[Key]) -> None:
        self._times, self._keys = times, keys
        self._ts, self._cpu = b"," + _json(names["ts"]) + b":", b"," + _json(names["cpu"]) + b":"
        self._names = names
        self._heads: dict[int, bytes] = {}

    def encode(self, key: Keys, ts_s: Ints, value: Floats) -> bytes:
        """See the protocol."""
        number = key.item(0)
        head = self._heads.get(number)
        if head is None:
            who = {self._names["vm"]: self._keys[number].vm_id, self._names["host"]: self._keys[number].host}
            head = self._heads[number] = _json(who)[:-1] + self._ts
        return head + _json(self._times(ts_s.item(0))) + self._cpu + _json(value.item(0)) + b"}"


class _Reports:
    """`{"host": …, "ts": …, "vm": […], "cpu": […]}`; the VM lists are kept as bytes, as they hardly change."""

    by, listed = "host", True

    def __init__(self, names: dict[str, str], times: Callable[[int], int | str], keys: Sequence[Key]) -> None:
        self._times, self._keys, self._names = times, keys, names
        self._ts = b"," + _json(names["ts"]) + b":"
        self._heads: dict[bytes, tuple[bytes, bytes]] = {}

    def encode(self, key: Keys, ts_s: Ints, value: Floats) -> bytes:
        """See the protocol."""
        listed = key.tobytes()
        parts = self._heads.get(listed)
        if parts is None:
            parts = self._heads[listed] = self._learn(key)
        return parts[0] + _json(self._times(ts_s.item(0))) + parts[1] + _json(value.tolist()) + b"}"

    def _learn(self, key: Keys) -> tuple[bytes, bytes]:
        """What stands before the time, and between it and the values."""
        host = {self._names["host"]: self._keys[key.item(0)].host}
        listed = _json([self._keys[number].vm_id for number in key.tolist()])
        between = b"," + _json(self._names["vm"]) + b":" + listed + b"," + _json(self._names["cpu"]) + b":"
        return _json(host)[:-1] + self._ts, between


class _Packed:
    """The same report as msgpack. NaN, which msgpack knows, is written as null, too: a gap."""

    by, listed = "host", True

    def __init__(self, names: dict[str, str], times: Callable[[int], int | str], keys: Sequence[Key]) -> None:
        self._times, self._keys, self._names = times, keys, names

    def encode(self, key: Keys, ts_s: Ints, value: Floats) -> bytes:
        """See the protocol."""
        report: dict[str, Any] = {
            self._names["host"]: self._keys[key.item(0)].host,
            self._names["ts"]: self._times(ts_s.item(0)),
            self._names["vm"]: [self._keys[number].vm_id for number in key.tolist()],
            self._names["cpu"]: [None if one != one else one for one in value.tolist()],  # noqa: PLR0124
        }
        return msgspec.msgpack.encode(report)
