"""The live shift of the P90: within its bounds, up and down, slow where little is known, right in the long run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.conformal import CELLS, cells_of
from models.forecast import HOURS
from models.live_shift import HIGHEST, LOWEST, no_shift, refreshed, shift_p90, tally

Floats = npt.NDArray[np.float32]
LEVELS = np.array([0.0, 2.0, 20.0, 95.0], np.float32)


def said(*values: float) -> Floats:
    return np.repeat(np.array(values, np.float32)[:, None], HOURS, axis=1)


def test_no_shift_changes_nothing_and_a_gap_stays_one() -> None:
    p50, p90 = said(10.0, np.nan), said(12.5, np.nan)
    np.testing.assert_array_equal(shift_p90(p50, p90, np.array([10.0, np.nan], np.float32), no_shift()), p90)


def test_a_shift_is_in_the_vms_own_spreads_and_of_its_cell() -> None:
    shift = no_shift()
    shift[cells_of(np.array([20.0], np.float32), HOURS)[0, 0]] = 0.5
    moved = shift_p90(said(20.0, 2.0), said(24.0, 4.0), np.array([20.0, 2.0], np.float32), shift)
    assert moved[0, :4].tolist() == [26.0, 26.0, 26.0, 24.0]  # leads of 0 to 2 hours are one class
    assert moved[1].tolist() == [4.0] * HOURS


def test_an_idle_vms_bound_can_widen() -> None:
    moved = shift_p90(said(0.0), said(0.0), LEVELS[:1], np.full(CELLS, 1.0, np.float32))
    assert moved == pytest.approx(0.1)


shifts = arrays(np.float32, CELLS, elements=st.floats(LOWEST, HIGHEST, width=32))
loads = st.floats(0, 100, width=32)


@given(st.lists(st.tuples(loads, loads), min_size=4, max_size=4), shifts)
def test_p50_stays_under_p90_and_p90_under_100(pairs: list[tuple[float, float]], shift: Floats) -> None:
    p50, p90 = said(*(min(pair) for pair in pairs)), said(*(max(pair) for pair in pairs))
    moved = shift_p90(p50, p90, LEVELS, shift)
    assert ((moved >= p50) & (moved <= 100)).all()
    assert moved.dtype == np.float32


@given(shifts, arrays(np.int64, (CELLS, 2), elements=st.integers(0, 10**7)))
def test_it_stays_within_its_bounds_and_little_data_moves_little(shift: Floats, counts: npt.NDArray[np.int64]) -> None:
    counts[:, 1] = np.minimum(counts[:, 1], counts[:, 0])
    moved = refreshed(shift, counts)
    assert ((moved >= LOWEST) & (moved <= HIGHEST)).all()
    np.testing.assert_array_equal(moved[counts[:, 0] == 0], shift[counts[:, 0] == 0])
    few = np.minimum(counts, 1)
    assert np.abs(refreshed(shift, few) - shift).max() <= 0.3 * 0.9 / 201 + 1e-6


def test_missed_hours_widen_covered_ones_narrow_and_ninety_percent_is_right() -> None:
    counts = np.zeros((CELLS, 2), np.int64)
    counts[:3] = [[1000, 200], [1000, 0], [1000, 100]]
    moved = refreshed(no_shift(), counts)
    assert moved[:3] == pytest.approx([0.3 * 1000 / 1200 * 0.1, -0.3 * 1000 / 1200 * 0.1, 0.0], abs=1e-7)
    assert not moved[3:].any()


def test_the_tally_counts_by_lead_and_level_and_leaves_gaps_out() -> None:
    under = np.ones((2, 24), np.float32)
    under[0, 0], under[0, 1], under[1, 23] = 0.0, np.nan, 0.0
    counts = tally(under, np.array([0.5, 50.0], np.float32))
    cells = cells_of(np.array([0.5, 50.0], np.float32), 24)
    assert counts[cells[0, 0]].tolist() == [2, 1]
    assert counts[cells[1, 23]].tolist() == [15, 1]
    assert counts.sum(axis=0).tolist() == [47, 2]


@pytest.mark.parametrize(("scale", "low", "high"), [(1.5, 0.3, 0.7), (0.7, -0.5, -0.2)])
def test_fed_with_its_own_misses_a_day_late_it_comes_to_ninety_percent(scale: float, low: float, high: float) -> None:
    """Errors `scale` times as wide as the forecasts say: what is learned five runs late still settles."""
    rng = np.random.default_rng(3)
    level, made = np.full(400, 20.0, np.float32), [no_shift()] * 5
    p50, p90 = said(*[40.0] * 400)[:, :24], said(*[50.0] * 400)[:, :24]
    shift = no_shift()
    for _ in range(150):
        truth = 40 + scale * 10 / 1.2816 * rng.standard_normal(p50.shape)
        under = (truth <= shift_p90(p50, p90, level, made[0])).astype(np.float32)
        shift = refreshed(shift, tally(under, level))
        made = [*made[1:], shift]
    cell = cells_of(level[:1], 1)[0, 0]
    assert low < shift[cell] < high
    assert shift[cell] == pytest.approx(max(scale - 1, LOWEST), abs=0.06)
