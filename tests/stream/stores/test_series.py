"""What every implementation of `protocols.Series` promises."""

from __future__ import annotations

from itertools import count
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import BadInput
from models.fleet import SLOTS
from models.minutes import Span
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU, BlockRow, Changed
from tests.stream.stores.given import block_row, broken_row, full_row, profile_row

HOUR = Span(0, 60)
NEXT_BLOCK = count(1000)


def hour(stores: Stores, block: int = 0, start: int = 0) -> list[tuple[float, int]]:
    """(mean, count) of the first four slots of one stored hour."""
    cells = stores.series.read(METRIC_CPU, 60, [block], Span(start, start + 60))
    return list(zip(cells.mean[0, :4].tolist(), cells.count[0, :4].tolist(), strict=True))


def revs(stores: Stores, step_min: int = 60) -> list[Changed]:
    return stores.series.changed(METRIC_CPU, step_min, 0)


def test_what_is_put_is_read_and_zero_stays_zero_and_a_gap_a_gap(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({0: (0.0, 60), 2: (12.345, 7), 3: (655.34, 1)})])
    cells = stores.series.read(METRIC_CPU, 60, [0], HOUR)
    assert cells.mean.dtype == np.float32
    assert cells.count.dtype == np.uint8
    assert cells.mean[0, 0] == 0.0
    assert cells.count[0, 0] == 60
    assert np.isnan(cells.mean[0, 1])
    assert cells.count[0, 1] == 0
    np.testing.assert_allclose(cells.mean[0, 2:4], [12.345, 655.34], atol=0.0051)
    assert np.isnan(cells.mean[0, 4:]).all()


def test_a_span_is_half_open_and_what_is_not_stored_is_a_gap(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({0: (h, 60)}, start=h * 60) for h in (1, 2, 4)])
    cells = stores.series.read(METRIC_CPU, 60, [0], Span(60, 240))
    np.testing.assert_array_equal(cells.mean[:, 0], [1, 2, np.nan])
    np.testing.assert_array_equal(cells.count[:, 0], [60, 60, 0])


def test_columns_follow_the_blocks_as_they_were_asked_for(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({5: (b, 60)}, block=b) for b in (1, 2)])
    cells = stores.series.read(METRIC_CPU, 60, [2, 9, 1, 2], HOUR)
    assert cells.mean.shape == cells.count.shape == (1, 4 * SLOTS)
    np.testing.assert_array_equal(cells.mean[0, 5::SLOTS], [2, np.nan, 1, 2])
    assert stores.series.read(METRIC_CPU, 60, [], HOUR).mean.shape == (1, 0)


def test_minutes_before_1970_and_zero_are_minutes_like_others(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({0: (1, 60)}, start=-60), block_row({0: (2, 60)}, start=0)])
    cells = stores.series.read(METRIC_CPU, 60, [0], Span(-120, 60))
    np.testing.assert_array_equal(cells.mean[:, 0], [np.nan, 1, 2])


def test_a_span_that_is_not_whole_steps_is_refused(stores: Stores) -> None:
    for span in (Span(0, 30), Span(30, 90), Span(60, 0)):
        with pytest.raises(ValueError, match="whole steps of 60"):
            stores.series.read(METRIC_CPU, 60, [0], span)


def test_steps_and_hours_are_apart_and_so_are_their_revs(stores: Stores) -> None:
    series = stores.series
    series.put(METRIC_CPU, [block_row({0: (5, 5)}, step_min=5), block_row({0: (60, 60)})])
    assert series.read(METRIC_CPU, 5, [0], Span(0, 5)).mean[0, 0] == 5
    assert series.read(METRIC_CPU, 60, [0], HOUR).mean[0, 0] == 60
    assert len(revs(stores, 5)) == len(revs(stores, 60)) == 1


def test_each_metric_has_its_own_rows_and_profiles(stores: Stores) -> None:
    series = stores.series
    assert np.isnan(series.read("dirty", 60, [0], HOUR).mean).all()
    assert series.changed("dirty", 60, 0) == []
    series.put("dirty", [block_row({0: (7, 60)})], [profile_row(7)])
    assert series.read("dirty", 60, [0], HOUR).mean[0, 0] == 7
    assert hour(stores)[0][1] == 0
    assert series.profiles(METRIC_CPU, [0]) == []
    assert len(series.profiles("dirty", [0])) == 1


