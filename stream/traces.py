"""Recorded fleets: tidy Parquet (`vm` string, `ts` epoch seconds UTC, `cpu` percent) as a replayable trace."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.errors import BadInput
from models.fleet import MAX_ID_CHARS, VmRecord
from models.minutes import DAY_MIN, HOUR_MIN, Minute, Span, ceil_to
from stream.samples import Key, Samples

DAY_S = DAY_MIN * 60
YEAR_2200_S = 7_258_118_400
FINER_UNITS = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
COLUMNS = {
    "vm": "text",
    "ts": "whole numbers (epoch seconds UTC) or timestamps with a zone",
    "cpu": "numbers (percent of the VM's allocation)",
}
FORMAT = "Write Parquet with vm (string), ts (int64, epoch seconds UTC) and cpu (float, percent)."

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


@dataclass(slots=True)
class TableTrace:
    """A recorded fleet in memory. `by_part`: each partition's samples by time, in columns.

    `now`: the end of the last hour in which every series still reports (with `keep_times`, in which any does).
    """

    name: str
    unit: str
    interval_min: int
    parts: int
    keys: list[Key]
    span: Span
    now: Minute
    by_part: tuple[Samples, ...]

    def samples(self, part: int, span: Span) -> Samples:
        """What arrives at `part` within `span`; a sample arrives in its own minute."""
        columns = self.by_part[part]
        first, end = np.searchsorted(columns.ts_s, [span.start * 60, span.end * 60])
        return Samples(columns.key[first:end], columns.ts_s[first:end], columns.value[first:end])

    def records(self, part: int, span: Span) -> tuple[VmRecord, ...]:  # noqa: ARG002 (as Trace asks)
        """None: a trace has no inventory."""
        return ()


class Columns(NamedTuple):
    """A trace's rows, by VM and time. vm: int32[n], an index into ids; ts_s: epoch s; cpu: percent, NaN = null."""

    ids: list[str]
    interval_min: int
    vm: Codes
    ts_s: Ints
    cpu: npt.NDArray[np.float32]


def read_columns(path: Path) -> Columns:
    """The rows of a Parquet trace with columns `vm`, `ts` and `cpu`, at their own times.

    A null in `cpu` becomes NaN. BadInput: no file, no Parquet, broken, no rows, a column missing or of a wrong type,
    null ids or times, times that are not epoch seconds before 2200, ids of none or more than 255 characters, steps of
    more than an hour.
    """
    table = _read_table(path)
    ids, code = _vm_codes(path, table["vm"])
    ts_s = _epoch_seconds(path, table["ts"])
    by_vm = np.lexsort((ts_s, code))
    code, ts_s = code[by_vm], ts_s[by_vm]
    return Columns(ids, _interval_min(path, code, ts_s), code, ts_s, _percent(table["cpu"])[by_vm])


