"""Sums over a fleet's last 14 days: by hand, and the same as the arithmetic of days says."""

from __future__ import annotations

import numpy as np
import pytest

from models.daily import day_profile, last_days
from models.past import mean_all, mean_of, past_of, profile_of_day, week_mean, week_std
from tests.models.given import Floats, rhythm

NAN = np.nan


def holed(seed: int) -> Floats:
    """Six VMs: whole, with gaps, a slot never seen, one hour alone, nothing, idle."""
    mean = rhythm(6, 400, seed)
    mean[1, np.random.default_rng(seed).random(400) < 0.3] = NAN
    mean[2, 5::24] = NAN
    mean[3, :-7], mean[3, -6:] = NAN, NAN
    mean[4], mean[5] = NAN, 0.0
    return mean


def test_the_last_14_days_lie_hour_by_hour_with_gaps_as_zero_beside() -> None:
    past = past_of(np.array([[7.0, NAN, 182.0, np.inf, 0.0]], dtype=np.float32))
    assert [part.shape for part in past] == [(336, 1)] * 3
    assert past.known[:, 0].tolist() == [0.0] * 331 + [1.0, 0.0, 1.0, 0.0, 1.0]
    assert past.filled[331:, 0].tolist() == [7.0, 0.0, 100.0, 0.0, 0.0]
    assert np.isnan(past.hours[:, 0]).tolist() == (past.known[:, 0] == 0).tolist()
    assert past.days().hours.shape == (14, 24, 1)
    assert past.days().filled[-1, -5:, 0].tolist() == [7.0, 0.0, 100.0, 0.0, 0.0]


def test_what_is_older_than_14_days_is_not_seen() -> None:
    mean = np.concatenate([np.full((2, 50), 99.0), np.ones((2, 336))], axis=1)
    assert past_of(mean.astype(np.float32)).hours.max() == 1.0


def test_the_profile_is_the_one_of_the_arithmetic_of_days() -> None:
    mean = holed(1)
    np.testing.assert_allclose(profile_of_day(past_of(mean)).T, day_profile(last_days(mean)), rtol=1e-5, atol=1e-5)
    assert np.isnan(profile_of_day(past_of(mean))[:, 4]).all()


def test_means_are_of_what_is_known() -> None:
    past = past_of(np.array([[1.0, NAN, 5.0], [NAN, NAN, NAN]], np.float32))
    three, last = slice(-3, None), slice(-1, None)
    assert mean_of(past, three)[0] == 3.0
    assert mean_of(past, last, minus=np.array([[2.0, 2.0]], np.float32))[0] == 3.0
    assert np.isnan([mean_of(past, three)[1], mean_of(past, slice(0, 10))[0]]).all()
    assert mean_all(np.array([[1.0, NAN], [4.0, 1.0]], np.float32))[0] == 2.5


def test_the_week_is_the_last_seven_days_of_each_hour() -> None:
    hours = np.arange(336, dtype=np.float32)[None] / np.float32(4)
    hours[0, -24] = NAN  # hour 0 of the last day
    days = past_of(hours).days()
    assert week_mean(days)[0, 0] == pytest.approx(hours[0, 168:312:24].mean())
    assert week_std(days)[0, 0] == pytest.approx(hours[0, 168:312:24].std(), rel=1e-5)
    assert week_mean(days)[1, 0] == pytest.approx(hours[0, 169::24].mean())


def test_a_vms_numbers_do_not_depend_on_its_neighbours() -> None:
    mean = holed(2)
    for rows in (np.array([2, 0]), np.array([3, 1, 5, 2]), np.array([1])):
        here, there = past_of(mean[rows]), past_of(mean)
        np.testing.assert_array_equal(profile_of_day(here), profile_of_day(there)[:, rows])
        np.testing.assert_array_equal(week_std(here.days()), week_std(there.days())[:, rows])
        np.testing.assert_array_equal(mean_of(here, slice(None)), mean_of(there, slice(None))[rows])
