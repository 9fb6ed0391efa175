"""Days that end with the history, their profile, and the level's drift, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.daily import (
    SLOT_OF_LEAD,
    day_profile,
    drift_left,
    floor_forecast,
    last_days,
    level_drift,
    mean_known,
    quantile_known,
)
from tests.models.given import Floats

NAN = np.nan


def f32(values: object) -> Floats:
    return np.array(values, dtype=np.float32)


def test_days_end_with_the_history_and_start_with_gaps_where_it_is_short() -> None:
    days = last_days(f32([np.arange(26)]), days=2)
    assert np.isnan(days[0, 0, :22]).all()
    assert days[0, 0, 22:].tolist() == [0, 1]
    assert days[0, 1].tolist() == list(range(2, 26))


def test_days_take_the_newest_hours_and_clip_what_is_over_a_hundred() -> None:
    mean = f32([np.arange(48.0)])
    mean[0, -1] = 180
    days = last_days(mean, days=1)
    assert days[0, 0].tolist() == [*range(24, 47), 100]


def test_a_profile_weighs_yesterday_by_one_and_the_day_before_by_095() -> None:
    days = f32([[[10] * 24, [20] * 24]])
    assert day_profile(days) == pytest.approx(np.full((1, 24), (0.95 * 10 + 20) / 1.95))


def test_a_gap_is_left_out_of_the_profile_and_zero_is_not() -> None:
    days = f32([[[10] * 24, [NAN] * 24], [[10] * 24, [0] * 24]])
    profile = day_profile(days)
    assert profile[0] == pytest.approx(np.full(24, 10))
    assert profile[1] == pytest.approx(np.full(24, 9.5 / 1.95))


def test_a_slot_never_seen_is_filled_from_its_neighbours_around_midnight_too() -> None:
    day = np.full(24, 4.0)
    day[12:] = 8.0
    day[0] = NAN
    filled = day_profile(f32([[day]]))[0, 0]
    near = np.array([0.5 ** min(j, 24 - j) for j in range(1, 24)])
    assert filled == pytest.approx((near * day[1:]).sum() / near.sum(), rel=1e-5)


def test_a_vm_never_seen_has_no_profile() -> None:
    assert np.isnan(day_profile(np.full((1, 14, 24), NAN, np.float32))).all()


def test_the_drift_is_the_mean_of_the_known_last_hours_above_the_profile() -> None:
    profile = np.full((3, 24), 10, np.float32)
    assert level_drift(f32([[13, NAN, 15], [10, 10, 10], [NAN] * 3]), profile).tolist() == [[4], [0], [0]]


def test_the_floor_is_the_profile_and_what_is_left_of_the_drift() -> None:
    days = np.full((1, 14, 24), 10, np.float32)
    days[0, -1, -3:] = 16
    profile = np.full((1, 24), 10, np.float32)
    expected = 10 + 6 * 0.8 ** np.arange(1, 27)
    assert floor_forecast(days, profile)[0] == pytest.approx(expected, rel=1e-6)
    assert drift_left(2) == pytest.approx([0.8, 0.64])


def test_leads_beyond_a_day_fall_into_its_first_slots() -> None:
    assert SLOT_OF_LEAD[[0, 23, 24, 25]].tolist() == [0, 23, 0, 1]


def test_the_mean_of_gaps_is_a_gap_and_the_mean_of_zeros_is_zero() -> None:
    assert mean_known(f32([[NAN, NAN], [0, NAN], [1, 2]]), axis=1).tolist()[1:] == [0, 1.5]
    assert np.isnan(mean_known(f32([[NAN, NAN]]), axis=1)).all()


def test_a_quantile_is_the_smallest_value_with_that_share_at_or_below_it() -> None:
    values = f32([[*range(1, 11)], [3, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 1], [NAN] * 10])
    assert quantile_known(values, 0.9)[:2].tolist() == [9, 3]
    assert quantile_known(values, 0.5)[:2].tolist() == [5, 1]
    assert np.isnan(quantile_known(values, 0.9)[2])


@given(st.lists(st.one_of(st.just(NAN), st.floats(0, 100, width=32)), min_size=24 * 3, max_size=24 * 3))
def test_a_profile_stays_within_what_was_seen_and_has_no_gap_where_anything_was(hours: list[float]) -> None:
    days = f32(hours).reshape(1, 3, 24)
    profile = day_profile(days)
    if np.isnan(days).all():
        assert np.isnan(profile).all()
    else:
        assert (profile >= np.nanmin(days) * 0.999 - 1e-3).all()
        assert (profile <= np.nanmax(days) * 1.001 + 1e-3).all()
