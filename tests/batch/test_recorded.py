"""A trace in steps and hours, and what was known of it at an hour: counts, gaps, jitter, nothing of the future."""

from __future__ import annotations

import numpy as np
import pytest

from batch.recorded import PROFILE_ALPHA, Samples, came_after, history_at, recorded
from models.forecast import HOURS, STARTS
from models.ladder import state_of
from tests.batch.given import fleet_of, hourly_fleet
from tests.models.given import END, rhythm

HOUR_S = 3600


def samples(*rows: tuple[int, int, float]) -> Samples:
    vm, ts_s, cpu = zip(*rows, strict=True)
    return Samples(("a", "b"), 5, np.array(vm), np.array(ts_s), np.array(cpu, np.float32))


def test_samples_become_means_with_counts_and_a_missing_one_stays_a_gap() -> None:
    fleet = recorded(samples((0, 0, 10.0), (0, 299, 0.0), (0, 20, 20.0), (1, HOUR_S + 5, 0.0), (1, HOUR_S - 300, 7.0)))
    assert (fleet.start, fleet.end, fleet.steps.shape, fleet.hours.shape) == (0, 120, (2, 24), (2, 2))
    assert fleet.steps[0, :2].tolist() == [15.0, 0.0]  # 299 s is half a minute early for 300 s
    assert fleet.counts[0, :3].tolist() == [2, 1, 0]
    assert np.isnan(fleet.steps[0, 2:]).all()
    assert (fleet.steps[1, 12], fleet.steps[1, 11]) == (0.0, 7.0)
    assert fleet.hours[0, 0] == 10.0  # the mean of its samples, not of its steps
    assert fleet.hour_counts.tolist() == [[3, 0], [1, 1]]
    assert np.isnan(fleet.hours[0, 1])


def test_jitter_of_half_a_minute_falls_into_the_step_that_was_meant() -> None:
    fleet = recorded(samples((0, 600 - 30, 8.0), (0, 900 + 29, 9.0)))
    assert fleet.counts[0, :4].tolist() == [0, 0, 1, 1]


def test_what_is_not_finite_is_no_sample_and_over_a_hundred_is_a_hundred() -> None:
    fleet = recorded(samples((0, 0, np.nan), (0, 300, np.inf), (0, 600, 182.0), (1, 0, 1.0)))
    assert fleet.counts[0, :3].tolist() == [0, 0, 1]
    assert fleet.steps[0, 2] == 100.0


def test_a_trace_may_begin_at_any_minute_and_starts_at_a_whole_hour() -> None:
    fleet = recorded(samples((0, 5 * HOUR_S + 1800, 8.0)))
    assert (fleet.start, fleet.hours.shape[1]) == (5 * 60, 1)
    assert fleet.steps[0, 6] == 8.0


def test_some_vms_are_taken_in_the_order_asked() -> None:
    fleet = hourly_fleet(rhythm(4, 48, seed=1))
    some = fleet.take(np.array([2, 0]))
    assert some.ids == ("vm-2", "vm-0")
    np.testing.assert_array_equal(some.hours, fleet.hours[[2, 0]])
    np.testing.assert_array_equal(some.counts, fleet.counts[[2, 0]])
    assert (some.start, some.end) == (fleet.start, fleet.end)


def test_what_was_known_ends_at_the_origin_and_begins_with_gaps() -> None:
    fleet = hourly_fleet(rhythm(3, 100, seed=2))
    origin = END - 30 * 60
    history = history_at(fleet, origin)
    assert (history.end, history.mean.shape) == (origin, (3, 336))
    np.testing.assert_array_equal(history.mean[:, -70:], fleet.hours[:, :70])
    assert np.isnan(history.mean[:, :-70]).all()
    assert (history.count[:, -70:] == 12).all()
    assert not history.count[:, :-70].any()
    assert history.created_at.tolist() == [fleet.start] * 3
    assert state_of(history).coverage.tolist() == [1.0] * 3


def test_nothing_of_the_future_is_known() -> None:
    load = rhythm(3, 100, seed=2)
    origin = END - 30 * 60
    changed = load.copy()
    changed[:, 70:] = 99.0
    before, after = (history_at(hourly_fleet(one), origin) for one in (load, changed))
    for name in ("mean", "count", "shape", "scale", "created_at"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_a_shorter_history_is_a_life_that_began_later() -> None:
    history = history_at(hourly_fleet(rhythm(2, 100, seed=2)), END, hours=48)
    assert history.mean.shape == (2, 48)
    assert history.created_at.tolist() == [END - 48 * 60] * 2


def test_the_day_profile_is_learned_from_the_steps() -> None:
    hour = np.array([44, *[-4] * 11], np.float32) + 10
    history = history_at(fleet_of(np.tile(hour, (1, 72))), END)
    assert history.scale[0] == pytest.approx(np.full(24, 44 * (1 - (1 - PROFILE_ALPHA) ** 3)), rel=1e-5)
    assert history.shape[0, ::12].tolist() == [127] * 24


def test_what_came_is_of_the_record_and_what_is_not_there_a_gap() -> None:
    fleet = hourly_fleet(rhythm(2, 100, seed=3))
    steps, hours = came_after(fleet, END - 30 * 60)
    assert (steps.shape, hours.shape) == ((2, STARTS), (2, HOURS))
    np.testing.assert_array_equal(hours, fleet.hours[:, 70 : 70 + HOURS])
    steps, hours = came_after(fleet, END - 10 * 60)
    assert np.isnan(hours).sum(axis=1).tolist() == [16, 16]
    assert np.isnan(steps).sum(axis=1).tolist() == [16 * 12] * 2
