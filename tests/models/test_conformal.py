"""The correction of a P90: by hand, by cell, drawn to all where little is known, and right in its coverage."""

from __future__ import annotations

import numpy as np
import pytest

from models.conformal import CELLS, PRIOR_HOURS, cells_of, fit_widening, widen
from models.forecast import HOURS
from tests.models.given import Floats

NAN = np.nan


def f32(*values: float) -> Floats:
    return np.array(values, dtype=np.float32)


def flat(value: float, n: int, leads: int = 1) -> Floats:
    return np.full((n, leads), value, np.float32)


def test_the_correction_is_the_ninetieth_of_ninety_nine_shortfalls_in_spreads() -> None:
    truth = np.arange(1, 100, dtype=np.float32)[:, None]
    widening = fit_widening(flat(0, 99), truth, np.zeros(99, np.float32), np.full(99, 2.0, np.float32))
    assert widening.tolist() == [45.0] * CELLS
    said = widen(flat(10, 2), f32(0, 50), f32(2, 0.1), widening)
    assert said[:, 0] == pytest.approx([10 + 45 * 2, 10 + 45 * 0.1])


def test_a_bound_that_always_held_with_room_to_spare_is_drawn_in() -> None:
    widening = fit_widening(flat(9, 50), flat(4, 50), np.zeros(50, np.float32), np.ones(50, np.float32))
    assert widening.tolist() == [-5.0] * CELLS


def test_cells_are_of_lead_and_load_class() -> None:
    cells = cells_of(f32(0.5, 1.0, 5, 29.9, 30, NAN), HOURS)
    assert cells.shape == (6, HOURS)
    assert (cells[:, 0] % 5).tolist() == [0, 1, 2, 3, 4, 4]
    assert [int(cell) for cell in cells[0, [0, 2, 3, 8, 9, 25]]] == [0, 0, 5, 5, 10, 10]
    assert cells.max() < CELLS


def test_a_cell_is_drawn_to_all_hours_the_more_the_fewer_it_has() -> None:
    calm, wild = np.zeros(9 * PRIOR_HOURS, np.float32), np.full(PRIOR_HOURS // 4, 8.0, np.float32)
    truth = np.concatenate([calm, wild])[:, None]
    level = np.where(truth[:, 0] > 0, np.float32(50), np.float32(0.5))
    widening = fit_widening(np.zeros_like(truth), truth, level, np.ones(len(truth), np.float32))
    low, high, empty = (int(cells_of(f32(at), 1)[0, 0]) for at in (0.5, 50.0, 5.0))
    assert (widening[low], widening[empty]) == (0.0, 0.0)
    assert widening[high] == pytest.approx(8.0 / 5)  # a quarter of the prior's hours


def test_gaps_are_left_out_and_nothing_known_means_no_correction() -> None:
    p90, level, one = f32(1, NAN, 1)[:, None], f32(0, 0, 0), f32(1, 1, 1)
    assert fit_widening(p90, f32(NAN, 5, 3)[:, None], level, one)[0] == 2.0
    assert fit_widening(p90, flat(NAN, 3), level, one).tolist() == [0.0] * CELLS


def test_a_gap_in_the_bound_stays_one() -> None:
    assert np.isnan(widen(flat(NAN, 1), f32(NAN), f32(1), np.ones(CELLS, np.float32)))[0, 0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_new_draws_are_covered_nine_times_in_ten(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen, new = rng.exponential(1, (2, 4000, 1)).astype(np.float32)
    level, one = rng.uniform(0, 60, 4000).astype(np.float32), np.ones(4000, np.float32)
    bound = widen(flat(1, 4000), level, one, fit_widening(flat(1, 4000), seen, level, one))
    assert (new <= bound).mean() == pytest.approx(0.9, abs=0.02)
