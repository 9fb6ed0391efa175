"""Scores against cases computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput
from models.score import (
    hit_rate,
    interval_coverage,
    mae,
    mase,
    pinball,
    seasonal_scale,
    window_regret,
)

NAN = math.nan


def floats(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


def test_mae_is_the_mean_absolute_difference() -> None:
    assert mae(floats(1, 2, 6), floats(2, 2, 4)) == pytest.approx((1 + 0 + 2) / 3)


def test_mae_leaves_gaps_out_and_keeps_zeros() -> None:
    assert mae(floats(1, NAN, 0, 5), floats(0, 7, 0, NAN)) == pytest.approx((1 + 0) / 2)


def test_mae_of_nothing_is_nan_not_zero() -> None:
    assert math.isnan(mae(floats(NAN), floats(1)))
    assert math.isnan(mae(floats(), floats()))


def test_mae_takes_float32_without_losing_precision() -> None:
    big = np.full(100_000, 16.1, dtype=np.float32)
    assert mae(big, np.full(100_000, 16.0, dtype=np.float32)) == pytest.approx(0.1, rel=1e-5)


def test_shapes_that_differ_are_refused_rather_than_broadcast() -> None:
    with pytest.raises(BadInput, match=r"expected shape \(2,\), got shape \(2, 2\)"):
        mae(np.zeros((2, 2)), np.zeros(2))


def test_seasonal_scale_by_hand() -> None:
    history = np.array([[1.0, 5.0, 2.0, 9.0, 4.0, NAN], [3.0, 3.0, 3.0, 3.0, 3.0, 3.0]])
    # season 2: |2-1|, |9-5|, |4-2| are known, the last pair has a gap
    assert seasonal_scale(history, season=2) == pytest.approx([(1 + 4 + 2) / 3, 0.0])


def test_seasonal_scale_without_a_pair_is_nan() -> None:
    assert np.isnan(seasonal_scale(np.array([[1.0, NAN, NAN, 2.0]]), season=2)).all()
    assert np.isnan(seasonal_scale(np.array([[1.0, 2.0]]), season=24)).all()


def test_mase_is_the_mean_over_series_of_mae_over_scale() -> None:
    pred, truth = np.array([[1.0, 3.0], [10.0, 10.0]]), np.array([[2.0, 3.0], [10.0, 14.0]])
    assert mase(pred, truth, floats(0.5, 4.0)) == pytest.approx((0.5 / 0.5 + 2.0 / 4.0) / 2)


def test_mase_leaves_out_series_without_a_scale_or_without_pairs() -> None:
    pred = np.array([[1.0], [1.0], [1.0], [NAN]])
    truth = np.array([[3.0], [5.0], [5.0], [5.0]])
    assert mase(pred, truth, floats(2.0, 0.0, NAN, 1.0)) == pytest.approx(1.0)


def test_pinball_by_hand() -> None:
    # truth above by 10: 0.9 * 10; truth below by 10: 0.1 * 10
    assert pinball(floats(0, 10), floats(10, 0), 0.9) == pytest.approx((9 + 1) / 2)
    assert pinball(floats(0, NAN), floats(10, 0), 0.9) == pytest.approx(9)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_pinball_of_the_median_is_half_the_mae(pred: list[float], truth: list[float]) -> None:
    n = min(len(pred), len(truth))
    p, t = floats(*pred[:n]), floats(*truth[:n])
    assert pinball(p, t, 0.5) == pytest.approx(mae(p, t) / 2)


def test_interval_coverage_counts_a_truth_on_the_bound_as_covered() -> None:
    assert interval_coverage(floats(5, 5, 5, 0, NAN), floats(4, 5, 6, 0, 1)) == pytest.approx(3 / 4)
    assert math.isnan(interval_coverage(floats(NAN), floats(1)))


def test_regret_by_hand() -> None:
    #                denominators: 4 counts, 0.5 counts under 1 point, 0.05 is pooled only, a gap, a gap
    regret = window_regret(
        chosen=floats(3, 1.25, 2.05, NAN, 1), best=floats(2, 1, 2, 0, NAN), mean=floats(6, 1.5, 2.05, 9, 9)
    )
    assert regret.macro == pytest.approx((1 / 4 + 0.25 / 0.5) / 2)
    assert regret.macro_ge_1 == pytest.approx(1 / 4)
    assert regret.pooled == pytest.approx((1 + 0.25 + 0.05) / (4 + 0.5 + 0.05))
    assert regret.vm_days == 2


def test_regret_is_zero_for_the_oracle_and_one_for_the_days_mean() -> None:
    best, mean = floats(0, 5, 10), floats(4, 8, 30)
    assert window_regret(best, best, mean)[:3] == (0.0, 0.0, 0.0)
    assert window_regret(mean, best, mean)[:3] == (1.0, 1.0, 1.0)


def test_regret_of_idle_vms_is_nan_not_a_division_by_zero() -> None:
    regret = window_regret(floats(0, 0), floats(0, 0), floats(0, 0))
    assert np.isnan(regret[:3]).all()
    assert regret.vm_days == 0


def test_hit_rate_by_hand() -> None:
    candidates = np.tile(np.arange(20.0), (4, 1))
    candidates[3, 7] = NAN
    # 0 and 1 are the quietest tenth of twenty; 2 has exactly a tenth quieter; the last day has a gap
    assert hit_rate(floats(0, 1, 2, 0), candidates) == pytest.approx(2 / 3)


def test_any_choice_hits_on_a_flat_day_and_no_day_gives_nan() -> None:
    assert hit_rate(floats(0.0), np.zeros((1, 50))) == 1.0
    assert math.isnan(hit_rate(floats(NAN), np.zeros((1, 50))))


def test_hit_rate_refuses_another_number_of_days() -> None:
    with pytest.raises(BadInput, match="candidates"):
        hit_rate(floats(1, 2), np.zeros((3, 50)))
