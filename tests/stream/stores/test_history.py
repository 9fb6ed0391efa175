from __future__ import annotations

import numpy as np
import pytest

from models.fleet import Life, Policy, Vm
from models.forecast import slice_history
from models.minutes import Span
from stream.stores.history import read_history, read_steps
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU, ProfileRow
from tests.stream.stores.given import block_row, placement, profile_row

NAN = float("nan")
Places = list[tuple[int, int, int]]  # from_minute, block, slot


def vm_at(vm_id: str, places: Places, *, created_at: int = 0, vcpus: list[float | None] | None = None) -> Vm:
    sizes = vcpus or [2.0] * len(places)
    return Vm(
        Life(vm_id, created_at),
        tuple(
            placement(vm_id, slot, created_at=created_at, from_minute=start, block=block, vcpus=size)
            for (start, block, slot), size in zip(places, sizes, strict=True)
        ),
    )


def put_hours(stores: Stores, block: int, slot: int, hours: dict[int, tuple[float, int]]) -> None:
    """(mean, count) of a slot by the start of the hour."""
    rows = [block_row({slot: value}, block=block, start=start) for start, value in hours.items()]
    stores.series.put(METRIC_CPU, rows)


def history_of(stores: Stores, vm: Vm, end: int, hours: int) -> tuple[list[float], list[int]]:
    history = read_history(stores.series, [vm], end, hours)
    np.testing.assert_array_equal(np.isnan(history.mean), history.count == 0)
    return history.mean[0].tolist(), history.count[0].tolist()


def same(got: tuple[list[float], list[int]], mean: list[float], count: list[int]) -> None:
    np.testing.assert_allclose(got[0], mean, atol=0.0051)
    assert got[1] == count


def test_a_vm_that_stayed_has_its_slots_hours_with_zeros_and_gaps_as_they_are(stores: Stores) -> None:
    put_hours(stores, 3, 7, {0: (1.5, 60), 60: (0.0, 60), 180: (4.0, 9)})
    same(history_of(stores, vm_at("vm", [(0, 3, 7)]), 240, 4), [1.5, 0, NAN, 4], [60, 60, 0, 9])
    same(history_of(stores, vm_at("vm", [(0, 3, 7)]), 120, 3), [NAN, 1.5, 0], [0, 60, 60])


def test_the_hour_of_a_move_is_merged_by_count(stores: Stores) -> None:
    put_hours(stores, 0, 1, {0: (10, 60), 60: (10, 20)})
    put_hours(stores, 5, 2, {60: (40, 40), 120: (40, 60)})
    moved = vm_at("vm", [(0, 0, 1), (80, 5, 2)])
    same(history_of(stores, moved, 180, 3), [10, 30, 40], [60, 60, 60])  # (20 * 10 + 40 * 40) / 60


def test_a_shared_hour_with_samples_on_one_side_only_is_that_sides(stores: Stores) -> None:
    put_hours(stores, 0, 1, {60: (10, 20)})
    put_hours(stores, 5, 2, {180: (0.0, 40)})
    moved = vm_at("vm", [(0, 0, 1), (80, 5, 2), (200, 6, 2)])
    same(history_of(stores, moved, 240, 3), [10, NAN, 0], [20, 0, 40])


def test_what_the_old_host_reported_after_the_move_makes_no_hour_longer_than_it_is(stores: Stores) -> None:
    put_hours(stores, 0, 1, {0: (10, 60), 60: (10, 25)})
    put_hours(stores, 5, 2, {60: (40, 40), 120: (40, 60)})
    same(history_of(stores, vm_at("vm", [(0, 0, 1), (80, 5, 2)]), 180, 3), [10, 1850 / 65, 40], [60, 60, 60])


def test_zero_merged_with_zero_is_zero(stores: Stores) -> None:
    put_hours(stores, 0, 1, {0: (0.0, 20)})
    put_hours(stores, 5, 2, {0: (0.0, 40)})
    same(history_of(stores, vm_at("vm", [(0, 0, 1), (20, 5, 2)]), 60, 1), [0], [60])


def test_what_a_slot_held_before_and_after_a_tenure_is_not_the_vms(stores: Stores) -> None:
    put_hours(stores, 0, 1, dict.fromkeys(range(0, 600, 60), (10, 60)))
    put_hours(stores, 5, 2, dict.fromkeys(range(0, 600, 60), (40, 60)))
    moved = vm_at("vm", [(300, 0, 1), (420, 5, 2), (540, 9, 9)])
    same(history_of(stores, moved, 600, 9), [NAN, *[10.0] * 5, 40, 40, NAN], [0, *[60] * 7, 0])


def test_what_came_before_the_first_minute_that_was_seen_is_the_vms_as_far_back_as_the_ring_reaches(
    stores: Stores,
) -> None:
    put_hours(stores, 0, 1, dict.fromkeys(range(0, 360, 60), (10, 60)))
    same(history_of(stores, vm_at("vm", [(250, 0, 1)]), 360, 6), [NAN, NAN, 10, 10, 10, 10], [0, 0, 60, 60, 60, 60])


