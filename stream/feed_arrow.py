"""What the feed writes with Arrow: IPC streams in bulk, and a Parquet file of the samples that brokers acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stream.kafka_tools import Place
from stream.samples import Key
from stream.wire_base import PER_SECOND

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
ROWS_A_GROUP = 200_000
_TYPES: dict[str, Any] = {
    "vm": pa.string(),
    "host": pa.string(),
    "ts": pa.int64(),
    "cpu": pa.float64(),
    "partition": pa.int32(),
    "offset": pa.int64(),
}
SCHEMA = pa.schema(_TYPES)


class ArrowMessages:
    """Columns vm, host, ts, cpu; the samples of many hosts in one message, so it is about a partition. NaN is null."""

    by, listed = "partition", False

    def __init__(self, names: dict[str, str], ts_unit: str, keys: Sequence[Key]) -> None:
        self._names = [names[field] for field in ("vm", "host", "ts", "cpu")]
        self._factor = PER_SECOND.get(ts_unit)
        self._vms, self._hosts = pa.array([key.vm_id for key in keys]), pa.array([key.host for key in keys])

    def encode(self, key: Keys, ts_s: Ints, value: Floats) -> bytes:
        """See `stream.feed_encode.Encoder`."""
        rows: Any = pa.array(key)
        ts: Any = pa.array(ts_s, pa.timestamp("s", "UTC")) if self._factor is None else pa.array(ts_s * self._factor)
        columns = [self._vms.take(rows), self._hosts.take(rows), ts, pa.array(value, from_pandas=True)]
        batch = pa.record_batch(columns, names=self._names)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return sink.getvalue().to_pybytes()


class Acknowledged:
    """A Parquet file of acknowledged samples: vm, host, ts (epoch seconds UTC), cpu (as sent), partition, offset.

    The state: rows that are not yet a row group of the file.
    """

    def __init__(self, path: Path, keys: Sequence[Key]) -> None:
        self._vms, self._hosts = pa.array([key.vm_id for key in keys]), pa.array([key.host for key in keys])
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._rows: list[tuple[Keys, Ints, Floats, Place]] = []
        self._count = 0

    def add(self, key: Keys, ts_s: Ints, value: Floats, place: Place) -> None:
        """One message's samples: key int32[n], ts_s int64[n], value float64[n]."""
        self._rows.append((key, ts_s, value, place))
        self._count += len(key)
        if self._count >= ROWS_A_GROUP:
            self._write()

    def close(self) -> None:
        """Write what is left and finish the file."""
        self._write()
        self._writer.close()

    def _write(self) -> None:
        if not self._rows:
            return
        keys, ts_s, values, places = zip(*self._rows, strict=True)
        lengths = [len(key) for key in keys]
        rows: Any = pa.array(np.concatenate(keys))
        columns: list[Any] = [
            self._vms.take(rows),
            self._hosts.take(rows),
            pa.array(np.concatenate(ts_s)),
            pa.array(np.concatenate(values), from_pandas=True),
            pa.array(np.repeat(np.array([place.partition for place in places], dtype=np.int32), lengths)),
            pa.array(np.repeat(np.array([place.offset for place in places], dtype=np.int64), lengths)),
        ]
        self._writer.write_table(pa.table(columns, schema=SCHEMA))
        self._rows, self._count = [], 0


def join(parts: Sequence[Path], target: Path) -> None:
    """All the rows of `parts` in one file; the parts are removed."""
    with pq.ParquetWriter(target, SCHEMA, compression="zstd") as writer:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group))
    for part in parts:
        part.unlink()
