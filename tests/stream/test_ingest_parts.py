"""Ingest by parts that come and go: letters, cores, corrections, what a failing store leaves behind, and where a
successor reads on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import StartOver, StoreError
from models.fleet import VmRecord
from models.minutes import Clock, Minute, Span
from stream.clock import watermarks, write_clock
from stream.due import Rules
from stream.ingest import Ingest
from stream.samples import Refusal, Unit
from stream.stores.history import read_steps
from stream.stores.open import Stores
from stream.stores.protocols import BlockRow, ProfileRow
from tests.stream.fakes import LogSource, at, following, log_of, samples_of

START = 60 * 1000
WALL_S = float(at(START + 10_000))
HOUR = Span(START, START + 60)
KEYS = [("a", "h1"), ("b", "h1"), ("a", "h2")]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    yield from following(tmp_path)


def ingest_of(source: LogSource, stores: Stores) -> Ingest:
    return Ingest(source, stores, Rules(), lambda: WALL_S)


def drain(ingest: Ingest) -> Ingest:
    while ingest.behind:
        ingest.step()
    return ingest


def close(ingest: Ingest, stores: Stores, now: Minute) -> None:
    write_clock(stores.control, Clock(speed=0.0, origin_minute=now))
    ingest.step()


def counts_of(stores: Stores, vm_id: str, span: Span = HOUR, step_min: int = 60) -> list[int]:
    counts: list[int] = read_steps(stores.series, stores.catalogue.find([vm_id])[vm_id], step_min, span)[1].tolist()
    return counts


def test_the_source_is_told_which_samples_were_refused_and_why(stores: Stores) -> None:
    write_clock(stores.control, Clock(speed=0.0, origin_minute=START))
    source = LogSource(KEYS, [log_of([(0, at(START), -1.0), (0, at(START), 1.0), (1, at(START + 9), 1.0)])])
    drain(ingest_of(source, stores))
    assert source.refusals == [(0, Refusal.IMPOSSIBLE, [0]), (0, Refusal.AHEAD, [2])]


def test_a_late_sample_is_named_by_its_place_in_the_batch(stores: Stores) -> None:
    log = log_of([(0, at(START + 200), 1.0)], [(1, at(START + 201), 1.0), (0, at(START), 1.0)])
    source = LogSource(KEYS, [log])
    drain(ingest_of(source, stores))
    assert source.refusals == [(0, Refusal.LATE, [1])]


def test_a_replay_refuses_in_silence(stores: Stores) -> None:
    log = log_of([(0, at(START), -1.0), (0, at(START), 1.0)])
    drain(ingest_of(LogSource(KEYS, [log]), stores))
    again = LogSource(KEYS, [log])
    assert drain(ingest_of(again, stores)).counts == {}
    assert again.refusals == []
    assert again.handled == [1]


def cores(stores: Stores, *samples: tuple[int, int, float], vcpus: float | None = 4) -> tuple[Ingest, LogSource]:
    records = {0: [VmRecord("a", "h1", START, vcpus=vcpus)]}
    source = LogSource(KEYS, [log_of(samples, records=records)])
    source.unit = Unit.CORE_PERCENT
    return drain(ingest_of(source, stores)), source


def test_percent_of_a_core_is_divided_by_what_the_vm_had_at_that_time(stores: Stores) -> None:
    ingest, source = cores(stores, *[(0, at(START + m), 320.0) for m in range(60)], (1, at(START), 100.0))
    close(ingest, stores, START + 64)
    mean, count = read_steps(stores.series, stores.catalogue.find(["a"])["a"], 60, HOUR)
    assert (mean.tolist(), count.tolist()) == ([80], [60])
    assert source.refusals == [(0, Refusal.NO_VCPUS, [60])]
    assert ingest.counts["accepted"] == 60


def test_more_than_the_allocation_can_give_is_impossible_after_the_division_only(stores: Stores) -> None:
    ingest, source = cores(stores, (0, at(START), 4 * 655.0), (0, at(START + 1), 4 * 656.0), (0, at(START + 2), 0.0))
    assert source.refusals == [(0, Refusal.IMPOSSIBLE, [1])]
    assert ingest.counts == {"accepted": 2, "over_100": 1, "impossible": 1}


def two_hosts(*after: Sequence[tuple[int, int, float]]) -> LogSource:
    """VM a on h1, which goes on reporting it for 5 minutes after it has gone; then what `after` says, by partition 1
    where it is of h2."""
    on_h1 = log_of([(k, at(START + m), 10.0) for m in range(66) for k in (0, 1) if k or m < 35], *after[:1])
    return LogSource(KEYS, [on_h1, log_of(*after[1:], part=1)])


def test_minutes_that_another_host_turns_out_to_own_are_taken_back_from_what_was_written(stores: Stores) -> None:
    source = two_hosts([], [(2, at(START + m), 50.0) for m in range(30, 60)])
    ingest = ingest_of(source, stores)
    ingest.step()
    close(ingest, stores, START + 70)
    assert counts_of(stores, "a") == [60]
    assert counts_of(stores, "a", Span(START + 25, START + 40), 5) == [5, 5, 5]
    mean, _ = read_steps(stores.series, stores.catalogue.find(["a"])["a"], 60, HOUR)
    assert mean.tolist() == [30]
    assert counts_of(stores, "b") == [60]


def test_a_successor_goes_on_correcting_where_the_first_one_died_before_it_wrote(stores: Stores) -> None:
    source = two_hosts([], [(2, at(START + m), 50.0) for m in range(30, 60)])
    first = ingest_of(replace_log(source, until=1), stores)
    first.step()
    close(first, stores, START + 70)
    assert counts_of(stores, "a") == [35]
    broken = ingest_of(source, stores)
    stores_put = stores.series.put
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores.series, "put", failing)
        with pytest.raises(StoreError):
            broken.step()
    assert stores.series.put == stores_put
    assert len(stores.catalogue.find(["a"])["a"].placements) == 2
    last = drain(ingest_of(source, stores))
    close(last, stores, START + 71)
    assert counts_of(stores, "a") == [60]
    assert read_steps(stores.series, stores.catalogue.find(["a"])["a"], 60, HOUR)[0].tolist() == [30]


def test_a_span_that_was_taken_back_whole_is_written_as_empty(stores: Stores) -> None:
    on_h1 = log_of([(0, at(START + m), 10.0) for m in range(5)], [(0, at(START + 40), 1.0)])
    source = LogSource(KEYS, [on_h1, log_of([(2, at(START + m), 50.0) for m in range(31, 41)], part=1)])
    ingest = ingest_of(source, stores)
    ingest.step()
    close(ingest, stores, START + 70)
    drain(ingest)
    close(ingest, stores, START + 71)
    assert stores.series.read("cpu", 5, [0], Span(START + 40, START + 45)).count[0, 0] == 0
    assert counts_of(stores, "a") == [15]


def replace_log(source: LogSource, until: int) -> LogSource:
    """The same log as it was when partition 1 had nothing yet."""
    return LogSource(KEYS, [source.log[0][:until], []])


def failing(metric: str, rows: Sequence[BlockRow], profiles: Sequence[ProfileRow] = ()) -> int:
    raise StoreError("disk", expected="room", got="none", remedy="Make some.")


def test_what_a_predecessor_wrote_is_corrected_also_where_the_replay_has_not_come_there_when_it_is_lost(
    stores: Stores,
) -> None:
    on_h1 = log_of(*[[(k, at(START + m), 10.0) for k in (0, 1) if k or m < 35] for m in range(66)])
    first = drain(ingest_of(LogSource(KEYS, [on_h1, []]), stores))
    close(first, stores, START + 70)
    assert counts_of(stores, "a", Span(START + 30, START + 35), 5) == [5]
    move = log_of([(2, at(START + m), 50.0) for m in range(32, 60)], part=1)
    close(drain(ingest_of(LogSource(KEYS, [on_h1, move]), stores)), stores, START + 71)
    assert counts_of(stores, "a", Span(START + 30, START + 35), 5) == [5]  # 2 of h1, and 3 of h2
    assert read_steps(stores.series, stores.catalogue.find(["a"])["a"], 5, Span(START + 30, START + 35))[0] == 34
    assert counts_of(stores, "a") == [60]


def test_the_correction_is_forgotten_when_its_hours_are_past_reopening(stores: Stores) -> None:
    source = two_hosts([], [(2, at(START + m), 50.0) for m in range(30, 60)], [(2, at(START + 300), 1.0)])
    ingest = ingest_of(source, stores)
    ingest.step()
    close(ingest, stores, START + 70)
    assert stores.control.list("correct/") != {}
    close(ingest, stores, START + 400)
    source.log[0].extend(log_of([(0, at(START + 400), 1.0)], offset=2))
    source.log[1].extend(log_of([(2, at(START + 400), 1.0)], part=1, offset=3))
    drain(ingest)
    assert stores.control.list("correct/") == {}


def test_a_store_that_fails_while_samples_are_taken_ends_this_ingest_and_the_next_one_loses_nothing(
    stores: Stores,
) -> None:
    source = LogSource(KEYS, [log_of([(0, at(START + m), 10.0) for m in range(60)])])
    ingest = ingest_of(source, stores)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores.control, "apply", no_answer)
        with pytest.raises(StartOver):
            ingest.step()
    successor = drain(ingest_of(LogSource(KEYS, source.log), stores))
    close(successor, stores, START + 64)
    assert counts_of(stores, "a") == [60]


def no_answer(changes: object) -> bool:
    raise StoreError("control", expected="an answer", got="none", remedy="Wait.")


def test_a_store_that_fails_when_rows_are_put_is_tried_again_by_the_next_round(stores: Stores) -> None:
    source = LogSource(KEYS, [log_of([(0, at(START + m), 10.0) for m in range(64)])])
    ingest = ingest_of(source, stores)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores.series, "put", failing)
        with pytest.raises(StoreError):
            ingest.step()
    assert ingest.step() == [START]
    assert counts_of(stores, "a") == [60]


def test_a_part_that_was_revoked_is_replayed_by_who_gets_it(stores: Stores) -> None:
    log = log_of(*[[(0, at(START + m), 10.0)] for m in range(70)])
    first = ingest_of(LogSource(KEYS, [log]), stores)
    for _ in range(30):
        first.step()
    first.revoke(0)
    assert first.parts == []
    first.assign(0)
    drain(first)
    assert counts_of(stores, "a") == [60]
    assert first.counts["accepted"] == 70


def test_while_it_replays_a_successor_commits_no_further_than_it_has_read(stores: Stores) -> None:
    log = log_of(*[[(0, at(START + m), 10.0)] for m in range(50)])
    drain(ingest_of(LogSource(KEYS, [log]), stores))
    second = ingest_of(LogSource(KEYS, [[replace(log[0], samples=samples_of([])), *log[1:]]]), stores)
    second.step()
    record = stores.control.get("offset/0")
    assert record is not None
    assert json.loads(record.value)["offset"] == 1
    assert json.loads(record.value)["handled"] == 50


def test_the_watermarks_are_the_control_stores(stores: Stores) -> None:
    drain(ingest_of(two_hosts([], [(2, at(START + 70), 1.0)]), stores))
    assert watermarks(stores.control) == {0: START + 70, 1: START + 70}  # the idle one follows