def test_a_move_within_one_block_is_followed_too(stores: Stores) -> None:
    put_hours(stores, 0, 1, {0: (10, 60), 60: (10, 30)})
    put_hours(stores, 0, 2, {60: (20, 30), 120: (20, 60)})
    same(history_of(stores, vm_at("vm", [(0, 0, 1), (90, 0, 2)]), 180, 3), [10, 15, 20], [60, 60, 60])


def test_a_vm_that_comes_back_to_its_slot_has_each_hour_once(stores: Stores) -> None:
    put_hours(stores, 0, 1, {0: (10, 60), 60: (10, 50), 120: (10, 60)})
    put_hours(stores, 5, 2, {60: (40, 10)})
    there_and_back = vm_at("vm", [(0, 0, 1), (80, 5, 2), (90, 0, 1)])
    same(history_of(stores, there_and_back, 180, 3), [10, 15, 10], [60, 60, 60])


def test_a_resize_starts_a_new_regime_and_the_hour_it_fell_into_belongs_to_none(stores: Stores) -> None:
    put_hours(stores, 0, 1, dict.fromkeys(range(0, 240, 60), (10, 60)))
    within = vm_at("vm", [(0, 0, 1), (90, 0, 1)], vcpus=[2.0, 4.0])
    same(history_of(stores, within, 240, 4), [NAN, NAN, 10, 10], [0, 0, 60, 60])
    at_the_start = vm_at("vm", [(0, 0, 1), (60, 0, 1)], vcpus=[2.0, 4.0])
    same(history_of(stores, at_the_start, 240, 4), [NAN, 10, 10, 10], [0, 60, 60, 60])


def test_a_move_keeps_the_regime_and_a_move_after_a_resize_does_not_bring_the_old_one_back(stores: Stores) -> None:
    put_hours(stores, 0, 1, {0: (1, 60), 60: (2, 60)})
    put_hours(stores, 5, 1, {120: (3, 60)})
    vm = vm_at("vm", [(0, 0, 1), (60, 0, 1), (120, 5, 1)], vcpus=[2.0, 4.0, 4.0])
    same(history_of(stores, vm, 180, 3), [NAN, 2, 3], [0, 60, 60])


def test_the_hour_in_which_a_life_began_is_not_whole_and_left_out(stores: Stores) -> None:
    put_hours(stores, 0, 1, {0: (1, 60), 60: (2, 30), 120: (3, 60)})
    same(history_of(stores, vm_at("vm", [(90, 0, 1)], created_at=90), 180, 3), [NAN, NAN, 3], [0, 0, 60])


def test_a_slot_that_was_let_again_is_the_newer_vms_from_the_hour_of_its_start(stores: Stores) -> None:
    put_hours(stores, 0, 1, {0: (1, 60), 60: (2, 60), 120: (3, 60)})
    ended, tenant = vm_at("vm", [(0, 0, 1)]), vm_at("vm", [(70, 0, 1)], created_at=60)
    history = read_history(stores.series, [tenant, ended], 180, 3)
    np.testing.assert_array_equal(history.mean, [[NAN, 2, 3], [1, NAN, NAN]])
    np.testing.assert_array_equal(history.count, [[0, 60, 60], [60, 0, 0]])


def test_vms_come_in_the_order_they_were_asked_for(stores: Stores) -> None:
    places = [(block, slot) for block in (7, 0, 3) for slot in (2499, 0, 11)]
    for n, (block, slot) in enumerate(places):
        put_hours(stores, block, slot, {0: (n, 60), 60: (n + 20, 60)})
    vms = [vm_at(str(n), [(0, *place)]) for n, place in enumerate(places)]
    order = [4, 0, 8, 2, 6, 1, 7, 3, 5]
    history = read_history(stores.series, [vms[n] for n in order], 120, 2)
    np.testing.assert_array_equal(history.mean, [[n, n + 20] for n in order])
    assert history.mean.dtype == np.float32
    assert history.count.dtype == np.uint8
    np.testing.assert_array_equal(slice_history(history, 60).mean[:, 0], order)


def test_no_vms_have_an_empty_history(stores: Stores) -> None:
    history = read_history(stores.series, [], 120, 2)
    assert history.mean.shape == (0, 2)
    assert history.scale.shape == (0, 24)
    assert history.shape.shape == (0, 288)


def test_a_vm_that_is_asked_for_twice_is_refused(stores: Stores) -> None:
    vm = vm_at("vm", [(0, 0, 1)])
    with pytest.raises(ValueError, match="each once"):
        read_history(stores.series, [vm, vm], 120, 2)


def test_an_end_within_an_hour_is_refused(stores: Stores) -> None:
    with pytest.raises(ValueError, match="whole steps"):
        read_history(stores.series, [vm_at("vm", [(0, 0, 1)])], 90, 2)


