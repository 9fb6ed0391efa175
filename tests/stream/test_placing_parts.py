"""Placements by several partitions and processes: hosts that change theirs, what others placed, what is given up."""

from __future__ import annotations

import numpy as np
import pytest

from models.fleet import FOREVER, SLOTS, Life, Placement, Vm, VmRecord
from stream.placing import Fleet, Tenure
from stream.slots import Slots
from stream.stays import ALWAYS
from tests.stream.fleet_days import make, placed


def test_a_host_that_reports_by_another_partition_is_followed_at_once_and_then_seldom() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h", [100])
    assert fleet.report(1, "a", "h", [100, 101]) == [Tenure(SLOTS, 101, FOREVER)]
    assert fleet.report(0, "a", "h", [102, 110]) == [Tenure(0, ALWAYS, 101)]
    assert fleet.report(0, "a", "h", [111]) == [Tenure(0, ALWAYS, 101), Tenure(0, 111, FOREVER)]
    assert placed(fleet, "a") == [("h", 100, None, 0), ("h", 101, None, SLOTS), ("h", 111, None, 0)]


def test_what_the_inventory_guessed_is_replaced_by_the_first_report() -> None:
    fleet, _ = make()
    fleet.apply(0, VmRecord("a", "h", 100, vcpus=4))
    assert fleet.report(1, "a", "h", [100, 101]) == [Tenure(SLOTS, ALWAYS, FOREVER)]
    assert placed(fleet, "a") == [("h", 100, 4, SLOTS)]
    assert fleet.apply(0, VmRecord("a", "h", 500, vcpus=8)) == 500
    assert placed(fleet, "a") == [("h", 100, 4, SLOTS), ("h", 500, 8, SLOTS)]
    assert fleet.report(1, "a", "h", [501]) == [Tenure(SLOTS, ALWAYS, 500), Tenure(SLOTS, 500, FOREVER)]


def test_partitions_that_are_not_read_in_step_lose_no_minute_of_a_move() -> None:
    fleet, _ = make()
    fleet.report(1, "a", "h2", [130, 131])
    assert fleet.report(0, "a", "h1", [121, 129]) == []
    assert fleet.report(0, "a", "h1", [100, 129]) == [Tenure(SLOTS, ALWAYS, 130)]
    assert fleet.report(1, "a", "h2", [132]) == [Tenure(0, 130, FOREVER)]


@pytest.mark.parametrize("record_first", [True, False])
def test_a_move_with_a_resize_ends_the_same_whether_the_record_or_the_host_comes_first(record_first: bool) -> None:
    fleet, _ = make()
    fleet.apply(0, VmRecord("a", "h1", 0, vcpus=4))
    record = VmRecord("a", "h2", 99, vcpus=8)
    if record_first:
        assert fleet.apply(1, record) == 99
        fleet.report(1, "a", "h2", [100])
    else:
        fleet.report(1, "a", "h2", [100])
        assert fleet.apply(1, record) == 99
    assert fleet.report(1, "a", "h2", [200])[-1] == Tenure(SLOTS, 99 if record_first else 100, FOREVER)
    assert {(p.vcpus, p.row) for p in fleet.placements("a")[1:]} == {(8, SLOTS)}


def test_a_size_that_was_not_known_is_told_from_where_it_matters() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h1", [10])
    fleet.report(0, "a", "h2", [30])
    assert fleet.apply(0, VmRecord("a", "h2", 60, vcpus=2)) == 30
    assert fleet.apply(0, VmRecord("a", "h2", 60, vcpus=2)) is None
    assert fleet.apply(0, VmRecord("a", "h1", 20, vcpus=4, cluster="c")) == 10
    assert [size for _, _, size, _ in placed(fleet, "a")] == [4, 2]
    assert fleet.apply(0, VmRecord("new", "h1", 20, vcpus=4)) is None


def test_the_life_before_keeps_its_minutes() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h1", [100])
    assert fleet.apply(0, VmRecord("a", "h1", 160, created_at=150)) == 150
    assert fleet.report(0, "a", "h1", [149, 150]) == [Tenure(0, ALWAYS, 150), Tenure(1, 150, FOREVER)]
    assert placed(fleet, "a") == [("h1", 160, None, 1)]
    assert [(life.created_at) for life in fleet.changes().lives] == [150, 100]  # both are to be saved


def test_what_another_process_placed_is_known_and_no_change_of_ours() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h1", [100])
    fleet.saved()
    fleet.changes()
    fleet.saved()
    theirs = Placement("a", 100, 130, "h2", 2.0, 9, 4)
    mine = fleet.placements("a")[0]
    assert fleet.learn(Vm(Life("a", 100, cluster="c"), (mine, theirs))) == 130
    assert fleet.changes() == ([], [])
    assert list(fleet.placements("a")) == [mine, theirs]
    assert fleet.report(0, "a", "h1", [131]) == [Tenure(0, ALWAYS, 130)]
    assert fleet.learn(Vm(Life("a", 40), (Placement("a", 40, 40, "h0", None, 9, 9),))) == 40
    assert fleet.report(0, "a", "h1", [131]) == [Tenure(0, 100, 130)]
    assert fleet.learn(Vm(Life("b", 40), (Placement("b", 40, 40, "h0", None, 9, 10),))) is None
    assert len(fleet) == 2


