"""What was fetched becomes batches, what is refused becomes letters, and a replay tells nothing twice."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from stream.kafka_source import LOG_APPEND_TIME, LONGEST_WAIT_S, KafkaSource
from stream.samples import Key, Refusal
from stream.wire_base import Wire

PART = 1003


@dataclass(frozen=True)
class Logged:
    offset: int
    value: bytes | None
    key: bytes | None = b"h"
    timestamp: int = 1_000_500
    timestamp_type: int = LOG_APPEND_TIME


def one(offset: int, cpu: object, ts_s: int = 600) -> Logged:
    return Logged(offset, json.dumps({"vm": f"vm-{offset}", "host": "h", "ts": ts_s, "cpu": cpu}).encode())


def source_of(unit: str = "percent", offset: int = 0, handled: int = 0) -> KafkaSource:
    source = KafkaSource("samples", Wire("json", unit))
    source.seek(PART, offset, handled)
    return source


def test_messages_become_one_batch_with_the_offsets_that_they_span() -> None:
    source = source_of()
    source.put(PART, [one(7, 0.0), one(9, 12.5)])
    [batch] = source.poll()
    assert (batch.part, batch.offset, batch.next_offset) == (PART, 7, 10)
    assert [batch.keys[key] for key in batch.samples.key.tolist()] == [Key("vm-7", "h"), Key("vm-9", "h")]
    assert batch.samples.ts_s.tolist() == [600, 600]
    assert batch.samples.value.tolist() == [0.0, 12.5]
    assert batch.samples.value.dtype == np.float32
    assert source.poll() == []


def test_the_brokers_time_of_arrival_is_told_and_the_producers_is_not() -> None:
    source = source_of()
    source.put(PART, [one(0, 1)])
    [batch] = source.poll()
    assert batch.arrived_s is not None
    assert batch.arrived_s.tolist() == [1000.5]
    source.put(PART, [Logged(1, one(1, 1).value, timestamp_type=0)])
    assert source.poll()[0].arrived_s is None


def test_a_bad_message_is_a_letter_and_its_neighbours_are_samples() -> None:
    source = source_of()
    source.put(PART, [one(0, 1), Logged(1, b"{"), one(2, 3)])
    [batch] = source.poll()
    assert batch.samples.value.tolist() == [1, 3]
    [letter] = source.letters()
    assert (letter.part, letter.message.offset, letter.reason) == (PART, 1, "malformed")
    assert source.letters() == []


def test_a_refused_sample_makes_its_message_a_letter_once() -> None:
    source = source_of()
    source.put(PART, [one(4, -1), one(5, 2), one(6, 700)])
    source.poll()
    source.refused(PART, Refusal.IMPOSSIBLE, np.array([0, 2]))
    assert [(letter.message.offset, letter.reason, letter.detail) for letter in source.letters()] == [
        (4, "impossible", "1 of its 1 samples"),
        (6, "impossible", "1 of its 1 samples"),
    ]


def test_no_batch_lies_on_both_sides_of_what_was_handled_and_a_replay_writes_no_letters() -> None:
    source = source_of(offset=3, handled=5)
    assert source.sought() == {PART: 3}
    source.put(PART, [one(3, 1), Logged(4, b"{"), Logged(5, b"{"), one(6, 2)])
    [first] = source.poll()
    assert (first.offset, first.next_offset) == (3, 5)
    assert source.moving
    [second] = source.poll()
    assert (second.offset, second.next_offset) == (5, 7)
    assert [letter.message.offset for letter in source.letters()] == [5]
    assert not source.moving
    assert source.counts["messages"] == 2


def test_it_is_caught_up_when_the_broker_says_so_and_everything_was_polled() -> None:
    source = source_of()
    assert not source.caught_up(PART)
    source.put(PART, [one(0, 1)])
    source.says(PART, 0, at_end=True)
    assert not source.caught_up(PART)
    source.poll()
    assert source.caught_up(PART)
    source.says(PART, 1, at_end=False)
    assert not source.caught_up(PART)


def test_seeking_drops_what_was_fetched() -> None:
    source = source_of()
    source.put(PART, [one(8, 1)])
    source.seek(PART, 2, 2)
    assert source.poll() == []


def at_minute(offset: int, minute: int, host: str = "h") -> Logged:
    value = {"vm": "a", "host": host, "ts": minute * 60, "cpu": 1}
    return Logged(offset, json.dumps(value).encode())


def minutes(source: KafkaSource) -> dict[int, list[int]]:
    return {batch.part: (batch.samples.ts_s // 60).tolist() for batch in source.poll()}


def two_parts() -> KafkaSource:
    source = source_of()
    source.seek(PART + 1, 0, 0)
    return source


def test_no_partition_is_given_far_beyond_the_one_that_is_furthest_behind() -> None:
    source = two_parts()
    source.put(PART, [at_minute(n, 100 + n) for n in range(20)])
    source.put(PART + 1, [at_minute(n, 107 + n) for n in range(3)])
    assert minutes(source) == {PART: [100, 101, 102, 103, 104]}
    assert minutes(source) == {PART: [105, 106, 107, 108, 109], PART + 1: [107, 108, 109]}
    source.says(PART + 1, 7, at_end=False)
    assert minutes(source) == {PART: [110, 111, 112, 113]}  # the other has more than was fetched, from 109 on
    assert not source.caught_up(PART)
    assert source.waiting(PART) == 6
    source.says(PART + 1, 0, at_end=True)
    assert minutes(source) == {PART: [114, 115, 116, 117, 118]}
    assert minutes(source) == {PART: [119]}
    assert not source.moving


def test_no_message_is_given_beyond_the_horizon_that_other_workers_set() -> None:
    source = source_of()
    source.put(PART, [at_minute(n, 100 + n) for n in range(20)])
    source.says(PART, 0, at_end=True)
    source.horizon = 103
    assert minutes(source) == {PART: [100, 101, 102]}
    assert (minutes(source), source.moving, source.caught_up(PART)) == ({}, False, False)
    source.horizon = 104
    assert minutes(source) == {PART: [103]}


def test_a_message_that_is_further_on_keeps_those_behind_it_in_their_order() -> None:
    source = two_parts()
    source.put(PART, [at_minute(0, 100), at_minute(1, 130), at_minute(2, 101)])
    source.put(PART + 1, [at_minute(0, 100)])
    assert minutes(source) == {PART: [100], PART + 1: [100]}
    source.says(PART + 1, 0, at_end=True)
    assert minutes(source) == {PART: [130, 101]}


def test_a_sample_ahead_of_the_clock_holds_neither_its_own_partition_nor_another() -> None:
    source = two_parts()
    source.latest = 200
    source.put(PART, [at_minute(0, 100), at_minute(1, 900), at_minute(2, 101)])
    source.put(PART + 1, [at_minute(0, 900), at_minute(1, 102)])
    assert minutes(source) == {PART: [100, 900, 101], PART + 1: [900, 102]}
    source.says(PART, 5, at_end=False)
    source.put(PART + 1, [at_minute(2, 104)])
    assert minutes(source) == {PART + 1: [104]}  # the other one's newest is 101, and not 900


def test_one_of_which_nothing_is_known_is_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    source, now_s = two_parts(), 1_000.0
    monkeypatch.setattr("stream.kafka_source.monotonic", lambda: now_s)
    source.put(PART, [at_minute(0, 100)])
    assert minutes(source) == {}
    now_s += LONGEST_WAIT_S - 0.1
    assert minutes(source) == {}
    now_s += 0.2
    assert minutes(source) == {PART: [100]}


def test_a_partition_of_bad_messages_only_holds_nobody() -> None:
    source = two_parts()
    source.put(PART, [at_minute(0, 100), at_minute(1, 104)])
    source.put(PART + 1, [Logged(0, b"{")])
    assert minutes(source) == {PART: [100, 104], PART + 1: []}
    assert [letter.part for letter in source.letters()] == [PART + 1]


def test_a_refused_sample_names_its_message_also_in_a_later_batch_of_one_fetch() -> None:
    source = source_of()
    source.put(PART, [at_minute(n, 100 + n) for n in range(8)])
    source.poll()
    source.poll()
    source.refused(PART, Refusal.LATE, np.array([1]))
    assert [letter.message.offset for letter in source.letters()] == [6]


def counter(offset: int, seconds: float, ts_s: int) -> Logged:
    return Logged(offset, json.dumps({"vm": "a", "host": "h", "ts": ts_s, "cpu": seconds}).encode())


def test_counters_become_percent_of_a_core_and_name_their_predecessors_offset() -> None:
    source = source_of("core_seconds")
    source.put(PART, [counter(10, 100, 600), counter(11, 130, 660), counter(12, 130, 720), counter(13, 5, 780)])
    [batch] = source.poll()
    assert batch.samples.value.tolist() == [50, 0]
    assert batch.samples.ts_s.tolist() == [630, 690]
    assert batch.since is not None
    assert batch.since.tolist() == [10, 11]
    assert source.counts["counter_fell"] == 1


@pytest.mark.parametrize("value", [1e300, 1e39])
def test_a_number_beyond_float32_is_handed_on_to_be_refused(value: float) -> None:
    source = source_of()
    source.put(PART, [one(0, value)])
    assert np.isinf(source.poll()[0].samples.value).all()
