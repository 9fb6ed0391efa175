from __future__ import annotations

from collections import Counter
from zlib import crc32

import numpy as np
import pytest

from models.fleet import FOREVER
from models.minutes import DAY_MIN, HOUR_MIN, Span, check_timezone
from stream.synthetic_fleet import CLUSTERS, KINDS, ODD_IDS, ZONES, Fleet, Stay, make_fleet

NOW = 29_552_400
PAST = Span(NOW - 16 * DAY_MIN, NOW)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return make_fleet(2000, 7, PAST)


def stays_of(fleet: Fleet, kind: str) -> list[list[Stay]]:
    by_vm: dict[int, list[Stay]] = {}
    for stay in fleet.stays:
        by_vm.setdefault(stay.vm, []).append(stay)
    return [stays for vm, stays in by_vm.items() if fleet.kinds[vm] == kind]


def test_shares_are_shares_of_one() -> None:
    assert sum(kind.share for kind in KINDS.values()) == pytest.approx(1.0)


def test_kinds_have_their_shares(fleet: Fleet) -> None:
    assert Counter(fleet.kinds) == {name: round(kind.share * 2000) for name, kind in KINDS.items()}


@pytest.mark.parametrize("vms", [1, 2, 13, 26, 333])
def test_any_number_of_vms_makes_a_fleet_of_that_many(vms: int) -> None:
    small = make_fleet(vms, 3, PAST)
    assert len(small.ids) == len(small.kinds) == len(set(small.ids)) == vms
    assert {stay.vm for stay in small.stays} == set(range(vms))


def test_odd_ids_are_among_the_ids(fleet: Fleet) -> None:
    assert set(ODD_IDS) < set(fleet.ids)
    assert sum(vm_id.startswith("vm-0") for vm_id in fleet.ids) == 2000 - len(ODD_IDS)


def test_hosts_hold_about_25_vms(fleet: Fleet) -> None:
    held = Counter(stay.host for stay in fleet.stays)
    assert len(held) == 80
    assert min(held.values()) >= 20
    assert max(held.values()) <= 30


def test_inventory_knows_five_zones_some_clusters_and_whole_vcpus(fleet: Fleet) -> None:
    records = [record for _, record in fleet.inventory]
    assert {record.policy.timezone for record in records} == set(ZONES)
    assert {record.cluster for record in records} == set(CLUSTERS)
    assert {record.vcpus for record in records} == {1, 2, 4, 8, 16, 32}
    assert all(record.memory_mb is not None and record.memory_mb >= 2048 for record in records)
    assert [check_timezone(zone) for zone in ZONES] == list(ZONES)


def test_some_have_blackout_hours_a_load_limit_or_opted_out_and_some_no_record(fleet: Fleet) -> None:
    records = [record for _, record in fleet.inventory]
    assert 100 < sum(bool(record.policy.blackout) for record in records) < 300
    assert 50 < sum(record.policy.max_load_pct is not None for record in records) < 150
    assert 3 < sum(record.policy.opt_out for record in records) < 20
    assert 30 < 2000 - len({record.vm_id for record in records}) < 100


def test_inventory_arrives_in_order_at_birth_or_at_the_start(fleet: Fleet) -> None:
    arrivals = [arrival for arrival, _ in fleet.inventory]
    assert arrivals == sorted(arrivals)
    for arrival, record in fleet.inventory:
        assert arrival == max(PAST.start, record.from_minute)
        assert record.created_at in (None, record.from_minute)


def test_newborns_are_5_minutes_to_60_hours_old_and_some_under_an_hour(fleet: Fleet) -> None:
    ages = [NOW - stays[0].span.start for stays in stays_of(fleet, "newborn")]
    assert min(ages) >= 5
    assert max(ages) <= 60 * HOUR_MIN
    assert 5 < sum(age < HOUR_MIN for age in ages) < 30


def test_stale_vms_went_silent_24_to_36_hours_ago(fleet: Fleet) -> None:
    for (stay,) in stays_of(fleet, "stale"):
        assert 24 * HOUR_MIN <= NOW - stay.span.end <= 36 * HOUR_MIN


def test_moved_vms_change_host_without_a_gap_or_a_record_and_some_change_partition(fleet: Fleet) -> None:
    crossed = 0
    records = Counter(record.vm_id for _, record in fleet.inventory)
    for first, second in stays_of(fleet, "moved"):
        assert first.span.end == second.span.start
        assert PAST.start < first.span.end < NOW
        assert first.host != second.host
        assert records[fleet.ids[first.vm]] <= 1
        crossed += crc32(first.host.encode()) % 2 != crc32(second.host.encode()) % 2
    assert 20 < crossed < 60


def test_a_reused_id_is_silent_for_more_than_7_days_and_its_lives_differ(fleet: Fleet) -> None:
    births: dict[str, list[int | None]] = {}
    for _, record in fleet.inventory:
        births.setdefault(record.vm_id, []).append(record.created_at)
    known = 0
    for first, second in stays_of(fleet, "reused"):
        assert second.span.start - first.span.end > 7 * DAY_MIN
        assert first.span.end - first.span.start > 3 * DAY_MIN
        told = births.get(fleet.ids[first.vm], [])
        assert len(set(told)) in (0, 2)
        known += len(told) == 2
    assert known == 5


def test_a_resize_keeps_the_life_and_the_work(fleet: Fleet) -> None:
    load, seen = fleet.load, 0
    for vm in np.flatnonzero(load.resized_at < FOREVER):
        before, after = (record for _, record in fleet.inventory if record.vm_id == fleet.ids[vm])
        assert fleet.kinds[vm] == "resized"
        assert before.vcpus is not None
        assert after.vcpus is not None
        assert after.created_at is None
        assert after.from_minute == load.resized_at[vm]
        assert PAST.start < after.from_minute < NOW
        assert before.vcpus / after.vcpus == load.resize_factor[vm]
        seen += 1
    assert seen == 50
