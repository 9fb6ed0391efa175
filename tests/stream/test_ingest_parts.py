"""Ingest by parts that come and go: letters, cores, what a failing store leaves, and where a successor reads on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import StartOver, StoreError
from models.fleet import VmRecord
from models.minutes import Clock
from stream.clock import watermarks, write_clock
from stream.ingest import Ingest
from stream.samples import Refusal, Unit
from stream.stores.history import read_steps
from stream.stores.open import Stores
from tests.stream.fakes import LogSource, at, following, log_of, samples_of
from tests.stream.ingest_given import HOUR, KEYS, START, close, counts_of, drain, failing, ingest_of, two_hosts


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    yield from following(tmp_path)


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
