"""What every implementation of `protocols.Outcomes` promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.fleet import Life
from models.minutes import Span
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import KnownMigration, Migration
from tests.stream.stores.given import placement

ALL_TIME = Span(-(10**6), 10**9)
MOVED = Migration("vm-1", 100, "pre-copy", "host-a", "host-b", 12.5, 37.25, "done")


def known(stores: Stores, *lives: tuple[str, int]) -> None:
    """These lives (vm_id, created_at) are in the catalogue."""
    stores.catalogue.put(
        [Life(vm_id, created_at) for vm_id, created_at in lives],
        [placement(vm_id, slot, created_at=created_at) for slot, (vm_id, created_at) in enumerate(lives)],
    )


@pytest.mark.parametrize("downtime_ms", [None, 0.0, 1234.5])
def test_a_migration_comes_back_as_it_was(stores: Stores, downtime_ms: float | None) -> None:
    known(stores, ("vm-1", 40))
    odd = replace(
        MOVED,
        downtime_ms=downtime_ms,
        method="post-copy",
        result="failed",
        reason="line 1\nline 2 é",
        source="",
        length_s=0.0,
    )
    assert stores.outcomes.put([odd]) == []
    assert stores.outcomes.of("vm-1") == [KnownMigration(40, odd)]
    assert stores.outcomes.read(ALL_TIME) == [KnownMigration(40, odd)]


def test_one_that_comes_again_is_one(stores: Stores) -> None:
    known(stores, ("vm-1", 40))
    for _ in range(3):
        stores.outcomes.put([MOVED])
    stores.outcomes.put([MOVED, MOVED])
    assert stores.outcomes.read(ALL_TIME) == [KnownMigration(40, MOVED)]


def test_the_last_word_on_a_migration_holds(stores: Stores) -> None:
    known(stores, ("vm-1", 40))
    last = replace(MOVED, result="failed", reason="no memory", downtime_ms=None)
    stores.outcomes.put([MOVED])
    stores.outcomes.put([last])
    assert stores.outcomes.of("vm-1") == [KnownMigration(40, last)]


@pytest.mark.parametrize(("start", "created_at"), [(39, 40), (40, 40), (99, 40), (100, 100), (500, 100), (-5, 40)])
def test_it_belongs_to_the_life_that_was_there(stores: Stores, start: int, created_at: int) -> None:
    known(stores, ("vm-1", 40), ("vm-1", 100), ("vm-2", 98))
    stores.outcomes.put([replace(MOVED, start=start)])
    assert [found.created_at for found in stores.outcomes.of("vm-1")] == [created_at]


def test_a_life_that_is_learned_of_later_takes_its_migration_over(stores: Stores) -> None:
    known(stores, ("vm-1", 40))
    stores.outcomes.put([MOVED])
    known(stores, ("vm-1", 40), ("vm-1", 90))
    stores.outcomes.put([MOVED])
    assert stores.outcomes.read(ALL_TIME) == [KnownMigration(90, MOVED)]


def test_ids_that_no_life_has_are_said_and_their_neighbours_stored(stores: Stores) -> None:
    known(stores, ("vm-1", 40))
    unknown = stores.outcomes.put([replace(MOVED, vm_id="vm-8"), MOVED, replace(MOVED, vm_id="vm-9")])
    assert unknown == ["vm-8", "vm-9"]
    assert stores.outcomes.read(ALL_TIME) == [KnownMigration(40, MOVED)]
    assert stores.outcomes.of("vm-8") == []


def test_they_are_read_by_start_and_id_over_a_half_open_span(stores: Stores) -> None:
    known(stores, ("vm-1", 0), ("vm-2", 0), ("vm-10", 0))
    stores.outcomes.put([replace(MOVED, vm_id=v, start=s) for v in ("vm-2", "vm-10", "vm-1") for s in (60, 0, 120)])
    found = [(known.migration.start, known.migration.vm_id) for known in stores.outcomes.read(Span(0, 120))]
    assert found == [(s, v) for s in (0, 60) for v in ("vm-1", "vm-10", "vm-2")]
    assert stores.outcomes.read(Span(60, 60)) == []
    assert [known.migration.start for known in stores.outcomes.of("vm-2")] == [0, 60, 120]


def test_nothing_is_an_answer(stores: Stores) -> None:
    assert stores.outcomes.put([]) == []
    assert stores.outcomes.read(ALL_TIME) == []
    assert stores.outcomes.of("vm-1") == []


def test_one_that_cannot_be_stored_leaves_nothing(stores: Stores) -> None:
    known(stores, ("vm-1", 40))
    with pytest.raises(OverflowError):
        stores.outcomes.put([MOVED, replace(MOVED, start=2**80)])
    assert stores.outcomes.read(ALL_TIME) == []


def test_another_process_sees_them(url: str) -> None:
    first, second = open_stores(url, url, url), open_stores(url, url, url)
    try:
        known(first, ("vm-1", 40))
        first.outcomes.put([MOVED])
        assert second.outcomes.of("vm-1") == [KnownMigration(40, MOVED)]
    finally:
        first.close()
        second.close()
