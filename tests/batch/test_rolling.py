"""Rolling origins: what a method is asked and shown, what it chose, and what that came to, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from batch.rolling import Asked, asked_at, loads_of, origins_between, served, starts_of, window_means
from models.baseline import HourOfDay, KindProfile
from models.forecast import FORECAST_DTYPE, HOURS, NO_START, STARTS, Rung
from models.quiet import quietness
from tests.batch.given import fleet_of, hourly_fleet
from tests.models.given import END, Floats, history_of, rhythm

NAN = np.nan
ORIGIN = END - HOURS * 60


def asked(came: Floats, day_h: int = 24) -> Asked:
    """A question about VMs with these 5-minute means to come."""
    came = came.astype(np.float32)
    hours = came.reshape(len(came), HOURS, 12).mean(axis=2)
    return Asked(history_of(np.ones((len(came), 24))), np.ones((len(came), 288), np.float32), day_h, came, hours)


def day(load: float, **steps: float) -> Floats:
    """26 hours at `load` but for some steps: `s12=5.0` is 5 % in step 12."""
    five_min = np.full(STARTS, load, np.float32)
    for name, value in steps.items():
        five_min[int(name[1:])] = value
    return five_min


def test_a_method_is_shown_the_past_and_the_judge_what_came() -> None:
    fleet = hourly_fleet(rhythm(3, 100, seed=1))
    question = asked_at(fleet, ORIGIN)
    assert question.steps.shape == (3, 14 * 288)
    np.testing.assert_array_equal(question.steps[:, -74 * 12 :], fleet.steps[:, : 74 * 12])
    assert np.isnan(question.steps[:, : -74 * 12]).all()
    np.testing.assert_array_equal(question.hours, fleet.hours[:, 74:])
    np.testing.assert_array_equal(question.came, fleet.steps[:, 74 * 12 :])
    assert question.history.end == ORIGIN


def test_a_changed_future_changes_nothing_that_a_method_sees() -> None:
    load = rhythm(3, 100, seed=1)
    other = load.copy()
    other[:, 74:] = 1.0
    before, after = (asked_at(hourly_fleet(one), ORIGIN) for one in (load, other))
    np.testing.assert_array_equal(after.steps, before.steps)
    assert served(after.history, [HourOfDay()]).tobytes() == served(before.history, [HourOfDay()]).tobytes()


def test_records_are_what_the_forecast_step_would_store() -> None:
    history = history_of(np.stack([np.tile(np.arange(24.0), 14), np.full(336, NAN)]))
    records = served(history, [HourOfDay(), KindProfile()])
    assert records["rung"].tolist() == [Rung.HOUR_OF_DAY, Rung.REFUSED]
    assert starts_of(records, 60, 24, whole_hours=True).tolist() == [0, NO_START]


def test_starts_are_within_the_hours_asked_and_on_the_hour_where_that_is_asked() -> None:
    level = np.r_[np.full(23, 10.0), 5.0, 1.0, 1.0].astype(np.float32)[None]
    inside = np.array([[4.0, *[0.0] * 11]], np.float32)
    records = np.zeros(1, FORECAST_DTYPE)
    records["quiet"], records["rung"] = quietness(level, inside), Rung.CHAMPION
    assert starts_of(records, 60, 24, whole_hours=True).tolist() == [23 * 12]
    assert starts_of(records, 30, 24, whole_hours=False).tolist() == [23 * 12 + 1]
    assert starts_of(records, 30, 26, whole_hours=False).tolist() == [24 * 12 + 1]
    records["rung"] = Rung.REFUSED
    assert starts_of(records, 30, 24, whole_hours=False).tolist() == [NO_START]


def test_loads_by_hand() -> None:
    question = asked(np.stack([day(10, s24=2, s25=4, s100=0)]))
    found = loads_of(question, {"a": np.array([24]), "b": np.array([99])}, 10, whole_hours=False)
    assert (found.chosen["a"][0], found.chosen["b"][0]) == (3.0, 5.0)
    assert found.best[0] == 3.0
    assert found.mean[0] == pytest.approx((285 * 10 + 6) / 288)


def test_whole_hours_are_judged_by_hourly_means() -> None:
    came = np.repeat(np.r_[np.full(23, 10.0), 4.0, 0.0, 0.0], 12)[None]
    found = loads_of(asked(came), {"a": np.array([23 * 12]), "b": np.array([0])}, 60, whole_hours=True)
    assert (found.chosen["a"][0], found.chosen["b"][0], found.best[0]) == (4.0, 10.0, 4.0)
    assert found.mean[0] == pytest.approx((23 * 10 + 4) / 24)


def test_the_same_days_count_for_every_method() -> None:
    came = np.stack([day(10), day(10, s50=NAN), day(10), day(10)])
    came[3, :20] = NAN  # 20 of 288 steps: more than one in twenty
    starts = {"a": np.array([5, 49, NO_START, 100]), "b": np.array([5, 5, 5, 100])}
    found = loads_of(asked(came), starts, 10, whole_hours=False)
    for load in (*found.chosen.values(), found.best, found.mean):
        assert np.isnan(load).tolist() == [False, True, True, True]
    assert not np.isnan(loads_of(asked(came), {"b": starts["b"]}, 10, whole_hours=False).best[:3]).any()


def test_a_day_with_a_missing_hour_counts_for_no_whole_hours() -> None:
    came = np.stack([day(10), day(10, s30=NAN)])
    found = loads_of(asked(came), {"a": np.array([0, 0])}, 60, whole_hours=True)
    assert np.isnan(found.mean).tolist() == [False, True]


def test_the_best_window_is_never_worse_than_the_chosen_one() -> None:
    rng = np.random.default_rng(4)
    came = rng.gamma(2, 10, (50, STARTS)).astype(np.float32)
    came[rng.random(came.shape) < 0.02] = NAN
    starts = rng.integers(0, 282, 50)
    found = loads_of(asked(came), {"a": starts}, 30, whole_hours=False)
    known = ~np.isnan(found.best)
    assert known.any()
    assert (found.best[known] <= found.chosen["a"][known]).all()
    assert (found.best[known] <= found.mean[known]).all()


def test_window_means_end_with_the_day_and_a_gap_stays_one() -> None:
    means = window_means(np.array([[1.0, 3.0, NAN, 5.0, 7.0]]), 2)
    assert means.shape == (1, 4)
    assert means[0, [0, 3]].tolist() == [2.0, 6.0]
    assert np.isnan(means[0, [1, 2]]).all()


def test_every_origins_record_ends_by_the_last_minute() -> None:
    origins = list(origins_between(0, 100 * 60, 29))
    assert origins == [0, 29 * 60, 58 * 60]
    assert list(origins_between(0, 25 * 60, 29)) == []


def test_a_vm_that_spikes_at_the_hour_is_never_given_it() -> None:
    hour = np.array([60, *[5.0] * 11], np.float32)
    steps = np.tile(hour, (2, 200)) * np.repeat(np.linspace(0.5, 1.0, 200), 12).astype(np.float32)
    records = served(asked_at(fleet_of(steps), ORIGIN).history, [HourOfDay()])
    for minutes in (10, 30, 55):
        starts = starts_of(records, minutes, 24, whole_hours=False)
        assert all(start % 12 and start % 12 + minutes // 5 <= 12 for start in starts.tolist())


def test_a_question_about_part_of_a_day_is_judged_by_that_part() -> None:
    question = asked(np.stack([day(10, s200=0, s201=0)]), day_h=12)
    found = loads_of(question, {"a": np.array([0])}, 10, whole_hours=False)
    assert (found.best[0], found.mean[0]) == (10.0, 10.0)
