"""Minutes that turn out to be another placement's are taken back from what was written, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import StoreError
from models.fleet import VmRecord
from models.minutes import Span
from stream.stores.history import read_steps
from stream.stores.open import Stores
from tests.stream.fakes import LogSource, at, following, log_of
from tests.stream.ingest_given import (
    HOUR,
    KEYS,
    START,
    close,
    counts_of,
    drain,
    failing,
    ingest_of,
    replace_log,
    two_hosts,
)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    yield from following(tmp_path)


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


def test_who_takes_a_part_over_and_knows_of_the_move_corrects_what_the_first_one_wrote_before_it_heard_of_it(
    stores: Stores,
) -> None:
    source = two_hosts([], [(2, at(START + m), 50.0) for m in range(32, 60)])
    first, second = replace_log(source, until=2), LogSource(KEYS, [[], source.log[1]])
    first.parts, second.parts = [0], [1]
    close(drain(ingest_of(first, stores)), stores, START + 70)
    assert counts_of(stores, "a", Span(START + 30, START + 35), 5) == [5]
    last = drain(ingest_of(second, stores))
    close(last, stores, START + 70)
    second.log[0].extend(source.log[0])
    last.assign(0)
    close(drain(last), stores, START + 71)
    assert counts_of(stores, "a", Span(START + 30, START + 35), 5) == [5]  # 2 of h1, and 3 of h2
    assert read_steps(stores.series, stores.catalogue.find(["a"])["a"], 5, Span(START + 30, START + 35))[0] == 34
    assert counts_of(stores, "b") == [60]


def test_the_correction_is_forgotten_when_its_hours_are_past_reopening(stores: Stores) -> None:
    sizes = {0: [VmRecord("a", "h1", START, vcpus=4)], 2: [VmRecord("a", "h1", START + 30, vcpus=8)]}
    hour, later = [(0, at(START + m), 10.0) for m in range(66)], [(0, at(START + 67), 1.0)]
    source = LogSource(KEYS, [log_of(hour, [], [], later, records=sizes)])
    ingest = drain(ingest_of(source, stores))
    assert stores.control.list("correct/") != {}
    close(ingest, stores, START + 400)
    source.log[0].extend(log_of([(0, at(START + 400), 1.0)], offset=4))
    drain(ingest)
    assert stores.control.list("correct/") == {}
