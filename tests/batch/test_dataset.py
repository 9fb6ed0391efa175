"""Days to learn from: split by time, nothing of the future, bounded, some of them worn, gaps left as gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batch.dataset import HELD_OUT_ORIGINS, LEAST_HISTORY_H, Days, days_at, fit_days, joined, origins_of
from models.errors import BadInput
from models.features import FEATURES
from models.forecast import HOURS, slice_history, take_vms
from models.hour_features import HOUR_FEATURES, hour_features
from tests.models.given import END, Floats, history_of, rhythm

HISTORY = history_of(rhythm(30, 16 * 24, seed=21))
EVERYONE = np.arange(30)
ORIGIN, COLUMN = END - 100 * 60, 16 * 24 - 100
LEAST_H = LEAST_HISTORY_H + 2 * HOURS + 21  # three days, a day to learn from, and the held-out days after it


def column(days: Days, name: str) -> Floats:
    found: Floats = days.seen.X[:, FEATURES.index(name)]
    return found


def test_no_target_of_the_fit_reaches_the_first_held_out_origin() -> None:
    origins = origins_of(HISTORY)
    assert max(origins.fit) + HOURS * 60 <= min(origins.held_out)
    assert max(origins.held_out) + HOURS * 60 == END
    assert len(origins.held_out) == HELD_OUT_ORIGINS


def test_origins_have_three_days_before_them_and_go_round_the_clock() -> None:
    fit = origins_of(HISTORY).fit
    assert min(fit) >= END - (16 * 24 - LEAST_HISTORY_H) * 60
    assert {origin // 60 % 24 for origin in fit} == set(range(24))


def test_hours_before_the_first_known_one_do_not_count_as_history() -> None:
    mean = HISTORY.mean.copy()
    mean[:, : 6 * 24] = np.nan
    fit = origins_of(history_of(mean)).fit
    assert min(fit) >= END - (10 * 24 - LEAST_HISTORY_H) * 60


@pytest.mark.parametrize("hours", [0, 24, LEAST_H - 1])
def test_too_short_a_history_is_refused_in_words(hours: int) -> None:
    mean = np.full((2, 240), np.nan)
    mean[:, 240 - hours :] = 1.0
    with pytest.raises(BadInput, match=rf"at least 6\.0 days of hours, got {hours / 24:.1f}"):
        origins_of(history_of(mean))


def test_the_shortest_history_that_will_do_does() -> None:
    assert len(origins_of(history_of(np.ones((1, LEAST_H)))).fit) == 1


def test_a_changed_future_changes_what_came_and_no_feature() -> None:
    mean = HISTORY.mean.copy()
    mean[:, COLUMN:] = np.roll(mean[:, COLUMN:], 5, axis=1) / 2 + 1
    before, after = (days_at(history, ORIGIN, EVERYONE) for history in (HISTORY, replace(HISTORY, mean=mean)))
    np.testing.assert_array_equal(after.hour_X, before.hour_X)
    for part, other in zip(after.seen, before.seen, strict=True):
        np.testing.assert_array_equal(part, other)
    np.testing.assert_array_equal(after.truth, mean[:, COLUMN : COLUMN + HOURS])
    assert not np.array_equal(after.truth, before.truth)


def test_each_day_is_of_its_own_vm() -> None:
    vms = np.array([9, 4])
    days = days_at(HISTORY, ORIGIN, vms)
    assert days.vm.tolist() == [9, 4]
    np.testing.assert_array_equal(days.truth, HISTORY.mean[vms, COLUMN : COLUMN + HOURS])
    past = take_vms(slice_history(HISTORY, ORIGIN), vms)
    np.testing.assert_array_equal(days.hour_X, hour_features(past))
    assert days.hour_X.shape == (2, HOURS, len(HOUR_FEATURES))
    assert days.lessons.floor is days.seen.floor


def test_gaps_and_hours_yet_to_come_stay_gaps_and_zero_stays_zero() -> None:
    mean = HISTORY.mean.copy()
    mean[0, -10:], mean[1, -10:] = np.nan, 0.0
    truth = days_at(history_of(mean), END - 20 * 60, np.array([0, 1])).truth
    assert np.isnan(truth).sum(axis=1).tolist() == [16, 6]
    assert truth[1, 10:20].tolist() == [0.0] * 10


def test_a_vm_that_was_not_there_yet_or_of_which_nothing_came_is_left_out() -> None:
    mean = HISTORY.mean.copy()
    mean[3, :-50], mean[5, COLUMN:] = np.nan, np.nan
    days = days_at(history_of(mean), ORIGIN, EVERYONE)
    assert days.vm.tolist() == [vm for vm in range(30) if vm not in (3, 5)]
    assert len(days.hour_X) == len(days.seen.X) == len(days.truth) == 28


def test_what_came_over_a_hundred_counts_as_a_hundred() -> None:
    mean = HISTORY.mean.copy()
    mean[:, -30:] = 182.0
    assert days_at(history_of(mean), END - 30 * 60, EVERYONE).truth.max() == 100.0


def test_some_days_are_seen_with_less_and_what_came_of_them_is_whole() -> None:
    history = history_of(rhythm(2000, 340, seed=3))
    origin = END - HOURS * 60
    whole = days_at(history, origin, np.arange(2000))
    worn = days_at(history, origin, np.arange(2000), worn=np.random.default_rng(1))
    share, age = column(worn, "known_share"), column(worn, "age_h")
    assert (column(whole, "known_share") == column(whole, "known_share")[0]).all()
    young = age < 314
    assert young.mean() == pytest.approx(0.125, abs=0.03)
    assert age[young].min() >= 24
    assert (share[young] <= age[young] / 336 + 1e-3).all()
    assert np.isclose(share[young], age[young] / 336, atol=1e-3).mean() == pytest.approx(0.875, abs=0.05)
    holed = ~young & (share < 0.8)
    assert holed.mean() == pytest.approx(0.125 * 0.875, abs=0.03)
    assert share[holed].mean() == pytest.approx(0.7 * 314 / 336, abs=0.02)
    np.testing.assert_array_equal(worn.truth, whole.truth)
    np.testing.assert_array_equal(worn.seen.X[~young & ~holed], whole.seen.X[~young & ~holed])
    assert history.mean[:, :314].min() >= 0  # the history itself is left as it is
    assert not np.isnan(history.mean).any()


def test_days_are_bounded_repeatable_and_from_every_origin() -> None:
    origins = origins_of(HISTORY).fit
    days = fit_days(HISTORY, origins, most_days=300, seed=1)
    again, other = (fit_days(HISTORY, origins, most_days=300, seed=seed) for seed in (1, 2))
    assert 200 < len(days.vm) <= 300
    np.testing.assert_array_equal(days.seen.X, again.seen.X)
    np.testing.assert_array_equal(days.hour_X, again.hour_X)
    assert not np.array_equal(days.vm, other.vm)
    assert {round(float(hour)) for hour in column(days, "local_hour_h")} == set(range(24))


def test_joined_days_are_all_of_them() -> None:
    parts = [days_at(HISTORY, origin, np.array([vm])) for vm, origin in ((1, ORIGIN), (2, ORIGIN - 300))]
    days = joined(parts)
    assert days.vm.tolist() == [1, 2]
    np.testing.assert_array_equal(days.seen.X[1], parts[1].seen.X[0])
    np.testing.assert_array_equal(days.truth[0], parts[0].truth[0])
