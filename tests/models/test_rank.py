"""The regret that the rank learns, by hand; what a day must have to teach it; scores within a record."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.rank import MOST_REGRET, STEP_WEIGHT, in_points, regrets, standardised, teachable
from tests.models.given import Floats

NAN = np.nan


def days(*loads: list[float]) -> Floats:
    return np.array(loads, dtype=np.float32)


def test_regrets_of_a_hand_made_day() -> None:
    regret, room = regrets(days([2, 6, 4, 4], [1, 1, 1, 17]))
    assert room.tolist() == [2.0, 4.0]  # mean less the best: 4 - 2, 5 - 1
    assert regret[0].tolist() == [0.0, 2.0, 1.0, 1.0]
    assert regret[1].tolist() == [0.0, 0.0, 0.0, 3.0]  # 4 is more than the most
    assert regret.dtype == room.dtype == np.float32


def test_a_gap_is_left_out_and_stays_one() -> None:
    regret, room = regrets(days([2, NAN, 4, 6]))
    assert room.tolist() == [2.0]
    assert np.isnan(regret[0]).tolist() == [False, True, False, False]
    assert regret[0, [0, 2, 3]].tolist() == [0.0, 1.0, 2.0]


def test_a_day_of_which_half_is_missing_teaches_nothing() -> None:
    regret, room = regrets(days([2, NAN, NAN, 6], [NAN, NAN, NAN, NAN]))
    assert np.isnan(room).all()
    assert np.isnan(regret).all()
    assert teachable(room).tolist() == [False, False]


def test_a_flat_day_has_no_order_to_teach() -> None:
    _, room = regrets(days([0, 0, 0, 0], [5, 5, 5, 5.2], [5, 5, 5, 5.8]))
    assert teachable(room).tolist() == [False, False, True]


loads = arrays(np.float32, (3, 24), elements=st.floats(0, 100, width=32))


@given(loads)
def test_regrets_lie_between_the_best_hour_and_the_most(truth: Floats) -> None:
    regret, room = regrets(truth)
    some = teachable(room)
    assert ((regret[some] >= 0) & (regret[some] <= MOST_REGRET)).all()
    assert (regret[some].min(axis=1) == 0).all()
    quietest = np.take_along_axis(truth[some], regret[some].argmin(axis=1)[:, None], axis=1)[:, 0]
    # A difference so small that it vanishes beside the room is none.
    assert quietest == pytest.approx(truth[some].min(axis=1), abs=1e-6)


def test_scores_are_standardised_within_their_record() -> None:
    scores = standardised(days([1, 3], [10, 30], [7, 7]))
    assert scores == pytest.approx(days([-1, 1], [-1, 1], [0, 0]), abs=1e-5)
    assert scores.dtype == np.float32


@given(loads)
def test_standardising_keeps_the_order(scores: Floats) -> None:
    made = standardised(scores)
    order = scores.argsort(axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(made, order, axis=1), axis=1) >= 0).all()


def test_a_standard_deviation_of_hours_weighs_as_much_as_its_share_of_a_spread() -> None:
    points = in_points(days([-1, 1], [-1, 1]), np.array([3.0, 0.3], np.float32))
    assert points == pytest.approx(days([-3, 3], [-0.3, 0.3]) / np.float32(STEP_WEIGHT))
