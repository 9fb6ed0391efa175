from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BadInput
from models.fleet import VmRecord
from models.minutes import DAY_MIN, Minute, Span
from stream.replay import ReplaySource, open_trace
from stream.samples import Batch, Samples, Source, Unit
from stream.synthetic import DEMO_NOW, SyntheticTrace
from stream.traces import TableTrace, read_trace

START = DEMO_NOW - DAY_MIN


class Now:
    """A hand-moved clock."""

    def __init__(self, minute: Minute) -> None:
        self.minute = minute

    def __call__(self) -> Minute:
        return self.minute


@pytest.fixture(scope="module")
def trace() -> SyntheticTrace:
    return SyntheticTrace(vms=60, days=1)


@pytest.fixture
def ended(tmp_path: Path) -> TableTrace:
    """A trace from minute 90 to minute 210, one sample every 5 minutes."""
    ts_s = [minute * 60 for minute in range(90, 211, 5)]
    pq.write_table(pa.table({"vm": ["a"] * 25, "ts": ts_s, "cpu": [1.0] * 25}), tmp_path / "ended.parquet")
    return read_trace(tmp_path / "ended.parquet")


def drain(source: ReplaySource) -> list[Batch]:
    batches: list[Batch] = []
    while polled := source.poll():
        batches += polled
    return batches


def handed_out(batches: list[Batch], part: int) -> tuple[list[Samples], list[VmRecord]]:
    mine = [batch for batch in batches if batch.part == part]
    return [batch.samples for batch in mine], [record for batch in mine for record in batch.records]


