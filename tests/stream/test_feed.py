"""What a feed makes of a trace, before any broker: messages that decoders read back."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput
from models.minutes import Span
from stream.feed_arrow import Acknowledged, join
from stream.feed_encode import open_encoder
from stream.feed_trace import Fleet, Grouping, messages_of, open_fleet, records_in
from stream.kafka_tools import Place
from stream.samples import Key
from stream.wire import Keys, open_decoder
from stream.wire_base import Wire

SMALL = "synthetic:vms=60,days=2,seed=3"
FORMATS = ("json", "host-json", "host-msgpack", "arrow")
UNITS = ("s", "ms", "us", "ns", "iso")
KEYS = [Key(f"vm-{i}", "h-🚀 1") for i in range(5)]


class Sent(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return open_fleet(SMALL, None)


def plain(fleet: Fleet, by: str = "host", unit: str = "percent") -> Grouping:
    return Grouping(by, unit, np.zeros(len(fleet.hosts), dtype=np.int64))


def nowhere(fleet: Fleet) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.zeros(len(fleet.hosts), dtype=np.int32)


@given(
    format_=st.sampled_from(FORMATS),
    ts_unit=st.sampled_from(UNITS),
    renamed=st.booleans(),
    second=st.integers(0, 5_000_000_000),
    value=st.lists(st.floats(0, 655).map(lambda v: round(v, 4)) | st.just(float("nan")), min_size=1, max_size=5),
)
def test_a_decoder_reads_what_the_encoder_wrote(
    format_: str, ts_unit: str, renamed: bool, second: int, value: list[float]
) -> None:
    fields = {"vm": "uuid", "host": "node", "ts": "at", "cpu": "load"} if renamed else {}
    wire = Wire(format_, "percent", 1, "UTC", ts_unit, fields)
    count = 1 if format_ == "json" else len(value)
    key = np.arange(count, dtype=np.int32)[::-1]
    body = open_encoder(wire, KEYS).encode(key, np.full(count, second), np.array(value[:count]))
    keys = Keys()
    found = open_decoder(wire, keys).decode([Sent(0, None, body)])
    assert found.bad == []
    there = [(KEYS[k], second, v) for k, v in zip(key.tolist(), value, strict=False) if v == v]  # noqa: PLR0124
    assert [
        (keys[k], s, v) for k, s, v in zip(found.key.tolist(), found.ts_s.tolist(), found.value.tolist(), strict=True)
    ] == there


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (Wire("telegraf"), "expected json, host-json, host-msgpack or arrow, got 'telegraf'"),
        (Wire("json", "core_seconds"), "expected percent or fraction, got 'core_seconds'"),
        (Wire("json", "percent", 1, "UTC", "s", {"vm": "ts"}), "a name of its own"),
        (Wire("json", "percent", 1, "Mars", "iso"), "an IANA name"),
    ],
)
def test_what_no_feed_can_write_is_refused(wire: Wire, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        open_encoder(wire, KEYS)


def test_each_minute_has_every_sample_of_the_trace_once_by_host_and_time(fleet: Fleet) -> None:
    start = fleet.trace.span.start
    for minute in range(start + 30, start + 90):
        made = messages_of(fleet, minute, plain(fleet), nowhere(fleet))
        pieces = [fleet.trace.samples(part, Span(minute, minute + 1)) for part in range(fleet.trace.parts)]
        rows = sorted(
            (key, ts, round(float(value), 4))
            for piece in pieces
            for key, ts, value in zip(*(column.tolist() for column in piece), strict=True)
        )
        assert sorted(zip(made.key.tolist(), made.ts_s.tolist(), made.value.tolist(), strict=True)) == rows
        assert made.at_s.tolist() == sorted(made.at_s.tolist())
        assert set((made.at_s // 60).tolist()) == {minute}
        for index, (first, end) in enumerate(zip(made.first[:-1].tolist(), made.first[1:].tolist(), strict=True)):
            assert set(fleet.host_of[made.key[first:end]].tolist()) == {made.host.item(index)}
            assert len(set(made.ts_s[first:end].tolist())) == 1
            assert made.ts_s.item(first) <= made.at_s.item(index)


def test_a_late_report_keeps_its_own_time(fleet: Fleet) -> None:
    start = fleet.trace.span.start
    made = [messages_of(fleet, minute, plain(fleet), nowhere(fleet)) for minute in range(start, start + 2_000)]
    late = [(m.at_s - m.ts_s[m.first[:-1]]).max() for m in made if len(m.host)]
    assert max(late) >= 120


@pytest.mark.parametrize(("by", "messages"), [("sample", 60), ("host", 3), ("partition", 2)])
def test_rows_are_grouped_as_the_format_asks(fleet: Fleet, by: str, messages: int) -> None:
    partition_of = np.array([index % 2 for index in range(len(fleet.hosts))], dtype=np.int32)
    made = messages_of(fleet, fleet.trace.now - 61, plain(fleet, by), partition_of)
    assert len(made.host) == len(made.first) - 1 == pytest.approx(messages, rel=0.25)
    assert made.first[-1] == len(made.key)
    for first, end in zip(made.first[:-1].tolist(), made.first[1:].tolist(), strict=True):
        assert len(set(partition_of[fleet.host_of[made.key[first:end]]].tolist())) == 1


def test_an_empty_minute_has_no_messages(fleet: Fleet) -> None:
    made = messages_of(fleet, fleet.trace.span.start - 100, plain(fleet), nowhere(fleet))
    assert (len(made.host), len(made.key), made.first.tolist()) == (0, 0, [0])


def test_a_source_of_fractions_gets_fractions_and_skewed_clocks_show(fleet: Fleet) -> None:
    minute = fleet.trace.span.start + 10
    percent = messages_of(fleet, minute, plain(fleet), nowhere(fleet))
    skew_s = np.arange(len(fleet.hosts)) * 7 - 7
    skewed = messages_of(fleet, minute, Grouping("host", "fraction", skew_s), nowhere(fleet))
    assert np.allclose(skewed.value, percent.value / 100, atol=1e-6)
    assert (skewed.ts_s - percent.ts_s).tolist() == skew_s[fleet.host_of[percent.key]].tolist()


def test_a_recorded_trace_is_spread_over_hosts(tmp_path: Path) -> None:
    vms = [f"vm-{i:03d}" for i in range(60)]
    rows = {"vm": vms * 3, "ts": [60_000_000 + 60 * m for m in range(3) for _ in vms], "cpu": [1.0] * 180}
    pq.write_table(pa.table(rows), tmp_path / "small.parquet")
    url = f"replay:{tmp_path / 'small.parquet'}"
    default = open_fleet(url, None)
    assert (len(default.hosts), default.hosts[0]) == (3, "small-0000")
    seven = open_fleet(url, 7)
    assert len(seven.hosts) == 7
    assert [key.vm_id for key in seven.keys] == vms
    assert records_in(seven.trace, seven.trace.span) == []
    with pytest.raises(BadInput, match="expected a recorded trace"):
        open_fleet(SMALL, 7)


def test_the_acknowledged_samples_are_kept_with_their_places(tmp_path: Path) -> None:
    for number in range(2):
        kept = Acknowledged(tmp_path / f"a.{number}", KEYS)
        for offset in range(3):
            key = np.array([number, offset], dtype=np.int32)
            kept.add(key, np.array([60, 61]), np.array([1.5, np.nan]), Place(number, offset))
        kept.close()
    join([tmp_path / "a.0", tmp_path / "a.1"], tmp_path / "a")
    rows = pq.read_table(tmp_path / "a").to_pylist()
    assert len(rows) == 12
    assert rows[0] == {"vm": "vm-0", "host": KEYS[0].host, "ts": 60, "cpu": 1.5, "partition": 0, "offset": 0}
    assert rows[-1] == {"vm": "vm-2", "host": KEYS[0].host, "ts": 61, "cpu": None, "partition": 1, "offset": 2}
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