@pytest.mark.parametrize("metric", ["", "CPU", "cpu; DROP TABLE life", "cpu_5m--", "cpu\n", "процессор"])
def test_a_metric_with_a_name_of_other_letters_is_refused(stores: Stores, metric: str) -> None:
    with pytest.raises(BadInput, match="metric: expected a name of a-z and _"):
        stores.series.put(metric, [block_row({})])
    with pytest.raises(BadInput, match="metric"):
        stores.series.read(metric, 60, [0], HOUR)


def test_per_slot_the_fuller_count_wins_and_a_tie_goes_to_the_new_value(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({0: (1, 30), 1: (1, 30), 2: (1, 30)})])
    stores.series.put(METRIC_CPU, [block_row({0: (2, 29), 1: (2, 30), 2: (2, 31), 3: (2, 1)})])
    assert hour(stores) == [(1, 30), (2, 30), (2, 31), (2, 1)]


def test_a_row_that_comes_twice_in_one_put_is_merged_with_itself(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({0: (1, 30)}), block_row({0: (2, 10), 1: (2, 10)})])
    assert hour(stores)[:2] == [(1, 30), (2, 10)]


def test_a_repeated_put_changes_no_byte_and_no_rev(stores: Stores) -> None:
    rows = [block_row({0: (b, 60)}, block=b) for b in range(3)]
    first = stores.series.put(METRIC_CPU, rows, [profile_row(1)])
    before = revs(stores)
    assert stores.series.put(METRIC_CPU, rows, [profile_row(1)]) == first
    assert stores.series.put(METRIC_CPU, rows[:1]) == before[0].rev
    assert revs(stores) == before
    assert hour(stores, block=2)[0] == (2, 60)


def test_a_put_of_nothing_has_no_rev(stores: Stores) -> None:
    assert stores.series.put(METRIC_CPU, []) == 0


SLOT_COUNTS = st.lists(st.integers(0, 60), min_size=4, max_size=4)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SLOT_COUNTS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_end_the_same(stores: Stores, writes: list[list[int]], random: Random) -> None:
    block = next(NEXT_BLOCK)
    rows = [block_row({s: (n * 1.5, n) for s, n in enumerate(w) if n > 0}, block=block) for w in writes]
    again = rows + rows
    random.shuffle(again)
    for row in again:
        stores.series.put(METRIC_CPU, [row])
    fullest = np.max(writes, axis=0)
    assert [number for _, number in hour(stores, block)] == fullest.tolist()
    means = [mean for mean, _ in hour(stores, block)]
    np.testing.assert_array_equal(means, np.where(fullest > 0, fullest * 1.5, np.nan))


def test_an_older_epoch_never_writes_again(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({0: (2, 10)}, epoch=2)])
    before = revs(stores)
    assert stores.series.put(METRIC_CPU, [block_row({0: (1, 60), 1: (1, 60)}, epoch=1)]) == before[0].rev
    assert hour(stores)[:2] == [(2, 10), pytest.approx((np.nan, 0), nan_ok=True)]
    assert revs(stores) == before


def test_a_newer_epoch_with_the_same_values_signs_the_row_and_keeps_its_rev(stores: Stores) -> None:
    first = stores.series.put(METRIC_CPU, [block_row({0: (1, 10)}, epoch=1)])
    assert stores.series.put(METRIC_CPU, [block_row({0: (1, 10)}, epoch=3)]) == first
    stores.series.put(METRIC_CPU, [block_row({0: (9, 60)}, epoch=2)])
    assert hour(stores)[0] == (1, 10)


def test_a_newer_epoch_does_not_make_a_partial_hour_replace_a_fuller_one(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({0: (1, 60)}, epoch=1)])
    stores.series.put(METRIC_CPU, [block_row({0: (2, 10)}, epoch=2)])
    assert hour(stores)[0] == (1, 60)


def test_a_rev_carries_its_epoch_and_grows_with_every_write_whatever_the_epochs(stores: Stores) -> None:
    given_out = [
        stores.series.put(METRIC_CPU, [block_row({0: (1, n)}, block=block, part=block, epoch=epoch)])
        for n, (block, epoch) in enumerate([(0, 1), (1, 5), (0, 1), (2, 2), (1, 5), (0, 6), (2, 2)], start=1)
    ]
    assert given_out == sorted(set(given_out))
    assert [rev >> 32 for rev in given_out] == [1, 5, 5, 5, 5, 6, 6]


