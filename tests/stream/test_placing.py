"""Lives and placements from hosts' reports and from the inventory."""

from __future__ import annotations

import pytest

from models.errors import BadInput
from models.fleet import FOREVER, SLOTS, Placement, Policy, Vm, VmRecord
from stream.placing import Fleet, Tenure
from stream.slots import Slots
from stream.stays import ALWAYS, FLAP_MIN
from tests.stream.fleet_days import make, placed


def test_the_first_host_that_reports_a_vm_places_it() -> None:
    fleet, _ = make()
    assert fleet.report(0, "a", "h1", [100, 101]) == [Tenure(0, ALWAYS, FOREVER)]
    assert placed(fleet, "a") == [("h1", 100, None, 0)]
    changes = fleet.changes()
    assert [(life.vm_id, life.created_at, life.interval_min) for life in changes.lives] == [("a", 100, 5)]
    assert changes.placements == [Placement("a", 100, 100, "h1", None, 0, 0)]
    fleet.saved()
    assert fleet.changes().lives == []


def test_another_hosts_report_makes_a_placement_in_that_hosts_partition() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h1", [100])
    assert fleet.report(1, "a", "h2", [130, 131]) == [Tenure(SLOTS, 130, FOREVER)]
    assert fleet.report(0, "a", "h1", [129]) == [Tenure(0, ALWAYS, 130)]
    assert placed(fleet, "a") == [("h1", 100, None, 0), ("h2", 130, None, SLOTS)]


def test_at_most_once_in_ten_minutes() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h1", [100])
    assert fleet.report(0, "a", "h2", [101, 105]) == []
    assert fleet.report(0, "a", "h2", [105, 100 + FLAP_MIN, 140]) == [Tenure(0, 100 + FLAP_MIN, FOREVER)]


def test_a_vm_keeps_its_slot_within_a_partition_and_finds_it_again() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h1", [0])
    fleet.report(1, "a", "h2", [100])
    fleet.report(0, "a", "h1", [200])
    assert [row for *_, row in placed(fleet, "a")] == [0, SLOTS, 0]
    assert fleet.report(0, "a", "h1", [201]) == [Tenure(0, ALWAYS, 100), Tenure(0, 200, FOREVER)]


def test_slots_run_on_into_another_block() -> None:
    fleet, slots = make(parts=1)
    for index in range(SLOTS + 2):
        fleet.report(0, f"vm-{index}", "h", [0])
    assert slots[0].blocks == [0, 1]
    assert fleet.placements(f"vm-{SLOTS + 1}")[0].row == SLOTS + 1
    assert slots[0].local(SLOTS + 1) == SLOTS + 1


def test_slots_that_are_taken_are_not_handed_out_after_a_restart() -> None:
    fleet, _ = make(parts=1)
    fleet.report(0, "a", "h", [0])
    fleet.report(0, "b", "h", [0])
    vms = [Vm(life, tuple(fleet.placements(life.vm_id))) for life in fleet.changes().lives]
    again = Fleet(vms, 5, [Slots([0], [0, 1], lambda: 1)])
    again.report(0, "c", "h", [9])
    assert again.placements("c")[0].row == 2
    assert again.report(0, "a", "h", [9]) == [Tenure(0, ALWAYS, FOREVER)]


def test_the_inventory_describes_and_sizes_a_vm() -> None:
    fleet, _ = make()
    policy = Policy("Asia/Kathmandu", ("22:00-06:00",), 60.0)
    fleet.apply(0, VmRecord("a", "h1", 50, created_at=40, vcpus=4, memory_mb=8192, cluster="c", policy=policy))
    life = fleet.changes().lives[0]
    assert (life.created_at, life.cluster, life.memory_mb, life.policy) == (40, "c", 8192, policy)
    assert placed(fleet, "a") == [("h1", 50, 4, 0)]


def test_a_resize_is_a_placement_on_the_same_slot() -> None:
    fleet, _ = make()
    fleet.apply(0, VmRecord("a", "h1", 50, vcpus=4))
    fleet.apply(0, VmRecord("a", "h1", 500, vcpus=8))
    fleet.apply(0, VmRecord("a", "h1", 500, vcpus=8))
    assert placed(fleet, "a") == [("h1", 50, 4, 0), ("h1", 500, 8, 0)]
    assert Vm(fleet.changes().lives[0], tuple(fleet.placements("a"))).regime_start() == 500


def test_inventory_after_the_first_reports_is_no_resize() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h1", [10])
    fleet.apply(0, VmRecord("a", "h1", 60, vcpus=2))
    assert placed(fleet, "a") == [("h1", 10, 2, 0)]


def test_event_time_decides_between_records() -> None:
    fleet, _ = make()
    fleet.apply(0, VmRecord("a", "h1", 100, vcpus=2))
    fleet.apply(1, VmRecord("a", "h3", 300, vcpus=2))
    fleet.apply(0, VmRecord("a", "h2", 200, vcpus=2))
    assert [(host, start) for host, start, *_ in placed(fleet, "a")] == [("h1", 100), ("h2", 200), ("h3", 300)]


def test_a_later_birth_is_another_life_with_a_slot_of_its_own() -> None:
    fleet, _ = make()
    fleet.apply(0, VmRecord("a", "h1", 100, created_at=100))
    fleet.changes()
    fleet.apply(0, VmRecord("a", "h1", 900, created_at=900))
    assert placed(fleet, "a") == [("h1", 900, None, 1)]
    assert fleet.changes().lives[0].created_at == 900


@pytest.mark.parametrize("policy", [Policy("Mars/Olympus"), Policy("UTC", ("25:00-26:00",))])
def test_a_record_whose_policy_cannot_be_read_is_refused(policy: Policy) -> None:
    fleet, _ = make()
    with pytest.raises(BadInput):
        fleet.apply(0, VmRecord("a", "h1", 100, policy=policy))
    assert fleet.placements("a") == ()


def test_a_stay_that_is_read_after_the_next_one_lies_between_the_two() -> None:
    fleet, _ = make(3)
    fleet.report(0, "a", "h1", [100])
    fleet.report(2, "a", "h3", [140])
    fleet.report(1, "a", "h2", list(range(118, 138)))
    fleet.report(1, "a", "h2", [145])  # it lingers: h3 has the VM
    assert [(p.from_minute, p.host) for p in fleet.placements("a")] == [(100, "h1"), (118, "h2"), (140, "h3")]


def test_a_change_of_partition_does_not_put_a_move_off() -> None:
    fleet, _ = make()
    fleet.report(0, "a", "h1", [100])
    fleet.report(1, "a", "h1", [120])
    fleet.report(0, "a", "h2", [126])
    assert [(p.from_minute, p.host) for p in fleet.placements("a")] == [(100, "h1"), (120, "h1"), (126, "h2")]
