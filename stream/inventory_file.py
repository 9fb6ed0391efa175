"""The inventory as a file: CSV, Parquet or JSON lines, a VM record a row, checked by the codec of the topic itself.

Columns are the fields of `stream.inventory`: vm_id, host, from; and where known created_at, vcpus, memory_mb, cluster,
timezone, blackout, max_load_pct, opt_out. Minutes are epoch minutes UTC or times in ISO 8601 with a zone. In CSV an
empty cell leaves a field open, and several blackout rules are separated by semicolons.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import BadInput
from models.fleet import VmRecord
from stream.inventory import FIELDS, decode_record

SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
NEEDED = ("vm_id", "host", "from")
NUMBERS = ("vcpus", "memory_mb", "max_load_pct")
MINUTES = ("from", "created_at")
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
REMEDY = "Correct that line; nothing was sent."
FORMAT = f"Columns: {', '.join(FIELDS)}."


class Row(NamedTuple):
    """A record, and where it stands: `line 7`, or `row 7` of a Parquet file."""

    place: str
    record: VmRecord


def read_inventory(path: Path, kind: str | None = None) -> list[VmRecord]:
    """The records of the file by their minute, so that of each VM the newest comes last. `kind`: else by the suffix.

    BadInput names the first line that is wrong, with what was expected there; a VM has one record a minute.
    """
    places: dict[tuple[str, int], str] = {}
    records = []
    for place, record in rows_of(path, kind):
        at = (record.vm_id, record.from_minute)
        if at in places:
            raise BadInput(
                f"{path}, {place}",
                expected=f"one record of {record.vm_id!r} for the minute {record.from_minute}",
                got=f"another one beside that of {places[at]}",
                remedy=REMEDY,
            )
        places[at] = place
        records.append(record)
    if not records:
        raise BadInput(f"{path}", expected="at least one record", got="none", remedy=FORMAT)
    return sorted(records, key=lambda record: record.from_minute)


def rows_of(path: Path, kind: str | None = None) -> Iterator[Row]:
    """The records of the file with their places, in its order. BadInput as in `read_inventory`."""
    if not path.is_file():
        got = "a folder" if path.is_dir() else "no such file"
        raise BadInput(f"{path}", expected="a file of VM records", got=got, remedy="Check the path.")
    readers: dict[str, Callable[[Path], Iterator[tuple[str, dict[str, Any]]]]] = {
        "csv": _csv,
        "parquet": _parquet,
        "jsonl": _jsonl,
    }
    kind = kind or SUFFIXES.get(path.suffix.lower())
    if kind not in readers:
        expected = "a name that ends in .csv, .parquet or .jsonl"
        raise BadInput(f"{path}", expected=expected, got=repr(path.name), remedy="Or say --format csv|parquet|jsonl.")
    for place, fields in readers[kind](path):
        yield Row(place, _record(path, place, fields))


def _record(path: Path, place: str, fields: dict[str, Any]) -> VmRecord:
    """One way for every format: as JSON through the codec, which knows what a record may be."""
    vm_id = fields.get("vm_id")
    try:
        key = vm_id.encode() if isinstance(vm_id, str) else None
        record = decode_record(key, msgspec.json.encode(fields))
    except BadInput as error:
        raise BadInput(
            f"{path}, {place}: {error.what}", expected=error.expected, got=error.got, remedy=REMEDY
        ) from None
    except UnicodeEncodeError:  # a lone surrogate
        raise BadInput(f"{path}, {place}", expected="text that UTF-8 can carry", got="other", remedy=REMEDY) from None
    assert record is not None  # noqa: S101 (it had a value)
    return record


def _jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                fields = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _bad(path, f"line {number}", "a JSON object", str(error)) from None
            if not isinstance(fields, dict):
                raise _bad(path, f"line {number}", "a JSON object", type(fields).__name__)
            yield f"line {number}", fields


def _csv(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            names = [name.strip() for name in next(reader, [])]
            _check_names(path, names)
            for cells in reader:
                place = f"line {reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(names):
                    raise _bad(path, place, f"{len(names)} cells as in the header", f"{len(cells)}")
                yield place, _from_text(path, place, dict(zip(names, cells, strict=True)))
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}", expected="UTF-8", got=str(error), remedy="Save it as UTF-8.") from None
    except csv.Error as error:
        raise BadInput(f"{path}", expected="CSV", got=str(error), remedy="Save it again as CSV.") from None


def _from_text(path: Path, place: str, cells: dict[str, str]) -> dict[str, Any]:
    """The cells of a line as what they mean; what cannot be read as a number stays text, for the codec to refuse."""
    fields: dict[str, Any] = {}
    for name, text in cells.items():
        cell = text.strip()
        if not cell:
            continue
        fields[name] = cell
        if name in MINUTES or name in NUMBERS:
            fields[name] = _number(cell, whole=name in MINUTES)
        elif name == "blackout":
            fields[name] = _rules(cell)
        elif name == "opt_out":
            if cell.lower() not in TRUTH:
                raise _bad(path, place, "opt_out true or false", repr(cell))
            fields[name] = TRUTH[cell.lower()]
    return fields


def _number(cell: str, *, whole: bool) -> int | float | str:
    for kind in (int,) if whole else (int, float):
        with suppress(ValueError):
            if isfinite(number := kind(cell)):
                return number
    return cell


def _rules(cell: str) -> list[str]:
    return [rule.strip() for rule in cell.split(";") if rule.strip()]


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            _check_names(path, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=10_000):
                for fields in _in_seconds(batch).to_pylist():
                    number += 1
                    yield f"row {number}", _from_arrow(fields)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(
            f"{path}", expected="a whole Parquet file", got=" ".join(str(error).split()), remedy="Write it again."
        ) from None


def _in_seconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Timestamps as `datetime` can say them."""
    fields = [
        pa.field(field.name, pa.timestamp("s", field.type.tz)) if pa.types.is_timestamp(field.type) else field
        for field in batch.schema
    ]
    return batch.cast(pa.schema(fields), safe=False)


def _from_arrow(fields: dict[str, Any]) -> dict[str, Any]:
    """Null and NaN leave a field open; a timestamp becomes ISO 8601 text, which the codec asks for a zone."""
    found = {name: value for name, value in fields.items() if value is not None and value == value}  # noqa: PLR0124
    for name, value in found.items():
        if isinstance(value, datetime):
            found[name] = value.isoformat()
        elif isinstance(value, float):
            # Whole numbers come as floats where pandas had some missing; JSON has no endless one, but text is refused.
            found[name] = str(value) if not isfinite(value) else int(value) if value.is_integer() else value
        elif name == "blackout" and isinstance(value, str):
            found[name] = _rules(value)
    return found


def _check_names(path: Path, names: list[str]) -> None:
    for name in names:
        if name not in FIELDS:
            nearest = get_close_matches(name, FIELDS, n=1, cutoff=0.0)[0]
            raise _bad(path, f"column {name!r}", f"a known one, the nearest is {nearest}", repr(name))
        if names.count(name) > 1:
            raise _bad(path, f"column {name!r}", "it once", f"{names.count(name)} of that name")
    if missing := [name for name in NEEDED if name not in names]:
        raise _bad(path, "the columns", f"{', '.join(NEEDED)}", f"no {', no '.join(missing)}")


def _bad(path: Path, place: str, expected: str, got: str) -> BadInput:
    return BadInput(f"{path}, {place}", expected=expected, got=got, remedy=f"{REMEDY} {FORMAT}")
