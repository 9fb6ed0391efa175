"""The widening of a P90: by hand, by cell, never narrower, and right in its coverage."""

from __future__ import annotations

import numpy as np
import pytest

from models.conformal import CELLS, MIN_ROWS, fit_widening, widen
from models.features import FEATURES, LEAD, LEVEL, SPREAD
from tests.models.given import Floats


def f32(*values: float) -> Floats:
    return np.array(values, dtype=np.float32)


def rows_of(n: int, *, lead: int = 0, level: float = 0.0, spread: float = 1.0) -> Floats:
    X = np.zeros((n, len(FEATURES)), np.float32)
    X[:, LEAD], X[:, LEVEL], X[:, SPREAD] = lead, level, spread
    return X


def test_the_widening_is_the_ninetieth_of_ninety_nine_shortfalls_in_spreads() -> None:
    X = rows_of(99, spread=2.0)
    truth = np.arange(1, 100, dtype=np.float32)
    widening = fit_widening(X, np.zeros(99, np.float32), truth)
    assert widening.tolist() == [45.0] * CELLS  # rank ceil(0.9 * 100) = 90; 90 points are 45 spreads
    assert widen(X[:1], f32(3), widening).tolist() == [93.0]


def test_a_bound_that_holds_too_often_is_not_narrowed() -> None:
    X = rows_of(500)
    assert fit_widening(X, np.full(500, 50, np.float32), np.full(500, 10, np.float32)).tolist() == [0.0] * CELLS


def test_a_cell_has_its_own_widening_only_from_enough_rows_on() -> None:
    X = np.concatenate([rows_of(1000, level=0.5), rows_of(MIN_ROWS, level=50.0), rows_of(MIN_ROWS - 1, lead=20)])
    truth = np.concatenate([np.zeros(1000), np.full(MIN_ROWS, 8.0), np.zeros(MIN_ROWS - 1)]).astype(np.float32)
    widening = fit_widening(X, np.zeros(len(X), np.float32), truth)
    probe = np.concatenate([rows_of(1, level=0.5), rows_of(1, level=50.0), rows_of(1, lead=20, level=0.5)])
    pooled = fit_widening(X, np.zeros(len(X), np.float32), truth)[-1 - 2]  # an empty cell
    assert widen(probe, np.zeros(3, np.float32), widening).tolist() == [0.0, 8.0, pooled]


def test_gaps_are_left_out_and_nothing_known_means_no_widening() -> None:
    X = rows_of(3)
    p90 = f32(1, np.nan, 1)
    assert fit_widening(X, p90, f32(np.nan, 5, 3))[0] == 2.0
    assert fit_widening(X, p90, np.full(3, np.nan, np.float32)).tolist() == [0.0] * CELLS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_new_draws_are_covered_nine_times_in_ten(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen, new = rng.exponential(1, (2, 4000)).astype(np.float32)
    X = rows_of(4000)
    bound = widen(X, np.ones(4000, np.float32), fit_widening(X, np.ones(4000, np.float32), seen))
    assert (new <= bound).mean() == pytest.approx(0.9, abs=0.02)
