"""The rungs that need no training: who may answer, and what they say."""

from __future__ import annotations

import numpy as np
import pytest

from models.baseline import UNSEEN_MARGIN_PCT, HourOfDay, KindProfile, hour_of_day_mean
from models.forecast import HOURS, Rung, slice_history
from models.score import interval_coverage, mae
from tests.models.given import END, history_of

NAN = np.nan


def test_the_hour_of_day_mean_is_the_plain_mean_of_seven_days() -> None:
    mean = np.arange(8 * 24, dtype=np.float32).reshape(1, -1) / 2
    said = hour_of_day_mean(history_of(mean))
    assert said.shape == (1, HOURS)
    by_hand = np.minimum(mean, 100).reshape(8, 24)[1:].mean(axis=0)
    assert said[0] == pytest.approx(np.r_[by_hand, by_hand[:2]])


def test_hour_of_day_answers_from_24_known_hours_on() -> None:
    mean = np.full((3, 336), NAN, np.float32)
    mean[0, -24:] = 5
    mean[1, -23:] = 5
    said = HourOfDay().predict(history_of(mean))
    assert said.mean[0].tolist() == [5] * HOURS
    for values in (said.mean, said.p50, said.p90):
        assert values.dtype == np.float32
        assert values.shape == (3, HOURS)
        assert np.isnan(values[1:]).all()
    assert HourOfDay().rung == Rung.HOUR_OF_DAY


def test_a_steady_vm_is_bounded_tightly_and_a_restless_one_is_not() -> None:
    rng = np.random.default_rng(3)
    mean = np.stack([np.full(336, 20.0), 20 + rng.normal(0, 5, 336)])
    said = HourOfDay().predict(history_of(mean))
    assert said.p90[0] == pytest.approx(said.mean[0])
    assert (said.p90[1] > said.mean[1] + 3).all()


def test_an_idle_vm_stays_at_zero() -> None:
    said = HourOfDay().predict(history_of(np.zeros((1, 336))))
    assert said.mean.tolist() == said.p90.tolist() == [[0] * HOURS]


def test_the_bound_is_widest_where_the_hours_varied_most() -> None:
    rng = np.random.default_rng(4)
    days = np.full((14, 24), 10.0)
    days[:, 6] += rng.uniform(-8, 8, 14)
    said = HourOfDay().predict(history_of(days.reshape(1, -1)))
    margin = (said.p90 - said.mean)[0, :24]
    assert margin.argmax() == 6


def test_the_floor_beats_the_plain_mean_where_busy_spells_fade_and_its_bound_covers() -> None:
    rng = np.random.default_rng(6)
    spells = rng.normal(0, 2, (200, 400))
    for hour in range(1, 400):
        spells[:, hour] += 0.85 * spells[:, hour - 1]
    mean = 30 + 10 * np.sin(np.arange(400) * (2 * np.pi / 24)) + spells
    past, truth = slice_history(history_of(mean), END - 26 * 60), mean[:, -26:]
    said = HourOfDay().predict(past)
    assert mae(said.mean, truth) < 0.95 * mae(hour_of_day_mean(past), truth)
    assert interval_coverage(said.p90, truth) == pytest.approx(0.9, abs=0.03)


def test_a_newborn_takes_the_shape_of_its_kind_at_its_own_level() -> None:
    teacher = np.tile(np.where(np.arange(24) < 12, 10.0, 30.0), 14)
    other = np.full(336, 50.0)
    newborn = np.full(336, NAN)
    newborn[-2:] = 6.0  # slots 22 and 23, where its kind stands at 30
    said = KindProfile().predict(history_of([teacher, other, newborn, newborn], kind=[7, 8, 7, 8]))
    assert said.mean[2] == pytest.approx(np.where(np.arange(HOURS) % 24 < 12, 2.0, 6.0), rel=0.02)
    assert said.mean[3] == pytest.approx(np.full(HOURS, 6.0))
    assert (said.p90 >= said.mean).all()
    assert KindProfile().rung == Rung.KIND


def test_a_newborn_of_an_unknown_kind_takes_the_shape_of_the_fleet() -> None:
    teacher = np.tile(np.where(np.arange(24) < 12, 10.0, 30.0), 14)
    newborn = np.full(336, NAN)
    newborn[-1] = 6.0
    said = KindProfile().predict(history_of([teacher, newborn], kind=[7, 9]))
    assert said.mean[1, 0] == pytest.approx(2.0, rel=0.02)


def test_where_nobody_has_a_day_the_level_goes_on_under_a_wide_bound() -> None:
    said = KindProfile().predict(history_of([[NAN, 4.0, 6.0], [0.0, 0.0, 0.0], [NAN, NAN, NAN]]))
    assert said.mean[0] == pytest.approx(np.full(HOURS, 5.0))
    assert said.mean[1].tolist() == [0] * HOURS
    assert said.p90[:2] == pytest.approx(said.mean[:2] + UNSEEN_MARGIN_PCT)
    assert np.isnan(said.mean[2]).all()


def test_a_newborn_of_an_idle_kind_keeps_its_own_level() -> None:
    newborn = np.full(336, NAN)
    newborn[-3:] = 9.0
    said = KindProfile().predict(history_of([np.zeros(336), newborn]))
    assert said.mean[1] == pytest.approx(np.full(HOURS, 9.0))
    assert said.mean[0].tolist() == [0] * HOURS


@pytest.mark.parametrize("forecaster", [HourOfDay(), KindProfile()])
def test_loads_stay_within_0_and_100(forecaster: HourOfDay | KindProfile) -> None:
    rng = np.random.default_rng(7)
    mean = rng.choice([0.0, 50.0, 100.0, 150.0], (20, 336))
    said = forecaster.predict(history_of(mean))
    for values in (said.mean, said.p50, said.p90):
        assert ((values >= 0) & (values <= 100)).all()
