"""Confidence and the P90 of chosen windows: the formulas, the ends of the table, and the table's own file."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import (
    DEFAULT,
    PROBABILITIES,
    QUANTILES,
    Chosen,
    confidence,
    fit,
    p90_of,
    ratio_of,
)
from models.errors import BadInput
from tests.models.given import chosen_of

LOWEST, HIGHEST = 1 / 66, 65 / 66
UNIFORM = fit({10: chosen_of(np.arange(1, 66) / 66), 30: chosen_of(np.arange(1, 66) / 66 + 1)})


def test_the_ratio_is_zero_at_the_median_and_one_at_the_p90() -> None:
    ratios = ratio_of(np.array([10.0, 30.0, 50.0, math.nan]), 10.0, 30.0)
    assert ratios[:3].tolist() == [0.0, 1.0, 2.0]
    assert math.isnan(ratios[3])


def test_an_idle_forecast_has_a_spread_of_a_tenth_of_a_point() -> None:
    assert ratio_of(0.2, 0.0, 0.0) == pytest.approx(2.0)


def test_fit_keeps_the_distribution_that_it_saw() -> None:
    assert UNIFORM.lengths_min == (10, 30)
    assert UNIFORM.quantiles[0] == pytest.approx(PROBABILITIES, abs=1e-6)


def test_fit_leaves_gaps_out() -> None:
    ratios = np.concatenate([np.arange(1, 66) / 66, [math.nan]])
    assert fit({10: chosen_of(ratios)}).quantiles[0] == pytest.approx(PROBABILITIES, abs=1e-6)


@pytest.mark.parametrize(
    "chosen", [{}, {10: chosen_of(np.zeros(QUANTILES - 1))}, {10: chosen_of(np.full(100, math.nan))}]
)
def test_fit_refuses_too_few_windows(chosen: dict[int, Chosen]) -> None:
    with pytest.raises(BadInput, match=r"at least 65 chosen windows.*calibration\.DEFAULT"):
        fit(chosen)


def test_confidence_by_hand() -> None:
    # (45 - 40) / (50 - 40) = 0.5, and half of the uniform ratios lie at or under it
    assert confidence(UNIFORM, 40.0, 50.0, 45.0, 10) == pytest.approx(0.5)


def test_confidence_between_two_lengths_lies_in_proportion() -> None:
    # at 20 minutes the table is halfway: ratios uniform on 0.5..1.5, so 40 % of them lie at or under 0.9
    assert confidence(UNIFORM, 40.0, 50.0, 49.0, 20) == pytest.approx(0.4)


def test_confidence_beyond_the_lengths_takes_the_nearest() -> None:
    assert confidence(UNIFORM, 40.0, 50.0, 55.0, 120) == confidence(UNIFORM, 40.0, 50.0, 55.0, 30)


def test_nothing_is_ever_certain() -> None:
    loads = np.array([0.0, 100.0])
    assert confidence(UNIFORM, loads, loads, 50.0, 10) == pytest.approx([HIGHEST, LOWEST])


def test_a_load_seen_in_every_window_is_at_or_under_itself() -> None:
    idle = fit({10: chosen_of(np.zeros(1000))})
    assert confidence(idle, 0.0, 0.0, 0.0, 10) == pytest.approx(HIGHEST)
    assert confidence(idle, 0.001, 0.0, 0.0, 10) == pytest.approx(LOWEST)


def test_a_gap_stays_a_gap() -> None:
    gaps = np.array([math.nan, 10.0])
    assert np.isnan(confidence(DEFAULT, gaps, gaps + 5, 80.0, 10)).tolist() == [True, False]
    assert np.isnan(p90_of(DEFAULT, gaps, gaps + 5, 10)).tolist() == [True, False]


def test_the_default_takes_the_forecast_at_its_word() -> None:
    assert confidence(DEFAULT, 40.0, 50.0, 40.0, 45) == pytest.approx(0.5)
    assert confidence(DEFAULT, 40.0, 50.0, 50.0, 45) == pytest.approx(0.9, abs=1e-3)
    assert p90_of(DEFAULT, 40.0, 50.0, 45) == pytest.approx(50.0, abs=0.02)


def test_the_p90_stays_within_bounds() -> None:
    low, high = (fit({10: chosen_of(np.full(100, ratio))}) for ratio in (-9.0, 9.0))
    assert p90_of(low, 5.0, 10.0, 10) == 0.0
    assert p90_of(high, 50.0, 90.0, 10) == 100.0
    assert p90_of(high, 110.0, 130.0, 10) == 130.0


@given(
    p50=st.floats(0, 60),
    spread=st.floats(0, 30),
    minutes=st.integers(10, 120),
    shift=st.floats(-1, 0.5),
)
def test_nine_tenths_lie_under_the_p90(p50: float, spread: float, minutes: int, shift: float) -> None:
    calibration = replace(DEFAULT, quantiles=DEFAULT.quantiles + np.float32(shift))
    p90 = float(p90_of(calibration, p50, p50 + spread, minutes))
    if 0 < p90 < 100:
        assert confidence(calibration, p50, p50 + spread, p90, minutes) == pytest.approx(0.9, abs=1e-6)


@given(p50=st.floats(0, 100), spread=st.floats(0, 50), limits=st.tuples(st.floats(0, 100), st.floats(0, 100)))
def test_a_higher_limit_is_never_less_sure(p50: float, spread: float, limits: tuple[float, float]) -> None:
    low, high = (float(confidence(UNIFORM, p50, p50 + spread, limit, 15)) for limit in sorted(limits))
    assert LOWEST - 1e-12 <= low <= high <= HIGHEST + 1e-12