def test_an_echo_of_what_was_told_before_changes_nothing() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h1", [100])
    echo = [Vm(life, tuple(fleet.placements("a"))) for life in fleet.changes().lives]
    fleet.saved()
    fleet.apply(0, VmRecord("a", "h1", 100, vcpus=4, cluster="c"))
    fleet.changes()
    fleet.saved()
    assert fleet.learn(echo[0]) is None
    assert placed(fleet, "a") == [("h1", 100, 4, 0)]
    fleet.apply(0, VmRecord("a", "h1", 200, vcpus=8, cluster="c"))
    assert fleet.changes().lives[0].cluster == "c"


@pytest.mark.parametrize("row", [7, 3 * SLOTS])
def test_of_two_placements_at_one_minute_both_processes_keep_the_same_one(row: int) -> None:
    fleet, theirs = Fleet((), 1), Fleet((), 1)
    blocks = [divmod(SLOTS, SLOTS)[0], row // SLOTS]
    fleet.own(0, Slots([blocks[0]], [], lambda: 99))
    theirs.own(1, Slots([blocks[1]], range(blocks[1] * SLOTS, row), lambda: 99))
    fleet.report(0, "a", "h1", [100])
    theirs.report(1, "a", "h2", [100])
    for one, other in ((fleet, theirs), (theirs, fleet), (fleet, theirs)):
        changes = one.changes()
        one.saved()
        for life in changes.lives:
            other.learn(Vm(life, tuple(changes.placements)))
    assert list(fleet.placements("a")) == list(theirs.placements("a"))
    assert [p.row for p in fleet.placements("a")] == [max(row, SLOTS)]
    assert fleet.changes() == theirs.changes() == ([], [])


def test_what_was_not_saved_goes_with_its_partition() -> None:
    fleet, slots = make()
    fleet.report(0, "saved", "h1", [100])
    fleet.report(1, "moved", "h2", [100])
    fleet.changes()
    fleet.saved()
    fleet.report(0, "moved", "h1", [150])
    fleet.report(0, "new", "h1", [150])
    fleet.report(1, "other", "h2", [150])
    fleet.apply(0, VmRecord("saved", "h1", 100, vcpus=4))
    fleet.disown(0)
    assert placed(fleet, "saved") == [("h1", 100, None, 0)]
    assert placed(fleet, "moved") == [("h2", 100, None, SLOTS)]
    assert placed(fleet, "new") == []
    assert len(fleet) == 3
    assert {p.vm_id for p in fleet.changes().placements} == {"saved", "moved", "other"}
    fleet.saved()
    fleet.own(0, Slots(slots[0].blocks, [0], lambda: 9))
    assert fleet.report(0, "new", "h1", [160]) == [Tenure(1, ALWAYS, FOREVER)]


def test_changes_come_in_portions_and_a_life_that_ended_unsaved_is_among_them() -> None:
    fleet, _ = make()
    for vm_id in "abc":
        fleet.report(0, vm_id, "h", [100])
    fleet.restart(0, "b", "h", 9000)
    told = []
    while (changes := fleet.changes(2)).lives:
        told.append([(life.vm_id, life.created_at) for life in changes.lives])
        fleet.saved()
    assert told == [[("a", 100), ("b", 9000), ("b", 100)], [("c", 100)]]


def test_the_rows_of_vms_that_have_moved_since_are_told_whoever_had_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "empty", np.ones)  # what a column has beyond its use
    fleet, _ = make()
    for vm in range(2_100):
        fleet.report(0, f"vm-{vm}", "h", [100])
    assert fleet.moved(0, ALWAYS).tolist() == []
    fleet.report(1, "vm-7", "h2", [200])
    fleet.report(0, "vm-9", "h3", [300])
    assert [sorted(fleet.moved(part, 200).tolist()) for part in (0, 1)] == [[7, 9, 9], [0]]
    assert [sorted(fleet.moved(part, 201).tolist()) for part in (0, 1)] == [[9, 9], []]


def test_slots_know_their_rows_one_by_one_and_all_at_once() -> None:
    slots = Slots([7, 2], [2 * SLOTS, 7 * SLOTS + 1, 3 * SLOTS], lambda: 4)
    assert [slots.take() for _ in range(2)] == [(7, 0), (7, 2)]
    rows = np.array([2 * SLOTS + 5, 7 * SLOTS, 3 * SLOTS, -1, 10**6], dtype=np.int32)
    assert slots.local_rows(rows).tolist() == [SLOTS + 5, 0, -1, -1, -1]
    assert [slots.owns(block) for block in (2, 7, 0, 3, 400)] == [True, True, False, False, False]
    for _ in range(2 * SLOTS - 4):
        slots.take()
    assert slots.take() == (4, 0)
    assert slots.local(4 * SLOTS + 9) == 2 * SLOTS + 9
    assert slots.local_rows(np.array([4 * SLOTS + 9], dtype=np.int32)).tolist() == [2 * SLOTS + 9]
