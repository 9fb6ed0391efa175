"""What the tests of the wire formats share: messages, and a decoder's answer in plain words."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from stream.wire import Bad, Decoder, Keys, Wire, open_decoder

Codec = Literal["lz4", "zstd"]
T0 = 1_767_225_600  # 2026-01-01T00:00Z


class Record(NamedTuple):
    """A message of the log as a client hands it over."""

    value: bytes | None
    key: bytes | None = b"key-host"
    offset: int = 0
    timestamp: int = 0


class Said(NamedTuple):
    """One decoded sample."""

    message: int
    vm_id: str
    host: str
    ts_s: int
    value: float


def opened(wire: Wire) -> tuple[Decoder, Keys]:
    keys = Keys()
    return open_decoder(wire, keys), keys


def said(wire: Wire, values: Sequence[bytes | Record | None]) -> tuple[list[Said], list[Bad]]:
    """What a new decoder makes of these messages."""
    decoder, keys = opened(wire)
    return said_by(decoder, keys, values)


def said_by(decoder: Decoder, keys: Keys, values: Sequence[bytes | Record | None]) -> tuple[list[Said], list[Bad]]:
    found = decoder.decode([value if isinstance(value, Record) else Record(value) for value in values])
    columns = (found.message, found.key, found.ts_s, found.value)
    assert [column.dtype.name for column in columns] == ["int32", "int32", "int64", "float64"]
    rows = zip(found.message.tolist(), found.key.tolist(), found.ts_s.tolist(), found.value.tolist(), strict=True)
    return [Said(at, keys[key].vm_id, keys[key].host, ts_s, value) for at, key, ts_s, value in rows], found.bad


def reasons(bad: Sequence[Bad]) -> list[tuple[int, str]]:
    assert all(one.detail.isascii() and one.detail.isprintable() and len(one.detail) < 1_500 for one in bad)
    return [(one.at, one.reason) for one in bad]


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def as_arrow(
    columns: Mapping[str, Any],
    batches: int = 1,
    compression: Codec | None = None,
    metadata: dict[str, str] | None = None,
) -> bytes:
    """An IPC stream of these columns, `batches` times."""
    table = pa.table(dict(columns)).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for _ in range(batches):
            writer.write_table(table)
    return sink.getvalue()