def test_put_returns_the_highest_rev_of_its_rows(stores: Stores) -> None:
    rows = [block_row({0: (1, 1)}, block=b) for b in range(4)]
    highest = stores.series.put(METRIC_CPU, rows)
    assert highest == max(change.rev for change in revs(stores))
    again = stores.series.put(METRIC_CPU, [block_row({0: (1, 2)}, block=2)])
    assert again > highest
    assert stores.series.put(METRIC_CPU, rows[:2]) < highest


def test_changed_gives_the_rows_after_a_rev_by_rev(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({0: (1, 1)}, block=b, start=60 * b) for b in range(3)])
    seen = revs(stores)
    assert [(c.block, c.start) for c in seen] == [(0, 0), (1, 60), (2, 120)]
    assert stores.series.changed(METRIC_CPU, 60, seen[0].rev) == seen[1:]
    stores.series.put(METRIC_CPU, [block_row({0: (1, 2)}, block=1, start=60)])
    assert [c.block for c in stores.series.changed(METRIC_CPU, 60, seen[-1].rev)] == [1]
    assert [c.block for c in revs(stores)] == [0, 2, 1]


def test_read_tells_the_highest_rev_among_the_rows_it_read(stores: Stores) -> None:
    first = stores.series.put(METRIC_CPU, [block_row({0: (1, 1)})])
    second = stores.series.put(METRIC_CPU, [block_row({0: (1, 1)}, start=60)])
    assert stores.series.read(METRIC_CPU, 60, [0], HOUR).rev == first
    assert stores.series.read(METRIC_CPU, 60, [0], Span(0, 120)).rev == second
    assert stores.series.read(METRIC_CPU, 60, [1], Span(0, 120)).rev == 0


@pytest.mark.parametrize(
    "bad",
    [broken_row(block=1), block_row({0: (655.36, 1)}, block=1), block_row({0: (-1.0, 1)}, block=1)],
    ids=["count without mean", "too high", "negative"],
)
def test_a_bad_row_in_the_middle_leaves_nothing(stores: Stores, bad: BlockRow) -> None:
    with pytest.raises(ValueError, match="expected"):
        stores.series.put(
            METRIC_CPU, [full_row(1, block=0, start=0), bad, full_row(1, block=2, start=0)], [profile_row(1)]
        )
    assert revs(stores) == []
    assert stores.series.profiles(METRIC_CPU, [0]) == []


def test_a_bad_profile_leaves_nothing_of_the_rows(stores: Stores) -> None:
    bad = profile_row(1)
    object.__setattr__(bad, "shape", np.zeros((11, SLOTS), np.int8))
    with pytest.raises(ValueError, match="profile"):
        stores.series.put(METRIC_CPU, [full_row(1, block=0, start=0)], [profile_row(1, block=7), bad])
    assert revs(stores) == []
    assert stores.series.profiles(METRIC_CPU, [7]) == []


def test_profiles_come_by_block_and_hour_and_what_is_not_stored_is_left_out(stores: Stores) -> None:
    rows = [profile_row(b * 10 + h, block=b, hour_of_day=h) for b, h in ((2, 5), (1, 23), (1, 0))]
    stores.series.put(METRIC_CPU, [], rows)
    found = stores.series.profiles(METRIC_CPU, [2, 9, 1])
    for row in found:
        same = [p for p in found if p.hour_of_day == row.hour_of_day]
        asked = stores.series.profiles(METRIC_CPU, [2, 9, 1], row.hour_of_day)
        assert [(p.block, p.hour_of_day) for p in asked] == [(p.block, p.hour_of_day) for p in same]
    assert [(p.block, p.hour_of_day) for p in found] == [(1, 0), (1, 23), (2, 5)]
    assert found[2].shape.dtype == np.int8
    assert found[2].scale.dtype == np.float32
    np.testing.assert_array_equal(found[2].shape, np.full((12, SLOTS), 25))
    np.testing.assert_array_equal(found[2].scale, np.full(SLOTS, 6.25))


def test_a_profile_replaces_the_stored_one_only_where_it_goes_further(stores: Stores) -> None:
    for value, through in ((1, 120), (2, 120), (3, 60)):
        stores.series.put(METRIC_CPU, [], [profile_row(value, through=through)])
        assert stores.series.profiles(METRIC_CPU, [0])[0].shape[0, 0] == 1
    stores.series.put(METRIC_CPU, [], [profile_row(4, through=1560)])
    kept = stores.series.profiles(METRIC_CPU, [0])[0]
    assert (kept.through, kept.shape[0, 0]) == (1560, 4)
