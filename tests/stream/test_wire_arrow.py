"""Arrow IPC streams: types of columns, where the host stands, keys that are kept, and streams that lie about sizes."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.wire import Wire
from stream.wire_arrow import MAX_KEPT_HEADERS, ArrowDecoder
from tests.stream.wiring import T0, Codec, Record, Said, as_arrow, as_json, opened, reasons, said, said_by

COLUMNS: dict[str, Any] = {
    "vm": pa.array(["a", "b"]),
    "host": pa.array(["h", "h"]),
    "ts": pa.array([T0, T0 + 60]),
    "cpu": pa.array([1.5, 0.0]),
}
ROWS = [Said(0, "a", "h", T0, 1.5), Said(0, "b", "h", T0 + 60, 0.0)]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"cpu": pa.array([1.5, 0.0], pa.float32()), "more": pa.array([[{"x": 1}], None])},
        {"cpu": pa.array(np.array([1.5, 0.0], np.float16))},
        {"vm": pa.array(["a", "b"], pa.large_string()), "host": pa.array(["h", "h"]).dictionary_encode()},
        {"vm": pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.uint8()), pa.array(["b", "a", "c"]))},
        {"ts": pa.array([T0, T0 + 60], pa.uint64())},
        {"ts": pa.array([T0 + 0.9, T0 + 60.1])},
        {"ts": pa.array([T0 * 1000, T0 * 1000 + 60_999], pa.timestamp("ms"))},
        {"ts": pa.array([T0 * 10**9, (T0 + 60) * 10**9], pa.timestamp("ns", "Asia/Shanghai"))},
    ],
)
def test_columns_of_many_types_say_the_same(change: dict[str, Any]) -> None:
    assert said(Wire("arrow"), [as_arrow({**COLUMNS, **change})]) == (ROWS, [])


def test_whole_numbers_are_a_load_too_and_a_null_is_a_gap() -> None:
    rows, bad = said(Wire("arrow"), [as_arrow({**COLUMNS, "cpu": pa.array([None, 7])})])
    assert (rows, bad) == ([Said(0, "b", "h", T0 + 60, 7.0)], [])


def test_impossible_numbers_pass_as_they_are() -> None:
    rows, bad = said(Wire("arrow"), [as_arrow({**COLUMNS, "cpu": pa.array([float("nan"), -1.0])})])
    np.testing.assert_array_equal([row.value for row in rows], [np.nan, -1.0])
    assert bad == []


def test_a_stream_of_several_batches_and_of_none() -> None:
    rows, bad = said(Wire("arrow"), [as_arrow(COLUMNS, batches=3), as_arrow(COLUMNS, batches=0), as_arrow(COLUMNS)])
    assert [row.message for row in rows] == [0] * 6 + [2] * 2
    assert bad == []
    empty = {name: column[:0] for name, column in COLUMNS.items()}
    assert said(Wire("arrow"), [as_arrow(empty)]) == ([], [])


def test_the_host_may_stand_in_the_metadata_or_be_the_key() -> None:
    bare = {name: column for name, column in COLUMNS.items() if name != "host"}
    told = as_arrow(bare, metadata={"host": "told"})
    asked = [Record(told, b"k"), Record(as_arrow(bare), b"k"), Record(as_arrow(bare), None), Record(told, None)]
    rows, bad = said(Wire("arrow"), asked)
    assert [row.host for row in rows] == ["told", "told", "k", "k", "told", "told"]
    assert reasons(bad) == [(2, "no_host")]


def test_the_names_and_the_unit_of_the_source_are_used() -> None:
    wire = Wire("arrow", ts_unit="ms", fields={"vm": "uuid", "host": "node", "ts": "at", "cpu": "load"})
    renamed = {"uuid": "vm", "node": "host", "at": "ts", "load": "cpu"}
    columns = {new: COLUMNS[old] for new, old in renamed.items()}
    columns["at"] = pa.array([T0 * 1000, T0 * 1000 + 60_999])
    assert said(wire, [as_arrow(columns)]) == (ROWS, [])


@pytest.mark.parametrize(
    "ts",
    [
        pa.array(["2026-01-01T08:00:00", "2026-01-01T00:01:00Z"]),
        pa.array(["2026-01-01T08:00:00", "2026-01-01T00:01:00Z"]).dictionary_encode(),
        pa.array([datetime(2026, 1, 1, 8), datetime(2026, 1, 1, 8, 1)]),
        pa.array([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 1, tzinfo=UTC)]),
    ],
)
def test_local_times_are_in_the_zone_of_the_source(ts: pa.Array[Any]) -> None:
    wire = Wire("arrow", ts_unit="iso", timezone="Asia/Shanghai")
    assert said(wire, [as_arrow({**COLUMNS, "ts": ts})]) == (ROWS, [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vm": pa.array([1, 2])}, "wrong_fields"),
        ({"vm": pa.array([b"a", b"b"])}, "wrong_fields"),
        ({"vm": pa.array([None, "b"])}, "wrong_fields"),
        ({"vm": pa.nulls(2)}, "wrong_fields"),
        ({"vm": pa.array(["", "b"])}, "bad_id"),
        ({"host": pa.array(["h", None]).dictionary_encode()}, "wrong_fields"),
        ({"host": pa.array(["h", "x" * 300])}, "bad_id"),
        ({"ts": pa.array([T0, None])}, "bad_time"),
        ({"ts": pa.array([T0, -1])}, "bad_time"),
        ({"ts": pa.array([T0, T0 * 1000])}, "bad_time"),
        ({"ts": pa.array([T0, float("nan")])}, "bad_time"),
        ({"ts": pa.array([T0, 2**64 - 1], pa.uint64())}, "malformed"),
        ({"ts": pa.array(["x", "y"])}, "wrong_fields"),
        ({"cpu": pa.array(["1", "2"])}, "wrong_fields"),
        ({"cpu": pa.array([True, False])}, "wrong_fields"),
        ({"cpu": pa.nulls(2)}, "wrong_fields"),
    ],
)
def test_a_bad_stream_is_bad_alone(change: dict[str, Any], reason: str) -> None:
    rows, bad = said(Wire("arrow"), [as_arrow(COLUMNS), as_arrow({**COLUMNS, **change}), as_arrow(COLUMNS)])
    assert reasons(bad) == [(1, reason)]
    assert [row.message for row in rows] == [0, 0, 2, 2]


def test_a_stream_that_is_bad_in_its_second_batch_gives_nothing() -> None:
    good = pa.record_batch(COLUMNS)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, good.schema) as writer:
        writer.write_batch(good)
        writer.write_batch(pa.record_batch({**COLUMNS, "ts": pa.array([T0, -5])}))
    rows, bad = said(Wire("arrow"), [sink.getvalue().to_pybytes()])
    assert (rows, reasons(bad)) == ([], [(0, "bad_time")])


@pytest.mark.parametrize("missing", ["vm", "ts", "cpu"])
def test_a_column_that_is_not_there_is_named(missing: str) -> None:
    _, bad = said(Wire("arrow"), [as_arrow({name: c for name, c in COLUMNS.items() if name != missing})])
    assert bad[0].reason == "wrong_fields"
    assert missing in bad[0].detail


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("vm", [pa.array(["a"] * 5000), pa.array(["a"] * 5000).dictionary_encode()])
def test_a_body_that_would_be_unpacked_to_any_size_is_refused(compression: Codec, vm: pa.Array[Any]) -> None:
    columns = {"vm": vm, "host": vm, "ts": pa.array([T0] * 5000), "cpu": pa.array([0.0] * 5000)}
    _, bad = said(Wire("arrow"), [as_arrow(columns, compression=compression)])
    assert reasons(bad) == [(0, "compressed")]
    assert len(said(Wire("arrow"), [as_arrow(columns)])[0]) == 5000


def test_keys_are_used_again_only_for_the_very_same_columns() -> None:
    decoder, keys = opened(Wire("arrow"))
    lists = [["a", "b"], ["a", "b"], ["b", "a"], ["a", "c"], ["a", "b"], ["ab", ""], ["a", "b"]]
    for vm in lists:
        plain = {**COLUMNS, "vm": pa.array(vm)}
        for columns in (plain, {**plain, "vm": plain["vm"].dictionary_encode()}):
            rows, bad = said_by(decoder, keys, [as_arrow(columns)])
            assert [row.vm_id for row in rows] == ([] if bad else vm)
            assert bool(bad) == ("" in vm)
    rows, _ = said_by(decoder, keys, [as_arrow({**COLUMNS, "host": pa.array(["h", "g"])})])
    assert [(row.vm_id, row.host) for row in rows] == [("a", "h"), ("b", "g")]
    assert len(keys) == 5  # a, b, c and ab on h (the id beside it was bad), b on g


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.wire_arrow.MAX_KEPT_ROWS", 5)
    decoder, keys = opened(Wire("arrow"))
    assert isinstance(decoder, ArrowDecoder)
    for number in range(20):
        columns = {**COLUMNS, "vm": pa.array([f"a{number % 4}", f"b{number % 4}"])}
        assert len(said_by(decoder, keys, [as_arrow(columns)])[0]) == 2
        assert sum(len(kept[1]) for kept in decoder._kept.values()) <= 5
    assert len(keys) == 8
    assert len(decoder._plain) < MAX_KEPT_HEADERS


GOOD = as_arrow({**COLUMNS, "host": COLUMNS["host"].dictionary_encode()})


@given(st.integers(0, len(GOOD) - 8), st.sampled_from([0, 1, -1, 255, 2**31 - 1, -(2**31), 2**62]), st.booleans())
def test_a_stream_with_a_wrong_number_anywhere_neither_raises_nor_harms_its_neighbours(
    at: int, number: int, long: bool
) -> None:
    broken = bytearray(GOOD)
    struct.pack_into("<q" if long else "<i", broken, at, number if long or abs(number) < 2**32 else 7)
    rows, bad = said(Wire("arrow"), [GOOD, bytes(broken), GOOD])
    assert [row for row in rows if row.message != 1] == [row._replace(message=m) for m in (0, 2) for row in ROWS]
    assert {one.at for one in bad} <= {1}


def test_json_is_no_arrow() -> None:
    _, bad = said(Wire("arrow"), [as_json({}), b"", None, b"ARROW1\0\0"])
    assert [one.at for one in bad if one.reason in ("malformed", "no_value")] == [0, 1, 2, 3]
