"""The one question that is asked of the header of an Arrow IPC message: whether the body that follows is compressed."""

from __future__ import annotations

import struct

_DICTIONARY, _RECORDS = 2, 3  # MessageHeader of Arrow's flatbuffers


def is_compressed(meta: bytes) -> bool:
    """Whether the body that belongs to this header is compressed (RecordBatch.compression of Arrow's Message.fbs)."""
    root = _follow(meta, 0)
    kind, header = _field(meta, root, 1), _field(meta, root, 2)
    if kind is None or header is None or meta[kind] not in (_DICTIONARY, _RECORDS):
        return False
    table = _follow(meta, header)
    if meta[kind] == _DICTIONARY:
        data = _field(meta, table, 1)
        table = table if data is None else _follow(meta, data)
    return _field(meta, table, 3) is not None


def _follow(meta: bytes, at: int) -> int:
    """Where the offset that stands at `at` of a flatbuffer leads to."""
    return at + int(struct.unpack_from("<I", meta, at)[0])


def _field(meta: bytes, table: int, index: int) -> int | None:
    """Where field `index` of a flatbuffer's table stands; None where it is not there."""
    shape = table - int(struct.unpack_from("<i", meta, table)[0])
    slot = 4 + 2 * index
    if slot >= struct.unpack_from("<H", meta, shape)[0]:
        return None
    offset = int(struct.unpack_from("<H", meta, shape + slot)[0])
    return table + offset if offset else None
