"""The plain XGBoost: learns a rhythm, stays within bounds, says nothing where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from xgboost import Booster

from batch.dataset import fit_days, origins_of
from models.effort import Effort
from models.forecast import HOURS, slice_history
from models.hour_features import HOUR_FEATURES
from models.score import mae
from models.xgb_plain import RAW, forecast, train
from tests.models.given import END, history_of, rhythm

LOAD = rhythm(30, 24 * 12, seed=4)
KNOWN = slice_history(history_of(LOAD), END - HOURS * 60)


def learned() -> Booster:
    return train(fit_days(KNOWN, origins_of(KNOWN).fit, 400, seed=1).lessons, Effort())


@pytest.fixture(scope="module")
def booster() -> Booster:
    return learned()


def test_it_sees_percentages_and_the_calendar_only() -> None:
    assert all(HOUR_FEATURES[k].endswith(("_pct", "_h", "_weekday")) for k in RAW)
    assert "after_best_h" not in {HOUR_FEATURES[k] for k in RAW}


def test_it_learns_a_rhythm(booster: Booster) -> None:
    truth = LOAD[:, -HOURS:]
    said = forecast(booster, KNOWN)
    flat = np.repeat(KNOWN.mean.mean(axis=1, keepdims=True), HOURS, axis=1)
    assert mae(said, truth) < 0.6 * mae(flat, truth)
    assert said.dtype == np.float32
    assert said.min() >= 0
    assert said.max() <= 100


def test_of_a_vm_without_a_known_hour_it_says_nothing_and_its_neighbours_stay_as_they_are(booster: Booster) -> None:
    load = LOAD[:3].copy()
    load[1] = np.nan
    said = forecast(booster, history_of(load))
    assert np.isnan(said[1]).all()
    np.testing.assert_array_equal(said[[0, 2]], forecast(booster, history_of(LOAD[:3]))[[0, 2]])


def test_no_vm_at_all_is_no_error(booster: Booster) -> None:
    assert forecast(booster, history_of(np.empty((0, 336)))).shape == (0, HOURS)


def test_training_twice_gives_the_same_trees(booster: Booster) -> None:
    assert learned().save_raw("ubj") == booster.save_raw("ubj")
