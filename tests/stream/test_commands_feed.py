"""`zhuge feed` on a real broker."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.errors import BadInput, StoreError
from models.minutes import Clock, Minute, Span, format_iso
from stream.clock import now as clock_now
from stream.clock import read_clock, write_clock
from stream.inventory import decode_record
from stream.kafka_tools import Record, ensure_topics, partition_of, read_topic, samples_topic
from stream.replay import open_trace
from stream.stores.open import Stores, open_stores
from stream.wire import Keys, open_decoder
from stream.wire_base import Message, Wire
from tests.services import Kafka
from tests.stream.kafka_given import Asked, numbers

TRACE = "synthetic:vms=60,days=1,seed=3"
START: Minute = open_trace(TRACE).span.start
HOUR = ("--until", format_iso(START + 60))
Sample = tuple[str, str, int, float]


class At:
    """A record of a topic as a decoder wants it."""

    def __init__(self, record: Record) -> None:
        self.offset, self.key, self.value, self.timestamp = record.offset, record.key, record.value, record.timestamp_ms


@pytest.fixture
def asked(tmp_path: Path, kafka: Kafka, prefix: str) -> Asked:
    asked = Asked(tmp_path, kafka, prefix)
    asked.configured()
    ensure_topics(asked.own, [samples_topic(asked.samples, 3)])
    return asked


def stores_of(asked: Asked) -> Stores:
    url = f"sqlite:{asked.folder / 'zhuge.sqlite'}"
    return open_stores(url, url, url)


def samples_in(records: list[Record], wire: Wire) -> tuple[list[Sample], Counter[str]]:
    """What a decoder finds: the samples in the order of the log, and the reasons of what is bad."""
    keys, samples, bad = Keys(), list[Sample](), Counter[str]()
    messages: list[Message] = [At(record) for record in records]
    found = open_decoder(wire, keys).decode(messages)
    bad.update(one.reason for one in found.bad)
    for key, ts_s, value in zip(found.key.tolist(), found.ts_s.tolist(), found.value.tolist(), strict=True):
        samples.append((keys[key].vm_id, keys[key].host, ts_s, value))
    return samples, bad


def samples_of_the_trace(span: Span, factor: float = 1.0) -> list[Sample]:
    trace = open_trace(TRACE)
    return sorted(
        (*trace.keys[key], ts_s, round(float(np.float64(value) * factor), 4 if factor == 1 else 6))
        for part in range(trace.parts)
        for key, ts_s, value in zip(*(c.tolist() for c in trace.samples(part, span)), strict=True)
    )


@pytest.mark.parametrize(
    ("format_", "unit", "ts_unit"),
    [
        ("host-json", "percent", "s"),
        ("json", "fraction", "iso"),
        ("host-msgpack", "percent", "ms"),
        ("arrow", "percent", "ns"),
    ],
)
def test_a_trace_arrives_whole_and_in_order(asked: Asked, format_: str, unit: str, ts_unit: str) -> None:
    asked.configured(f'format = "{format_}"\nunit = "{unit}"\nts_unit = "{ts_unit}"')
    said = numbers(asked.ask("feed", TRACE, *HOUR))
    records = list(read_topic(asked.own, asked.samples))
    samples, bad = samples_in(records, Wire(format_, unit, 1, "UTC", ts_unit))
    assert not bad
    assert sorted(samples) == samples_of_the_trace(Span(START, START + 60), 0.01 if unit == "fraction" else 1.0)
    assert (said["messages"], said["samples"]) == (len(records), len(samples))
    for part in range(3):
        mine, _ = samples_in([r for r in records if r.partition == part], Wire(format_, unit, 1, "UTC", ts_unit))
        assert {partition_of(host.encode(), 3) for _, host, _, _ in mine} <= {part}
        late = sum(later[2] < earlier[2] - 60 for earlier, later in pairwise(mine))
        assert late <= 3  # the trace's own stragglers
    assert all(record.key is None or partition_of(record.key, 3) == record.partition for record in records)


def test_the_inventory_is_sent_and_the_clock_follows(asked: Asked) -> None:
    said = numbers(asked.ask("feed", TRACE, *HOUR))
    records = [decode_record(found.key, found.value) for found in read_topic(asked.own, asked.topics.inventory)]
    trace = open_trace(TRACE)
    told = [record for part in range(2) for record in trace.records(part, Span(START, START + 60))]
    assert {r.vm_id: r for r in records if r is not None} == {record.vm_id: record for record in told}
    assert said["records"] == len(records) == len(told)
    stores = stores_of(asked)
    assert read_clock(stores.control) == Clock()
    stores.close()


def test_without_inventory_and_clock_neither_is_touched(asked: Asked) -> None:
    assert "records" not in numbers(asked.ask("feed", TRACE, *HOUR, "--no-inventory", "--no-clock"))
    assert not (asked.folder / "zhuge.sqlite").exists()
    with pytest.raises(StoreError, match="expected one that the brokers know"):
        list(read_topic(asked.own, asked.topics.inventory))


FAULTS = (
    "--late",
    "0.1",
    "--late-min",
    "45",
    "--duplicate",
    "0.2",
    "--shuffle",
    "30",
    "--drop",
    "0.1",
    "--poison",
    "0.3",
)


def test_faults_are_made_and_counted_and_what_was_acknowledged_is_kept(asked: Asked) -> None:
    path = asked.folder / "acknowledged.parquet"
    said = numbers(asked.ask("feed", TRACE, *HOUR, *FAULTS, "--skew", "20", "--acknowledged", str(path)))
    records = list(read_topic(asked.own, asked.samples))
    good = said["messages"] - said["poison"]
    assert said["messages"] == len(records)
    assert said["poison"] / len(records) == pytest.approx(0.3, abs=0.06)
    assert said["duplicates"] / (good + said["dropped"]) == pytest.approx(0.2, abs=0.08)
    rows = pq.read_table(path).to_pylist()
    assert len(rows) == said["samples"]
    by_place = {(record.partition, record.offset): record for record in records}
    kept = {(row["partition"], row["offset"]) for row in rows}
    assert len(kept) == good
    samples, bad = samples_in([by_place[place] for place in sorted(kept)], Wire("host-json"))
    assert not bad
    assert sorted(samples) == sorted((row["vm"], row["host"], row["ts"], row["cpu"]) for row in rows)
    poison, bad = samples_in([r for place, r in by_place.items() if place not in kept], Wire("host-json"))
    assert set(bad) == {"malformed", "unequal_columns", "wrong_fields"}
    assert all(value < 0 or value > 655 for _, _, _, value in poison)


def test_a_live_feed_keeps_to_its_speed_and_the_clock_runs_with_it(asked: Asked) -> None:
    began_s = time.time()
    asked.ask("feed", TRACE, "--speed", "1800", "--from", "start", *HOUR)
    assert time.time() - began_s > 2.0
    stores = stores_of(asked)
    clock = read_clock(stores.control)
    assert (clock.speed, clock.origin_minute) == (0.0, START + 60)
    stores.close()
    records = list(read_topic(asked.own, asked.samples))
    first_s = min(record.timestamp_ms for record in records) / 1000
    for record in records:
        samples, _ = samples_in([record], Wire("host-json"))
        behind_s = (samples[0][2] - START * 60) / 1800 - (record.timestamp_ms / 1000 - first_s)
        assert behind_s < 0.25, "sent before its time"


def test_a_second_feed_goes_on_where_the_clock_stands(asked: Asked) -> None:
    stores = stores_of(asked)
    now = open_trace(TRACE).now
    write_clock(stores.control, Clock(0.0, now + 600))
    asked.ask("feed", TRACE, "--speed", "6000", "--until", format_iso(now + 610))
    assert clock_now(stores.control, time.time()) == now + 610
    samples, _ = samples_in(list(read_topic(asked.own, asked.samples)), Wire("host-json"))
    in_time = sum(ts_s >= (now + 600) * 60 for _, _, ts_s, _ in samples)
    assert in_time > 0.98 * len(samples) > 300
    stores.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["synthetic:vms=60", "--speed", "fast"], "--speed: expected max, or a number"),
        (["synthetic:vms=60", "--speed", "0"], "--speed: expected max, or a number"),
        (["synthetic:vms=60,days=1", "--until", "end"], "expected an end, where the speed is max"),
        (["synthetic:vms=60,days=1", "--from", "now"], "what is to be fed: expected a time within"),
        (["synthetic:vms=60,days=1", "--from", "noon"], "expected an ISO 8601 time"),
        (["synthetic:vms=60", "--hosts", "3"], "expected a recorded trace"),
        (["synthetic:vms=60", "--poison", "0.95"], "fault poison"),
        (["synthetic:vms=60,days=1", "--producers", "0"], "producers: expected from 1 to 64"),
        (["synthetic:vms=60", "--source", "host"], "the nearest is hosts"),
        (["replay:none.parquet"], "no such file"),
    ],
)
def test_what_cannot_be_fed_is_refused(asked: Asked, arguments: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        asked.ask("feed", *arguments)


def test_a_topic_that_is_not_there_is_named(
    tmp_path: Path, kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.kafka_tools.ANSWER_S", 1.0)
    with pytest.raises(StoreError, match=f"topic {prefix}cpu.hosts: expected one that the brokers know"):
        Asked(tmp_path, kafka, prefix).ask("feed", TRACE, *HOUR)
