"""The regret to expect of a window by what it promises, and the file that keeps a calibration."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.calibration import (
    BINS,
    DEFAULT,
    LENGTHS_MIN,
    QUANTILES,
    Calibration,
    Chosen,
    Doubles,
    expected_regret,
    fit,
    from_json,
    hope_of,
    to_json,
)
from models.errors import SetError
from models.sureness import KNOTS
from tests.models.given import chosen_of

RATIO = np.zeros(800)


def measured(hope: Doubles, regret: Doubles) -> Calibration:
    return fit({10: Chosen(RATIO, hope, regret)})


def test_hope_is_what_a_window_promises_in_the_records_own_spreads() -> None:
    assert hope_of(4.0, 10.0, 2.0) == 3.0
    assert hope_of(12.0, 10.0, 2.0) == -1.0
    assert hope_of(np.array([9.9, math.nan]), 10.0, 0.0)[0] == pytest.approx(1.0)  # a spread of at least 0.1 point


def test_the_table_has_the_mean_regret_of_equal_shares_by_hope() -> None:
    hope = np.arange(800.0)
    table = measured(hope, 1.0 - hope // 100 / 10)
    assert table.hope[0] == pytest.approx(np.arange(49.5, 800, 100))
    assert table.regret[0] == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    assert expected_regret(table, 49.5, 10) == pytest.approx(1.0)
    assert expected_regret(table, 99.5, 10) == pytest.approx(0.95)
    assert expected_regret(table, np.array([-5.0, 5000.0]), 120) == pytest.approx([1.0, 0.3])


def test_neighbours_in_the_wrong_order_share_their_mean() -> None:
    hope = np.arange(800.0)
    rising = np.array([0.9, 0.5, 0.7, 0.6, 0.3, 0.4, 0.2, 0.1])[(hope // 100).astype(int)]
    assert measured(hope, rising).regret[0] == pytest.approx([0.9, 0.6, 0.6, 0.6, 0.35, 0.35, 0.2, 0.1])


def test_windows_without_hope_or_regret_are_left_out() -> None:
    hope, regret = np.arange(800.0), np.full(800, 0.4)
    hope[::2], regret[1::4] = math.nan, math.nan
    assert measured(hope, regret).regret[0] == pytest.approx(np.full(BINS, 0.4))


def test_too_few_windows_with_a_regret_say_nothing() -> None:
    regret = np.full(800, math.nan)
    regret[: BINS - 1] = 0.5
    assert math.isnan(expected_regret(measured(np.arange(800.0), regret), 3.0, 10))
    assert np.isnan(expected_regret(DEFAULT, np.array([1.0, 2.0]), 30)).tolist() == [True, True]


def test_a_length_that_says_nothing_does_not_silence_the_one_below() -> None:
    known = Chosen(RATIO, np.arange(800.0), np.full(800, 0.5))
    table = fit({10: known, 30: chosen_of(RATIO), 60: known})
    said = [float(expected_regret(table, 3.0, minutes)) for minutes in (10, 20, 30, 60, 90)]
    assert [math.isnan(regret) for regret in said] == [False, True, True, False, False]


numbers = arrays(np.float64, 800, elements=st.floats(-10, 10))


@given(numbers, numbers, st.tuples(st.floats(-30, 30), st.floats(-30, 30)))
def test_who_promises_more_is_never_expected_to_regret_more(
    hope: Doubles, regret: Doubles, hopes: tuple[float, float]
) -> None:
    table = measured(hope, regret)
    less, more = (float(expected_regret(table, one, 10)) for one in sorted(hopes))
    assert more <= less + 1e-9
    assert regret.min() - 1e-5 <= more


def test_json_gives_the_same_bits_back() -> None:
    rng = np.random.default_rng(4)
    lengths = {10: rng.normal(size=500), 120: rng.gamma(2.0, size=500)}
    calibration = fit({length: Chosen(ratio, ratio, -ratio) for length, ratio in lengths.items()})
    again = from_json(to_json(calibration))
    assert again.lengths_min == calibration.lengths_min
    for name in ("quantiles", "hope", "regret", "sure"):
        assert getattr(again, name).dtype == np.float32
        assert getattr(again, name).tobytes() == getattr(calibration, name).tobytes()


def test_a_table_without_regrets_comes_back_without_them() -> None:
    assert from_json(to_json(DEFAULT)).hope.shape == (len(LENGTHS_MIN), 0)
    known = fit({10: chosen_of(RATIO)})
    assert np.isnan(from_json(to_json(known)).regret).all()


ROW, HOPE = list(range(QUANTILES)), list(range(BINS))
SURE = [k / (KNOTS - 1) for k in range(KNOTS)]
GOOD: dict[str, list[Any]] = {
    "lengths_min": [10],
    "quantiles": [ROW],
    "hope": [HOPE],
    "regret": [HOPE[::-1]],
    "sure": [SURE],
}


def test_what_the_broken_ones_are_made_from_is_whole() -> None:
    assert from_json(json.dumps(GOOD).encode()).lengths_min == (10,)


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        "{}",
        json.dumps({"lengths_min": [10], "quantiles": [ROW]}),
        json.dumps(GOOD | {"lengths_min": [], "quantiles": []}),
        json.dumps(GOOD | {"quantiles": [ROW[:-1]]}),
        json.dumps(GOOD | {"lengths_min": [10, 30]}),
        json.dumps({name: 2 * rows for name, rows in GOOD.items()} | {"lengths_min": [30, 10]}),
        json.dumps(GOOD | {"quantiles": [ROW[::-1]]}),
        json.dumps(GOOD | {"quantiles": [[*ROW[:-1], math.nan]]}),
        json.dumps(GOOD | {"lengths_min": [math.inf]}),
        json.dumps(GOOD | {"quantiles": [["x"] * QUANTILES]}),
        json.dumps(GOOD | {"hope": [HOPE[::-1]]}),
        json.dumps(GOOD | {"hope": [[*HOPE[:-1], math.nan]]}),
        json.dumps(GOOD | {"hope": [HOPE[:-1]], "regret": [HOPE[:-1]]}),
        json.dumps(GOOD | {"regret": [HOPE, HOPE]}),
        json.dumps(GOOD | {"regret": []}),
        json.dumps(GOOD | {"sure": [SURE[:-1]]}),
        json.dumps(GOOD | {"sure": [SURE[::-1]]}),
        json.dumps(GOOD | {"sure": [[*SURE[:-1], 1.5]]}),
    ],
)
def test_a_broken_table_is_refused(body: str) -> None:
    with pytest.raises(SetError, match="Train the set again"):
        from_json(body.encode())
