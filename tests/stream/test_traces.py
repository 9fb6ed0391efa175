from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import BadInput
from models.minutes import Span
from stream.samples import Key, Trace
from stream.traces import read_trace
from tests.stream.fakes import ends

DAY_S = 86_400


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a trace of three rows with some columns replaced, left out (None) or renamed by the caller."""

    def writer(rows: int | None = None, **columns: object) -> Path:
        table: dict[str, object] = {"vm": ["a", "b", "a"], "ts": [0, 0, 300], "cpu": [1.0, 0.0, 2.0]}
        table = {name: column for name, column in {**table, **columns}.items() if column is not None}
        pq.write_table(pa.table(table)[:rows], tmp_path / "small.parquet")
        return tmp_path / "small.parquet"

    return writer


def test_a_small_trace_is_read_as_it_is(write: Callable[..., Path]) -> None:
    trace = read_trace(write())
    as_trace: Trace = trace
    assert (as_trace.name, as_trace.unit, as_trace.interval_min, as_trace.parts) == ("small", "percent", 5, 1)
    assert trace.keys == [Key("a", "small"), Key("b", "small")]
    assert trace.span == Span(0, 6)
    samples = trace.samples(0, trace.span)
    assert samples.key.tolist() == [0, 1, 0]
    assert samples.ts_s.tolist() == [0, 0, 300]
    assert samples.value.tolist() == [1.0, 0.0, 2.0]
    assert [np.asarray(column).dtype.name for column in samples] == ["int32", "int64", "float32"]
    assert trace.records(0, trace.span) == ()


def test_a_span_gives_the_minutes_in_it_and_no_other(write: Callable[..., Path]) -> None:
    trace = read_trace(write(ts=[59, 60, 359]))
    assert trace.samples(0, Span(0, 1)).ts_s.tolist() == [59]
    assert trace.samples(0, Span(1, 5)).ts_s.tolist() == [60]
    assert trace.samples(0, Span(5, 6)).ts_s.tolist() == [359]
    assert trace.samples(0, Span(6, 60)).ts_s.tolist() == []


def test_rows_in_any_order_come_out_by_time(write: Callable[..., Path]) -> None:
    rng = np.random.default_rng(1)
    ts_s = rng.permutation(200) * 300
    trace = read_trace(write(vm=["a", "b"] * 100, ts=ts_s, cpu=ts_s / 300))
    samples = trace.samples(0, trace.span)
    assert samples.ts_s.tolist() == sorted(ts_s.tolist())
    assert np.array_equal(samples.value, samples.ts_s / 300)


def test_two_rows_in_one_minute_and_values_over_100_are_passed_on(write: Callable[..., Path]) -> None:
    trace = read_trace(write(vm=["a", "a", "a"], ts=[600, 601, 601], cpu=[182.13, 5.0, 6.0]))
    samples = trace.samples(0, Span(10, 11))
    assert samples.ts_s.tolist() == [600, 601, 601]
    assert samples.value.tolist() == [np.float32(182.13), 5.0, 6.0]


def test_values_that_cannot_be_are_left_for_ingest_to_count(write: Callable[..., Path]) -> None:
    trace = read_trace(
        write(vm=["a"] * 5, ts=range(0, 1500, 300), cpu=[float("nan"), -1.0, 655.36, None, float("inf")])
    )
    np.testing.assert_array_equal(
        trace.samples(0, trace.span).value, np.array([np.nan, -1, 655.36, np.nan, np.inf], dtype=np.float32)
    )


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_any_kind_of_text_is_an_id(write: Callable[..., Path], kind: pa.DataType) -> None:
    trace = read_trace(write(vm=pa.array(["é/1 🚀", "b", "é/1 🚀"]).cast(kind)))
    assert [key.vm_id for key in trace.keys] == ["é/1 🚀", "b"]


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint64(), pa.timestamp("ms", "Asia/Kathmandu")])
def test_whole_seconds_and_times_with_a_zone_are_epoch_seconds(write: Callable[..., Path], kind: pa.DataType) -> None:
    step = 300_000 if pa.types.is_timestamp(kind) else 300
    trace = read_trace(write(ts=pa.array([0, step, 2 * step]).cast(kind)))
    assert trace.samples(0, trace.span).ts_s.tolist() == [0, 300, 600]


@pytest.mark.parametrize("kind", [pa.float64(), pa.int16(), pa.float32()])
def test_percents_may_be_any_number(write: Callable[..., Path], kind: pa.DataType) -> None:
    trace = read_trace(write(cpu=pa.array([1, 0, 2]).cast(kind)))
    assert trace.samples(0, trace.span).value.tolist() == [1.0, 0.0, 2.0]


@pytest.mark.parametrize(("step_s", "interval_min"), [(10, 1), (60, 1), (299, 5), (300, 5), (901, 15), (3600, 60)])
def test_the_interval_is_the_median_step(write: Callable[..., Path], step_s: int, interval_min: int) -> None:
    ts_s = [0, 1, *(step_s * n for n in range(1, 8))]
    assert read_trace(write(vm=["a"] * 9, ts=ts_s, cpu=[1.0] * 9)).interval_min == interval_min


def test_one_sample_a_vm_is_taken_for_minutes(write: Callable[..., Path]) -> None:
    assert read_trace(write(vm=["a", "b", "c"])).interval_min == 1


def series(last_s: Sequence[int], samples: int = 12) -> dict[str, Any]:
    """One VM for each end, a sample every 5 minutes."""
    back_s = np.arange(samples)[::-1] * 300
    return {
        "vm": [f"vm{number}" for number in range(len(last_s)) for _ in back_s],
        "ts": np.concatenate([end_s - back_s for end_s in last_s]),
        "cpu": np.ones(len(last_s) * samples),
    }


def test_series_that_ended_earlier_are_moved_by_whole_days(write: Callable[..., Path]) -> None:
    noon = 50 * DAY_S + 12 * 3600
    moved = read_trace(write(**series([noon, noon - 17 * DAY_S, noon - 3 * DAY_S - 7200, noon - 86_000])))
    assert ends(moved) == {"vm0": noon, "vm1": noon, "vm2": noon - 7200, "vm3": noon - 86_000}
    assert moved.now == noon // 60 - 23 * 60  # the hour in which vm3 ends
    assert moved.span == Span((noon - 86_000 - 11 * 300) // 60, noon // 60 + 1)


def test_jitter_does_not_cost_a_series_its_day(write: Callable[..., Path]) -> None:
    noon = 50 * DAY_S + 12 * 3600
    assert ends(read_trace(write(**series([noon, noon - DAY_S + 1, noon - 2 * DAY_S - 1])))) == {
        "vm0": noon,
        "vm1": noon + 1,
        "vm2": noon - 1,
    }


def test_keep_times_leaves_every_series_where_it_was(write: Callable[..., Path]) -> None:
    noon = 50 * DAY_S + 12 * 3600
    kept = read_trace(write(**series([noon, noon - 17 * DAY_S])), keep_times=True)
    assert ends(kept) == {"vm0": noon, "vm1": noon - 17 * DAY_S}
    assert kept.now == noon // 60 + 60


def test_partitions_share_out_the_vms_and_keep_each_whole(write: Callable[..., Path]) -> None:
    path = write(**series([DAY_S + number for number in range(40)]))
    trace = read_trace(path, parts=3)
    keys = [set(trace.samples(part, trace.span).key.tolist()) for part in range(3)]
    assert all(keys)
    assert set().union(*keys) == set(range(40))
    assert sum(map(len, keys)) == 40
    assert ends(trace) == ends(read_trace(path))


BAD_COLUMNS = {
    "missing vm": ({"vm": None, "vm_id": ["a", "b", "a"]}, "a column 'vm', got columns ts, cpu, vm_id. Is it 'vm_id'"),
    "missing cpu": ({"cpu": None, "CPU_pct": [1.0, 2.0, 3.0]}, "a column 'cpu', got .* Is it 'CPU_pct'"),
    "missing ts": ({"ts": None}, "a column 'ts', got columns vm, cpu. Write Parquet with vm"),
    "vm of numbers": ({"vm": [1, 2, 3]}, "column 'vm' of text, got type int64"),
    "ts as ISO text": (
        {"ts": ["2013-08-31T12:00:00"] * 3},
        "column 'ts' of whole .* got type string. Times without a zone",
    ),
    "ts without zone": ({"ts": [datetime(2013, 8, 31)] * 3}, "got type timestamp.us.. Times without a zone"),
    "ts in fractions": ({"ts": [0.5, 1.5, 2.5]}, "column 'ts' of whole numbers .* got type double"),
    "cpu as text": ({"cpu": ["1%", "2%", "3%"]}, "column 'cpu' of numbers .* got type string"),
    "null vm": ({"vm": ["a", None, "b"]}, "a vm in every row, got 1 rows with null"),
    "null ts": ({"ts": [None, None, 60]}, "a ts in every row, got 2 rows with null"),
    "milliseconds": (
        {"ts": [1_375_221_574_000] * 3},
        "1375221574000, which looks like milliseconds. Divide ts by 1,000",
    ),
    "microseconds": ({"ts": [1_375_221_574_000_000] * 3}, "looks like microseconds. Divide ts by 1,000,000"),
    "nanoseconds": ({"ts": [1_375_221_574 * 10**9] * 3}, "looks like nanoseconds. Divide ts by 1,000,000,000"),
    "one time in ms": ({"ts": [0, 300, 1_375_221_574_000]}, "looks like milliseconds"),
    "before 1970": ({"ts": [-300, 0, 300]}, "ts in epoch seconds from 1970 to 2200, got -300"),
    "beyond all units": ({"ts": pa.array([2**64 - 1] * 3, pa.uint64())}, "got 18446744073709551615"),
    "empty id": ({"vm": ["a", "", "b"]}, "ids of 1 to 255 characters, got an empty one"),
    "long id": ({"vm": ["a", "x" * 256, "b"]}, r"ids of 1 to 255 characters, got 'x{40}'... of 256"),
    "coarse": ({"vm": ["a"] * 3, "ts": [0, 7200, 14_400]}, "at least every 60 minutes, got one every 120"),
}


@pytest.mark.parametrize(("columns", "message"), BAD_COLUMNS.values(), ids=BAD_COLUMNS)
def test_bad_columns_are_refused_in_plain_words(
    write: Callable[..., Path], columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=f"small.parquet: expected .*{message}"):
        read_trace(write(**columns))


def test_an_id_of_255_characters_is_an_id(write: Callable[..., Path]) -> None:
    assert read_trace(write(vm=["é" * 255, "b", "b"])).keys[0].vm_id == "é" * 255


def test_a_trace_without_rows_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(BadInput, match="at least one sample, got no rows"):
        read_trace(write(rows=0))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.parquet: expected a Parquet file, got no such file"):
        read_trace(tmp_path / "none.parquet")
    with pytest.raises(BadInput, match="expected a Parquet file, got a folder"):
        read_trace(tmp_path)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(write: Callable[..., Path], keep: float) -> None:
    path = write()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(BadInput, match="a whole Parquet file, got one that cannot be read"):
        read_trace(path)


def test_a_file_broken_within_is_refused(write: Callable[..., Path]) -> None:
    path = write()
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(255 - index for index in range(56))
    path.write_bytes(content)
    with pytest.raises(BadInput, match="a whole Parquet file, got one that cannot be read"):
        read_trace(path)


def test_text_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("vm,ts,cpu\na,0,1.0\n")
    with pytest.raises(BadInput, match="a whole Parquet file, got one that cannot be read"):
        read_trace(tmp_path / "a.csv")


def test_ids_that_are_no_utf8_are_refused(write: Callable[..., Path]) -> None:
    raw = pa.array([b"\xff\xfe", b"a", b"b"])
    path = write(vm=pa.Array.from_buffers(pa.string(), 3, raw.buffers()))
    with pytest.raises(BadInput, match=r"cannot be read .*UTF8"):
        read_trace(path)
