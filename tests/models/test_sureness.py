"""From the table's shares to what was observed: rising, right in the mean, and careful with little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.sureness import SHARES, as_said, fit_sureness


def test_what_came_as_said_stays_as_it_was_said() -> None:
    said = np.linspace(0, 1, 20_000)
    kept = (np.random.default_rng(1).random(said.size) < said).astype(np.float64)
    assert fit_sureness(said, kept) == pytest.approx(as_said(), abs=0.05)


def test_a_table_that_promises_too_much_is_taken_at_what_it_kept() -> None:
    rng = np.random.default_rng(2)
    said = rng.random(50_000)
    kept = (rng.random(said.size) < said**2).astype(np.float64)
    sure = fit_sureness(said, kept)
    assert sure[1:-1] == pytest.approx(SHARES[1:-1] ** 2, abs=0.06)


def test_few_windows_move_little_and_none_nothing() -> None:
    assert fit_sureness(np.array([]), np.array([])).tolist() == as_said().tolist()
    moved = fit_sureness(np.array([0.5]), np.array([1.0]))
    assert moved[16] == pytest.approx((0.5 * 20 + 1) / 21)


def test_gaps_are_left_out() -> None:
    said, kept = np.array([0.5, np.nan, 0.5]), np.array([np.nan, 1.0, 1.0])
    assert fit_sureness(said, kept).tolist() == fit_sureness(np.array([0.5]), np.array([1.0])).tolist()


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=300))
def test_it_rises_from_0_to_1(windows: list[tuple[float, bool]]) -> None:
    said = np.array([share for share, _ in windows])
    sure = fit_sureness(said, np.array([float(came) for _, came in windows]))
    assert (np.diff(sure) >= 0).all()
    assert sure.min() >= 0
    assert sure.max() <= 1
