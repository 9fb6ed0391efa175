"""Arrow IPC streams of one or more record batches with the columns vm, host, ts and cpu, for bulk.

vm and host are strings or dictionaries of strings; the host may instead stand in the schema's metadata (`host`) or be
the message's key. cpu is any float or integer, null is a gap; ts is a number in the declared unit, a timestamp of its
own unit, or for iso a string. The buffers of vm and host are kept as they came: while a batch brings the very same
bytes, its keys are known. Bodies compressed by Arrow itself are refused: they would be unpacked to any size before one
could look (Kafka compresses whole batches of messages already).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream.wire_arrow_header import is_compressed
from stream.wire_base import (
    COMPRESSED,
    END_S,
    FIELDS,
    MALFORMED,
    PER_SECOND,
    TIME,
    Bad,
    Decoded,
    Message,
    Unreadable,
    Wire,
    bad_of,
    host_of,
    local_to_utc_s,
    names_of,
    shown,
    time_reader,
)
from stream.wire_keys import Keys

Column = Any  # an Array of pyarrow, whose stubs know no common type of what is read here
MAX_KEPT_ROWS = 2_000_000  # rows whose buffers are kept together with their keys
MAX_KEPT_HEADERS = 1_000


class _Part(NamedTuple):
    """Samples of one batch: key int32[n], ts_s int64[n], value float64[n]."""

    key: npt.NDArray[np.int32]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


class ArrowDecoder:
    """One IPC stream a message."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire, self._keys, self._read = wire, keys, time_reader(wire)
        self._names = names_of(wire)
        self._kept: dict[Hashable, tuple[Hashable, npt.NDArray[np.int32]]] = {}  # place -> what came there, its keys
        self._kept_rows = 0
        self._plain: set[bytes] = set()
        self._schemas: dict[bytes, pa.Schema] = {}

    def decode(self, messages: Sequence[Message]) -> Decoded:
        """The samples of the messages, in their order."""
        nothing = np.zeros(0)
        parts = [_Part(nothing.astype(np.int32), nothing.astype(np.int64), nothing)]
        sources: list[int] = [0]
        bad: list[Bad] = []
        for index, one in enumerate(messages):
            try:
                found = self._parts(one)
            except Exception as error:  # whatever the bytes are, they are this message's alone
                bad.append(bad_of(index, one, error))
                continue
            parts += found
            sources += [index] * len(found)
        return Decoded(
            np.repeat(np.array(sources, dtype=np.int32), [len(part.key) for part in parts]),
            np.concatenate([part.key for part in parts]),
            np.concatenate([part.ts_s for part in parts]),
            np.concatenate([part.value for part in parts]),
            bad,
        )

    def _parts(self, message: Message) -> list[_Part]:
        schema, batches = self._batches(pa.py_buffer(b"" if message.value is None else message.value))
        told = (schema.metadata or {}).get(b"host")
        return [self._part(batch, message, told) for batch in batches]

    def _batches(self, value: pa.Buffer) -> tuple[pa.Schema, list[pa.RecordBatch]]:
        """What a stream holds. Dictionaries are left to Arrow's own reader; without, each message is read once."""
        messages = _messages(value)
        headers = [part.metadata.to_pybytes() for part in messages]
        for header in headers:
            self._refuse_compressed(header)
        if any(part.type == "dictionary" for part in messages):
            with pa.ipc.open_stream(value) as reader:
                return reader.schema, list(reader)
        schema = self._schemas.get(headers[0])
        if schema is None:
            schema = self._schemas[headers[0]] = pa.ipc.read_schema(messages[0])
        return schema, [pa.ipc.read_record_batch(part, schema) for part in messages[1:]]

    def _refuse_compressed(self, header: bytes) -> None:
        """Unreadable where the body of a message is compressed; headers known to have none are kept."""
        if header in self._plain:
            return
        if is_compressed(header):
            raise Unreadable(COMPRESSED, "Arrow's own compression; let Kafka compress instead")
        if len(self._plain) >= MAX_KEPT_HEADERS:
            self._plain.clear()
            self._schemas.clear()
        self._plain.add(header)

    def _part(self, batch: pa.RecordBatch, message: Message, told: bytes | None) -> _Part:
        batch.validate()  # that its buffers are as long as it says: what follows reads them
        cpu = _column(batch, self._names["cpu"])
        if not (pa.types.is_floating(cpu.type) or pa.types.is_integer(cpu.type)):
            raise Unreadable(FIELDS, f"cpu is of type {shown(str(cpu.type))}")
        key = self._key(batch, message, told)
        ts_s = self._ts_s(_column(batch, self._names["ts"]))
        value = cpu.to_numpy(zero_copy_only=False).astype(np.float64)
        if not cpu.null_count:
            return _Part(key, ts_s, value)
        there = cpu.is_valid().to_numpy(zero_copy_only=False)
        return _Part(key[there], ts_s[there], value[there])

    def _key(self, batch: pa.RecordBatch, message: Message, told: bytes | None) -> npt.NDArray[np.int32]:
        """The key of each row, int32[rows]."""
        vm = _column(batch, self._names["vm"])
        if batch.schema.get_field_index(self._names["host"]) >= 0:
            host: Column = _column(batch, self._names["host"])
            signature: Hashable = (_signature(vm), _signature(host))
        else:
            host = told.decode() if told else host_of(message)
            signature = (_signature(vm), host)
        place = _place(vm)
        known = self._kept.get(place)
        if known is None or known[0] != signature:
            known = (signature, self._learn(vm, host))
            if self._kept_rows + len(vm) > MAX_KEPT_ROWS:
                self._kept.clear()
                self._kept_rows = 0
            self._kept_rows += len(vm)
            self._kept[place] = known
        return known[1]

    def _learn(self, vm: Column, host: Column | str) -> npt.NDArray[np.int32]:
        codes, vm_ids = _texts(vm, "vm")
        if isinstance(host, str):
            hosts = [host]
        else:
            host_codes, hosts = _texts(host, "host")
            codes = codes * len(hosts) + host_codes
        pairs, inverse = np.unique(codes, return_inverse=True)
        numbers = [self._keys.key(vm_ids[pair // len(hosts)], hosts[pair % len(hosts)]) for pair in pairs.tolist()]
        return np.array(numbers, dtype=np.int32)[inverse]

    def _ts_s(self, ts: Column) -> npt.NDArray[np.int64]:
        """Epoch second UTC of each row, int64[rows]."""
        if ts.null_count:
            raise Unreadable(TIME, "ts is null")
        if pa.types.is_timestamp(ts.type):
            seconds = _whole(_int64(ts), PER_SECOND[ts.type.unit])
            if ts.type.tz is None and self._wire.ts_unit == "iso":
                zone = ZoneInfo(self._wire.timezone)
                seconds = _each(seconds, [local_to_utc_s(second, zone) for second in np.unique(seconds).tolist()])
        elif self._wire.ts_unit == "iso":
            codes, texts = _texts(ts, "ts")
            return np.array([self._read(text) for text in texts], dtype=np.int64)[codes]
        elif pa.types.is_integer(ts.type):
            seconds = _whole(_int64(ts), PER_SECOND[self._wire.ts_unit])
        elif pa.types.is_floating(ts.type):
            seconds = np.floor(ts.to_numpy().astype(np.float64) / PER_SECOND[self._wire.ts_unit])
        else:
            raise Unreadable(FIELDS, f"ts is of type {shown(str(ts.type))}")
        if len(seconds) and not (seconds.min() >= 0 and seconds.max() < END_S):  # false for NaN
            raise Unreadable(TIME, "a ts is before 1970 or far ahead: is its unit the declared one?")
        return seconds.astype(np.int64, copy=False)


def _int64(ts: Column) -> npt.NDArray[np.int64]:
    counted: npt.NDArray[np.int64] = (ts if ts.type == pa.int64() else ts.cast(pa.int64())).to_numpy()
    return counted


def _whole(counted: npt.NDArray[np.int64], per_second: int) -> npt.NDArray[np.int64]:
    return counted if per_second == 1 else counted // per_second


def _messages(value: pa.Buffer) -> list[pa.Message]:
    """The messages of a stream, from its schema on."""
    source, messages = pa.BufferReader(value), []
    with suppress(EOFError):
        while True:
            messages.append(pa.ipc.read_message(source))
    if not messages:
        raise Unreadable(MALFORMED, "an empty stream")
    return messages


def _column(batch: pa.RecordBatch, name: str) -> Column:
    index = batch.schema.get_field_index(name)
    if index < 0:
        raise Unreadable(FIELDS, f"no column, or more than one, is called {name}")
    return batch.column(index)


def _signature(column: Column) -> Hashable:
    """All that a column of texts is made of; equal signatures are equal columns."""
    texts = column.dictionary if pa.types.is_dictionary(column.type) else None
    inner = None if texts is None else _signature(texts)
    buffers = tuple(None if buffer is None else buffer.to_pybytes() for buffer in column.buffers())
    return column.type, len(column), column.offset, buffers, inner


def _place(column: Column) -> Hashable:
    """Under which keys are kept: the bytes of the first and last texts, as hashing all of them would take longer."""
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    buffer = texts.buffers()[-1]
    return None if buffer is None else (len(column), buffer[:64].to_pybytes(), buffer[-64:].to_pybytes())


def _texts(column: Column, name: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """A column of texts as codes int64[rows] and the texts that they mean."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise Unreadable(FIELDS, f"{name} is of type {shown(str(column.type))}")
    column.validate(full=True)  # that offsets and codes point inside, and texts are UTF-8
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if encoded.null_count or encoded.dictionary.null_count:
        raise Unreadable(FIELDS, f"{name} is null")
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _each(values: npt.NDArray[np.int64], of_unique: list[int]) -> npt.NDArray[np.int64]:
    """What belongs to each value, where `of_unique` belongs to the sorted different ones."""
    return np.array(of_unique, dtype=np.int64)[np.unique(values, return_inverse=True)[1]]
