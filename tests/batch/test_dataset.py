"""Training rows: split by time, nothing of the future, bounded, and gaps left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batch.dataset import LEAST_HISTORY_H, fit_rows, origins_of, rows_at
from models.errors import BadInput
from models.features import FEATURES, LEAD
from models.forecast import HOURS
from tests.models.given import END, history_of, rhythm

HISTORY = history_of(rhythm(30, 16 * 24, seed=21))
EVERYONE = np.arange(30)


def test_no_target_of_the_fit_reaches_the_first_held_out_origin() -> None:
    origins = origins_of(HISTORY)
    assert max(origins.fit) + HOURS * 60 <= min(origins.held_out)
    assert max(origins.held_out) + HOURS * 60 <= END


def test_origins_have_three_days_before_them_and_go_round_the_clock() -> None:
    fit = origins_of(HISTORY).fit
    assert min(fit) >= END - (16 * 24 - LEAST_HISTORY_H) * 60
    assert {origin // 60 % 24 for origin in fit} == set(range(24))


def test_hours_before_the_first_known_one_do_not_count_as_history() -> None:
    mean = HISTORY.mean.copy()
    mean[:, : 6 * 24] = np.nan
    fit = origins_of(history_of(mean)).fit
    assert min(fit) >= END - (10 * 24 - LEAST_HISTORY_H) * 60


@pytest.mark.parametrize("hours", [0, 24, LEAST_HISTORY_H + HOURS + 37])
def test_too_short_a_history_is_refused_in_words(hours: int) -> None:
    mean = np.full((2, 240), np.nan)
    mean[:, 240 - hours :] = 1.0
    with pytest.raises(BadInput, match=r"at least 5\.7 days of hours"):
        origins_of(history_of(mean))


def test_the_shortest_history_that_will_do_does() -> None:
    assert len(origins_of(history_of(np.ones((1, LEAST_HISTORY_H + HOURS + 38)))).fit) == 1


def test_a_changed_future_changes_the_targets_and_no_feature() -> None:
    origin = END - 100 * 60
    column = 16 * 24 - 100
    mean = HISTORY.mean.copy()
    mean[:, column:] = np.roll(mean[:, column:], 5, axis=1) / 2 + 1
    before, after = (rows_at(history, origin, EVERYONE) for history in (HISTORY, replace(HISTORY, mean=mean)))
    np.testing.assert_array_equal(after.X, before.X)
    np.testing.assert_array_equal(after.y, mean[:, column : column + HOURS].reshape(-1))
    assert not np.array_equal(after.y, before.y)


def test_each_row_is_asked_of_its_own_vm_and_lead() -> None:
    column = 16 * 24 - 100
    rows = rows_at(HISTORY, END - 100 * 60, np.array([4, 9]))
    lead = rows.X[:, LEAD].astype(int)
    np.testing.assert_array_equal(rows.y, HISTORY.mean[rows.vm, column + lead])
    assert np.unique(rows.vm).tolist() == [4, 9]


def test_gaps_and_hours_yet_to_come_are_left_out_and_zero_is_not() -> None:
    mean = HISTORY.mean.copy()
    mean[0, -10:] = np.nan
    mean[1, -10:] = 0.0
    rows = rows_at(history_of(mean), END - 20 * 60, np.array([0, 1]))
    assert np.count_nonzero(rows.vm == 0) == 10
    assert np.count_nonzero(rows.vm == 1) == 20
    assert rows.y[-10:].tolist() == [0.0] * 10


def test_a_vm_that_was_not_there_yet_gives_no_row() -> None:
    mean = HISTORY.mean.copy()
    mean[3, :-50] = np.nan
    assert 3 not in rows_at(history_of(mean), END - 100 * 60, EVERYONE).vm


def test_targets_over_a_hundred_count_as_a_hundred() -> None:
    mean = HISTORY.mean.copy()
    mean[:, -30:] = 182.0
    assert rows_at(history_of(mean), END - 30 * 60, EVERYONE).y.max() == 100.0


def test_rows_are_bounded_repeatable_and_from_every_origin() -> None:
    origins = origins_of(HISTORY).fit
    rows = fit_rows(HISTORY, origins, most_rows=5_000, seed=1)
    again = fit_rows(HISTORY, origins, most_rows=5_000, seed=1)
    other = fit_rows(HISTORY, origins, most_rows=5_000, seed=2)
    assert 3_000 < len(rows.y) <= 5_000
    assert rows.X.shape == (len(rows.y), len(FEATURES))
    np.testing.assert_array_equal(rows.X, again.X)
    assert not np.array_equal(rows.vm, other.vm)
    hours = {round(float(hour)) for hour in rows.X[rows.X[:, LEAD] == 0, FEATURES.index("local_hour_h")]}
    assert hours == set(range(24))