def read_trace(path: str | Path, *, parts: int = 1, keep_times: bool = False) -> TableTrace:
    """Read a Parquet trace as `read_columns` does, to be replayed.

    The file knows no hosts: one, named like the file, reports every VM, and the VMs are spread over `parts`
    partitions by id. Series that ended earlier are moved by whole days into the trace's last 24 hours, unless
    `keep_times`. What is wrong with a value is ingest's to refuse and count. BadInput as `read_columns`.
    """
    path = Path(path)
    ids, interval_min, code, ts_s, cpu = read_columns(path)
    if not keep_times:
        ts_s = ts_s + _shift_s(code, ts_s, interval_min)
    last_s = int(ts_s.max() if keep_times else ts_s[_last_rows(code)].min())
    by_time = np.argsort(ts_s, kind="stable")
    columns = Samples(code[by_time], ts_s[by_time], cpu[by_time])
    return TableTrace(
        name=path.stem,
        unit="percent",
        interval_min=interval_min,
        parts=parts,
        keys=[Key(vm_id, path.stem) for vm_id in ids],
        span=Span(int(columns.ts_s[0]) // 60, int(columns.ts_s[-1]) // 60 + 1),
        now=ceil_to(last_s // 60 + 1, HOUR_MIN),
        by_part=_spread(columns, ids, parts),
    )


def _bad(path: Path, expected: str, got: str, remedy: str = FORMAT) -> BadInput:
    return BadInput(f"trace {path}", expected=expected, got=got, remedy=remedy)


def _read_table(path: Path) -> pa.Table:
    if not path.exists():
        raise _bad(path, "a Parquet file", "no such file", "Check the path.")
    if path.is_dir():
        raise _bad(path, "a Parquet file", "a folder", "Name one file in it.")
    try:
        _check_columns(path, pq.read_schema(path))
        with pq.ParquetFile(path, read_dictionary=["vm"]) as file:
            table = file.read(columns=list(COLUMNS))
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        remedy = "Write or fetch the file again; only Parquet is read."
        raise _bad(path, "a whole Parquet file", f"one that cannot be read ({reason})", remedy) from error
    if table.num_rows == 0:
        raise _bad(path, "at least one sample", "no rows", "Check what wrote the file.")
    for name in ("vm", "ts"):
        if nulls := table[name].null_count:
            raise _bad(path, f"a {name} in every row", f"{nulls:,} rows with null", "Drop these rows or fill them in.")
    return table


def _check_columns(path: Path, schema: pa.Schema) -> None:
    lower = {name.lower(): name for name in schema.names}
    for name, expected in COLUMNS.items():
        if name not in schema.names:
            near = get_close_matches(name, lower, n=1, cutoff=0.3)
            remedy = f"Is it {lower[near[0]]!r}? Rename it to {name!r}." if near else FORMAT
            raise _bad(path, f"a column {name!r}", f"columns {', '.join(schema.names)}", remedy)
        kind = schema.field(name).type
        if not _is_right(name, kind):
            without_zone = name == "ts" and (_is_text(kind) or pa.types.is_timestamp(kind))
            remedy = (
                "Times without a zone are ambiguous: convert them to epoch seconds UTC." if without_zone else FORMAT
            )
            raise _bad(path, f"column {name!r} of {expected}", f"type {kind}", remedy)


def _is_right(name: str, kind: pa.DataType) -> bool:
    if name == "vm":
        return _is_text(kind)
    if name == "ts":
        return pa.types.is_integer(kind) or (isinstance(kind, pa.TimestampType) and kind.tz is not None)
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _is_text(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _vm_codes(path: Path, column: pa.ChunkedArray[Any]) -> tuple[list[str], Codes]:
    """The ids, and for each row its id's index."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded: Any = column.unify_dictionaries().combine_chunks()
    ids = encoded.dictionary.to_pylist()
    for vm_id in ids:
        if not 1 <= len(vm_id) <= MAX_ID_CHARS:
            got = f"{vm_id[:40]!r}... of {len(vm_id)}" if vm_id else "an empty one"
            raise _bad(path, f"ids of 1 to {MAX_ID_CHARS} characters", got, "Rename that VM or drop its rows.")
    return ids, encoded.indices.to_numpy().astype(np.int32, copy=False)


def _epoch_seconds(path: Path, column: pa.ChunkedArray[Any]) -> Ints:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.int64())
    low, high = int(pc.min(column).as_py()), int(pc.max(column).as_py())
    if low < 0 or high >= YEAR_2200_S:
        got, remedy = (f"{low}", "Drop these rows.") if low < 0 else (f"{high}", "Drop these rows, or mend their unit.")
        for unit, factor in FINER_UNITS.items():
            if YEAR_2200_S <= high < YEAR_2200_S * factor:
                got, remedy = f"{high}, which looks like {unit}", f"Divide ts by {factor:,}."
                break
        raise _bad(path, "ts in epoch seconds from 1970 to 2200", got, remedy)
    return column.cast(pa.int64()).to_numpy()


def _percent(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.float32]:
    return column.cast(pa.float32(), safe=False).to_numpy()  # a null becomes NaN


def _interval_min(path: Path, code: Codes, ts_s: Ints) -> int:
    """The median step of a VM's rows (sorted by VM and time) in minutes; 1 where no VM has two samples."""
    steps = np.diff(ts_s)[np.diff(code) == 0]
    steps = steps[steps > 0]
    if not len(steps):
        return 1
    median_min = round(float(np.median(steps)) / 60)
    if median_min > HOUR_MIN:
        remedy = "Hourly means need finer samples: use a finer trace."
        raise _bad(path, "a sample at least every 60 minutes", f"one every {median_min:,} (median)", remedy)
    return max(1, median_min)


def _shift_s(code: Codes, ts_s: Ints, interval_min: int) -> Ints:
    """Whole days, in seconds, that each row (sorted by VM and time) must move to end with the trace.

    No series goes beyond the trace's last sample, but for one interval of jitter.
    """
    last = _last_rows(code)
    behind_s = ts_s.max() - ts_s[last]
    days = (behind_s + interval_min * 60) // DAY_S
    return np.repeat(days * DAY_S, np.diff(last, prepend=-1))


def _last_rows(code: Codes) -> npt.NDArray[np.intp]:
    """Index of each VM's last row, of rows sorted by VM and time."""
    return np.append(np.flatnonzero(np.diff(code)), len(code) - 1)


def _spread(columns: Samples, ids: list[str], parts: int) -> tuple[Samples, ...]:
    if parts == 1:
        return (columns,)
    part = np.array([crc32(vm_id.encode()) % parts for vm_id in ids])[columns.key]
    return tuple(Samples(*(column[part == number] for column in columns)) for number in range(parts))
