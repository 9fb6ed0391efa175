from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.fleet import FOREVER
from models.minutes import Clock, Minute
from stream.clock import WATERMARK_PREFIX, write_clock
from stream.due import Rules
from stream.in_step import Others, lead_of
from stream.ingest import Ingest
from stream.stores.open import Stores
from stream.stores.overwrite import overwrite
from tests.stream.fakes import LogSource, at, following, log_of

LEAD_MIN, HOLD_S = 15, 60.0


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    yield from following(tmp_path)


def say(stores: Stores, part: int, minute: Minute) -> None:
    overwrite(stores.control, f"{WATERMARK_PREFIX}{part}", json.dumps({"minute": minute}))


def test_the_partition_of_another_worker_that_is_furthest_behind_holds_those_ahead(stores: Stores) -> None:
    others = Others(stores.control, 1_000, LEAD_MIN, HOLD_S)
    assert others.horizon([1_000], 0.0) == FOREVER
    for part, minute in ((1_000, 100), (1_001, 900), (1_002, 700)):
        say(stores, part, minute)
    assert others.horizon([1_000], 1.0) == 700 + LEAD_MIN
    assert others.horizon([1_000, 1_002], 1.0) == 900 + LEAD_MIN
    assert others.horizon([1_000, 1_001, 1_002], 1.0) == FOREVER


def test_the_partition_of_another_source_holds_nobody(stores: Stores) -> None:
    say(stores, 999, 100)
    say(stores, 2_000, 100)
    assert Others(stores.control, 1_000, LEAD_MIN, HOLD_S).horizon([], 0.0) == FOREVER


def test_one_that_stands_still_holds_for_a_while_only_and_again_when_it_moves(stores: Stores) -> None:
    others = Others(stores.control, 0, LEAD_MIN, HOLD_S)
    say(stores, 1, 100)
    assert others.horizon([0], 10.0) == 100 + LEAD_MIN
    assert others.horizon([0], 10.0 + HOLD_S - 1) == 100 + LEAD_MIN
    assert others.horizon([0], 10.0 + HOLD_S) == FOREVER
    say(stores, 1, 101)
    assert others.horizon([0], 11.0 + HOLD_S) == 101 + LEAD_MIN


def test_a_partition_that_only_follows_the_clock_says_so_though_it_has_nothing_to_store(stores: Stores) -> None:
    write_clock(stores.control, Clock(speed=0.0, origin_minute=60_000))
    ingest = Ingest(LogSource([("a", "h")], [log_of([(0, at(60_000), 1.0)])]), stores, Rules(), lambda: 0.0)
    for minute in (60_001, 60_300, 60_304, 60_305):
        write_clock(stores.control, Clock(speed=0.0, origin_minute=minute))
        ingest.step()
    others = Others(stores.control, 0, LEAD_MIN, HOLD_S)
    assert others.horizon([], 0.0) == 60_305 + LEAD_MIN
    write_clock(stores.control, Clock(speed=0.0, origin_minute=60_310))
    ingest.step()
    assert others.horizon([], 0.0) == 60_310 + LEAD_MIN


def test_two_that_are_equally_far_never_wait_for_each_other() -> None:
    assert [lead_of(30, 1), lead_of(0, 1), lead_of(10, 5), lead_of(30, 60)] == [15, 5, 10, 120]
    for interval_min in (1, 5, 60):  # the next sample lies before the horizon that an equally far one sets
        assert 100 + interval_min < 100 + lead_of(0, interval_min)