def test_the_inventory_is_told_as_columns(stores: Stores) -> None:
    vms = [
        Vm(Life("a", 0, cluster="x", interval_min=5), (placement("a", 0, vcpus=2.0),)),
        Vm(Life("b", 0, policy=Policy("Asia/Kathmandu")), (placement("b", 1, vcpus=None),)),
    ]
    history = read_history(stores.series, vms, 120, 2)
    assert history.end == 120
    assert history.timezones == ("UTC", "Asia/Kathmandu")
    np.testing.assert_array_equal(history.interval_min, np.array([5, 1], np.uint8))
    np.testing.assert_array_equal(history.vcpus, np.array([2, np.nan], np.float32))


def test_a_kind_is_a_cluster_and_a_size_to_the_next_power_of_two(stores: Stores) -> None:
    sizes: list[tuple[str, float | None]] = [
        ("x", 2), ("x", 2.0), ("y", 2), ("x", 3), ("x", 4), ("x", None), ("y", None), ("x", 0.5), ("x", 1), ("x", 4.5),
    ]  # fmt: skip
    vms = [Vm(Life(str(n), 0, cluster=c), (placement(str(n), n, vcpus=v),)) for n, (c, v) in enumerate(sizes)]
    kind = read_history(stores.series, vms, 60, 1).kind
    assert kind.dtype == np.int32
    alike = [[0, 1], [2], [3, 4], [5], [6], [7, 8], [9]]
    assert sorted([n for n in range(len(sizes)) if kind[n] == code] for code in set(kind.tolist())) == alike
    assert sorted(set(kind.tolist())) == list(range(len(alike)))


def profile(block: int, hour_of_day: int, slot: int, value: int) -> ProfileRow:
    row = profile_row(0, block=block, hour_of_day=hour_of_day)
    row.shape[:, slot], row.scale[slot] = value, value / 4
    return row


def test_the_profile_is_the_current_slots_hour_by_hour_and_0_where_nothing_is_known(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [], [profile(2, 0, 9, 8), profile(2, 23, 9, -100)])
    history = read_history(stores.series, [vm_at("other", [(0, 2, 8)]), vm_at("vm", [(0, 2, 9)])], 60, 1)
    assert history.shape.dtype == np.int8
    assert history.scale.dtype == np.float32
    expected = np.zeros((2, 288))
    expected[1, :12], expected[1, -12:] = 8, -100
    np.testing.assert_array_equal(history.shape, expected)
    assert history.scale[1, [0, 1, 23]].tolist() == [2, 0, -25]
    assert not history.scale[0].any()


def test_hours_that_a_new_slot_does_not_know_come_from_the_previous_one(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [], [profile(0, hour, 1, 40) for hour in range(3)] + [profile(5, 1, 2, 80)])
    moved = vm_at("vm", [(0, 0, 1), (600, 5, 2)])
    history = read_history(stores.series, [moved], 660, 1)
    assert history.scale[0, :4].tolist() == [10, 20, 10, 0]
    assert history.shape[0, 0:48:12].tolist() == [40, 80, 40, 0]


def test_a_previous_slot_that_was_let_again_has_no_profile_of_the_vm(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [], [profile(0, 0, 1, 40)])
    moved, tenant = vm_at("vm", [(0, 0, 1), (600, 5, 2)]), vm_at("tenant", [(720, 0, 1)])
    history = read_history(stores.series, [moved, tenant], 780, 1)
    assert history.scale[:, 0].tolist() == [0, 10]


def test_a_chart_shows_every_size_and_counts_the_step_of_a_resize_once(stores: Stores) -> None:
    put_hours(stores, 0, 1, dict.fromkeys(range(0, 240, 60), (10, 60)))
    mean, count = read_steps(stores.series, vm_at("vm", [(0, 0, 1), (90, 0, 1)], vcpus=[2.0, 4.0]), 60, Span(0, 300))
    same((mean.tolist(), count.tolist()), [10, 10, 10, 10, NAN], [60, 60, 60, 60, 0])
    assert mean.dtype == np.float32
    assert count.dtype == np.uint8


def test_a_chart_follows_a_move_in_steps_of_5_minutes(stores: Stores) -> None:
    def put(block: int, slot: int, start: int, value: float, count: int) -> None:
        stores.series.put(METRIC_CPU, [block_row({slot: (value, count)}, step_min=5, block=block, start=start)])

    put(0, 1, 0, 10, 5)
    put(0, 1, 5, 10, 2)
    put(5, 2, 5, 20, 3)
    put(5, 2, 10, 20, 5)
    put(0, 1, 10, 99, 5)  # another VM's by now
    mean, count = read_steps(stores.series, vm_at("vm", [(0, 0, 1), (7, 5, 2)]), 5, Span(0, 20))
    same((mean.tolist(), count.tolist()), [10, 16, 20, NAN], [5, 5, 5, 0])
