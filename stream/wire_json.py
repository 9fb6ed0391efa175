"""One sample a message (JSON), and one report a host (JSON or msgpack): typed decoders of msgspec.

The VM list of a host's report is kept as the bytes it came in: while the next report brings the very same bytes, the
numbers of its VMs are known, and its values need no look at a VM each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stream.wire_base import COLUMNS, Bad, Decoded, Message, Unreadable, Wire, bad_of, host_of, names_of, time_reader
from stream.wire_keys import Keys

Decode = Callable[[Any], Any]


class SingleDecoder:
    """`{"vm": …, "host": …, "ts": …, "cpu": …}`. The host may be the message's key; a cpu of null is a gap.

    Numbers may be written as texts, as Log Service does with all of a log's fields.
    """

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._read, self._keys = time_reader(wire), keys
        kind = _struct(wire, [("vm", str), ("cpu", float | None)])
        self._decode: Decode = msgspec.json.Decoder(kind, strict=False).decode

    def decode(self, messages: Sequence[Message]) -> Decoded:
        """The samples of the messages, in their order."""
        decode, read, key_of = self._decode, self._read, self._keys.key
        message: list[int] = []
        key: list[int] = []
        ts_s: list[int] = []
        value: list[float] = []
        bad: list[Bad] = []
        for index, one in enumerate(messages):
            try:
                sample = decode(one.value)
                host = sample.host
                number = key_of(sample.vm, host_of(one) if host is None else host)
                second = read(sample.ts)
            except Exception as error:  # whatever the bytes are, they are this message's alone
                bad.append(bad_of(index, one, error))
                continue
            if sample.cpu is not None:
                message.append(index)
                key.append(number)
                ts_s.append(second)
                value.append(sample.cpu)
        return decoded(message, key, ts_s, value, bad)


class HostDecoder:
    """`{"host": …, "ts": …, "vm": […], "cpu": […]}`, other fields are left out. The host may be the message's key.

    A cpu of null is a gap of that VM.
    """

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._read, self._keys = time_reader(wire), keys
        kind = _struct(wire, [("vm", msgspec.Raw), ("cpu", list[float | None])])
        packed = wire.format == "host-msgpack"
        self._decode: Decode = msgspec.msgpack.Decoder(kind).decode if packed else msgspec.json.Decoder(kind).decode
        self._decode_list: Decode = (
            msgspec.msgpack.Decoder(list[str]).decode if packed else msgspec.json.Decoder(list[str]).decode
        )
        self._lists: dict[str, tuple[bytes, npt.NDArray[np.int32]]] = {}  # host -> its list as it came, and the keys

    def decode(self, messages: Sequence[Message]) -> Decoded:
        """The samples of the messages, in their order."""
        decode, read, lists = self._decode, self._read, self._lists
        message: list[int] = []
        keys: list[npt.NDArray[np.int32]] = [np.zeros(0, dtype=np.int32)]
        ts_s: list[int] = []
        values: list[float | None] = []
        bad: list[Bad] = []
        for index, one in enumerate(messages):
            try:
                report = decode(one.value)
                second = read(report.ts)
                host = host_of(one) if report.host is None else report.host
                came = bytes(report.vm)
                known = lists.get(host)
                numbers = known[1] if known is not None and known[0] == came else self._learn(host, came)
                cpu = report.cpu
                if len(cpu) != len(numbers):
                    raise Unreadable(COLUMNS, f"{len(numbers)} vms, {len(cpu)} cpus")
            except Exception as error:  # whatever the bytes are, they are this message's alone
                bad.append(bad_of(index, one, error))
                continue
            message.append(index)
            keys.append(numbers)
            ts_s.append(second)
            values += cpu
        return _reports(message, keys, ts_s, values, bad)

    def _learn(self, host: str, came: bytes) -> npt.NDArray[np.int32]:
        """The keys of a list of VMs that is not the one that this host sent before."""
        key_of = self._keys.key
        numbers = np.array([key_of(vm_id, host) for vm_id in self._decode_list(came)], dtype=np.int32)
        if len(numbers):
            self._lists[host] = (came, numbers)
        return numbers


def decoded(message: list[int], key: list[int], ts_s: list[int], value: list[float], bad: list[Bad]) -> Decoded:
    """The columns of samples that were read one by one."""
    return Decoded(
        np.array(message, dtype=np.int32),
        np.array(key, dtype=np.int32),
        np.array(ts_s, dtype=np.int64),
        np.array(value, dtype=np.float64),
        bad,
    )


def _reports(
    message: list[int],
    keys: list[npt.NDArray[np.int32]],
    ts_s: list[int],
    values: list[float | None],
    bad: list[Bad],
) -> Decoded:
    """The columns of whole reports: `keys` has one empty array more, so that there is always one."""
    lengths = [len(numbers) for numbers in keys[1:]]
    found = Decoded(
        np.repeat(np.array(message, dtype=np.int32), lengths),
        np.concatenate(keys),
        np.repeat(np.array(ts_s, dtype=np.int64), lengths),
        np.array(values, dtype=np.float64),  # null becomes NaN
        bad,
    )
    gaps = [at for at in np.flatnonzero(np.isnan(found.value)) if values[at] is None]
    if not gaps:
        return found
    kept = np.ones(len(values), dtype=np.bool_)
    kept[gaps] = False
    return Decoded(found.message[kept], found.key[kept], found.ts_s[kept], found.value[kept], bad)


def _struct(wire: Wire, columns: list[tuple[str, Any]]) -> type[msgspec.Struct]:
    """The record of a message: `columns`, ts and the optional host, by the source's names of them."""
    ts = str if wire.ts_unit == "iso" else int | float
    fields: list[Any] = [*columns, ("ts", ts), ("host", str | None, None)]
    return msgspec.defstruct("Report", fields, rename=names_of(wire), gc=False)