def assert_same(pieces: list[Samples], whole: Samples) -> None:
    for column, piece in zip(whole, zip(*pieces, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(piece), column)


def test_it_speaks_for_its_trace(trace: SyntheticTrace) -> None:
    source: Source = ReplaySource(trace, Now(DEMO_NOW))
    assert source.name == "replay:synthetic:vms=60,days=1,seed=7"
    assert (source.unit, source.interval_min, source.parts) == (Unit.PERCENT, 1, range(2))
    assert all(batch.keys is trace.keys for batch in source.poll())


@settings(max_examples=20)
@given(advances=st.lists(st.integers(0, 150), min_size=1, max_size=8))
def test_however_time_advances_all_is_handed_out_once_and_nothing_early(
    trace: SyntheticTrace, advances: list[int]
) -> None:
    now = Now(START)
    source = ReplaySource(trace, now)
    batches: list[Batch] = []
    for advance in advances:
        now.minute += advance
        got = drain(source)
        assert all(START + batch.next_offset <= now.minute for batch in got)
        assert all(source.caught_up(part) for part in range(2))
        batches += got
    for part in range(2):
        offsets = [(batch.offset, batch.next_offset) for batch in batches if batch.part == part]
        assert [offset for offset, _ in offsets] == [0, *(end for _, end in offsets)][: len(offsets)]
        assert sum(end - offset for offset, end in offsets) == now.minute - START
        samples, records = handed_out(batches, part)
        if samples:
            assert_same(samples, trace.samples(part, Span(START, now.minute)))
        assert tuple(records) == trace.records(part, Span(START, now.minute))


def test_a_poll_gives_each_partition_one_batch_that_ends_with_the_hour(ended: TableTrace) -> None:
    source = ReplaySource(ended, Now(1000))
    assert [(batch.part, batch.offset, batch.next_offset) for batch in source.poll()] == [(0, 0, 30)]
    assert [(batch.part, batch.offset, batch.next_offset) for batch in source.poll()] == [(0, 30, 90)]
    assert not source.caught_up(0)
    assert [(batch.part, batch.offset, batch.next_offset) for batch in source.poll()] == [(0, 90, 121)]
    assert source.poll() == []


def test_it_has_caught_up_where_the_trace_ends(ended: TableTrace) -> None:
    source = ReplaySource(ended, Now(10**9))
    assert sum(len(batch.samples.key) for batch in drain(source)) == 25
    assert source.caught_up(0)


def test_before_the_trace_begins_there_is_nothing_to_catch_up_with(trace: SyntheticTrace) -> None:
    source = ReplaySource(trace, Now(START - 5))
    assert source.poll() == []
    assert source.caught_up(0)


@given(offset=st.integers(0, 200))
def test_an_offset_resumes_exactly(trace: SyntheticTrace, offset: int) -> None:
    source = ReplaySource(trace, Now(START + 200))
    drain(source)
    source.seek(1, offset, 0)
    batches = drain(source)
    assert {batch.part for batch in batches} <= {1}
    samples, records = handed_out(batches, 1)
    expected = Span(START + offset, START + 200)
    if samples:
        assert batches[0].offset == offset
        assert_same(samples, trace.samples(1, expected))
    assert tuple(records) == trace.records(1, expected)
    assert source.caught_up(1)


def test_the_inventory_rides_in_the_batch_of_its_arrival(trace: SyntheticTrace) -> None:
    now = Now(START + 30)
    source = ReplaySource(trace, now)
    at_first = [record for batch in source.poll() for record in batch.records]
    assert len(at_first) > 40
    assert all(record.from_minute < START + 30 for record in at_first)
    now.minute = DEMO_NOW
    later = [record for batch in drain(source) for record in batch.records]
    assert {trace.kinds[record.vm_id] for record in later} == {"newborn", "resized"}
    assert all(record.from_minute >= START + 30 for record in later)


def test_a_negative_offset_is_refused(trace: SyntheticTrace) -> None:
    with pytest.raises(BadInput, match="expected 0 or more, got -1"):
        ReplaySource(trace, Now(START)).seek(0, -1, 0)


def test_synthetic_urls_carry_options() -> None:
    assert open_trace("synthetic:").name == "synthetic:vms=2000,days=16,seed=7"
    trace = open_trace("synthetic:vms=12,days=2,seed=3,parts=1")
    assert (trace.name, trace.parts, trace.span.start) == ("synthetic:vms=12,days=2,seed=3", 1, DEMO_NOW - 2 * DAY_MIN)


def test_replay_urls_name_a_file(ended: TableTrace, tmp_path: Path) -> None:
    trace = open_trace(f"replay:{tmp_path / 'ended.parquet'}")
    assert (trace.name, trace.keys, trace.span) == ("ended", ended.keys, ended.span)


def test_keep_times_reaches_the_reader(tmp_path: Path) -> None:
    ts_s = [0, 300, DAY_MIN * 120, DAY_MIN * 120 + 300]
    pq.write_table(pa.table({"vm": ["a", "a", "b", "b"], "ts": ts_s, "cpu": [1.0] * 4}), tmp_path / "two.parquet")
    url = f"replay:{tmp_path / 'two.parquet'}"
    assert open_trace(url).span == Span(2 * DAY_MIN, 2 * DAY_MIN + 6)
    assert open_trace(url, keep_times=True).span == Span(0, 2 * DAY_MIN + 6)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("synthetik:vms=2", "expected synthetic: or replay:FILE, got 'synthetik:vms=2'. Did you mean synthetic:?"),
        ("/data/x.parquet", "A Parquet file FILE is written replay:FILE"),
        ("synthetic:vm=2", "expected one of vms, days, seed, parts, got 'vm'. Did you mean vms?"),
        ("synthetic:colour=2", "got 'colour'. Leave it out."),
        ("synthetic:vms=many", "synthetic fleet, vms: expected a whole number, got 'many'. Write it like vms=2."),
        ("synthetic:vms", "synthetic fleet, vms: expected a whole number, got ''"),
        ("synthetic:days=0", "synthetic fleet, days: expected a whole number from 1 to 366, got 0"),
        ("replay:none.parquet", "trace none.parquet: expected a Parquet file, got no such file"),
        ("replay:", "expected a Parquet file, got a folder"),
    ],
)
def test_a_bad_url_is_refused_in_plain_words(url: str, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        open_trace(url)
    assert message in str(refused.value)
