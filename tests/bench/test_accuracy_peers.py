"""The forecasting peers keep the contract of their files and make sense. Their environment is built by a bench."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bench import accuracy_peers
from tests.bench.accuracy_peers import GLOBAL, LOCAL, Answered, Question

VMS, HOURS, TRAIN_END = 6, 24 * 24, 20 * 24
START_MIN = 22_880_160  # 2013-07-03 00:00 UTC
ORIGINS = np.array([TRAIN_END, TRAIN_END + 29])


def daily(vms: int = VMS, hours: int = HOURS) -> NDArray[np.float32]:
    """VMs with a day of their own each, and some noise."""
    random, hour = np.random.default_rng(7), np.arange(hours)
    level, phase = random.uniform(10, 60, (vms, 1)), random.uniform(0, 24, (vms, 1))
    day = np.sin(2 * np.pi * (hour + phase) / 24)
    cpu: NDArray[np.float32] = (level + 8 * day + random.normal(0, 0.5, (vms, hours))).astype(np.float32)
    return cpu


def question(hours: NDArray[np.float32]) -> Question:
    rows = np.arange(len(hours))
    return Question(hours, START_MIN, TRAIN_END, ORIGINS, 24, rows[:1], rows, past_h=192)


def truth(asked: Question) -> NDArray[np.float32]:
    return np.stack([asked.hours[:, origin : origin + asked.horizon] for origin in asked.origins])


@pytest.fixture(scope="module", autouse=True)
def environment() -> None:
    """The environment where a benchmark has built it: half a gigabyte is not fetched for a test."""
    if not accuracy_peers.HOME.is_built():
        pytest.skip("no peers under data/peers: `.venv/bin/python -m tests.bench.accuracy_peers` builds them")


@pytest.fixture(scope="module")
def answers() -> dict[str, Answered]:
    return accuracy_peers.forecasts(question(daily()), [*GLOBAL, *LOCAL], threads=1)


@pytest.mark.parametrize("peer", [*GLOBAL, *LOCAL])
def test_each_peer_knows_the_day_better_than_its_mean(answers: dict[str, Answered], peer: str) -> None:
    asked = question(daily())
    expected, got = truth(asked), answers[peer].predictions
    said = ~np.isnan(got)
    assert said[:, asked.sample].all()
    mean = np.broadcast_to(asked.hours[:, :TRAIN_END].mean(1)[None, :, None], got.shape)
    assert np.abs(got - expected)[said].mean() < 0.5 * np.abs(mean - expected)[said].mean()


def test_the_files_hold_what_is_said_of_them(answers: dict[str, Answered]) -> None:
    assert answers.keys() == {*GLOBAL, *LOCAL}
    for peer, answer in answers.items():
        assert answer.predictions.shape == (len(ORIGINS), VMS, 24)
        assert answer.predictions.dtype == np.float32
        assert answer.series == (VMS if peer in GLOBAL else 1)
        assert (answer.train_s > 0) == (peer in GLOBAL)
        assert answer.infer_s_per_10k > 0
        assert np.isnan(answer.predictions).any() == (peer in LOCAL)  # those answer for their sample only


@pytest.mark.slow
def test_gaps_and_a_late_start_get_numbers_and_nothing_gets_nan() -> None:
    hours = daily()
    hours[np.random.default_rng(1).random(hours.shape) < 0.3] = np.nan
    hours[1, : ORIGINS[0] - 30] = np.nan
    hours[2] = np.nan
    hours[3] = 0.0
    found = accuracy_peers.forecasts(
        question(hours), ["lightgbm_l2", "xgboost_l2_scaled", "lightgbm_l1_diff24", "mstl"], 1
    )
    for peer in found.keys() & {*GLOBAL}:
        finite = np.isfinite(found[peer].predictions).all((0, 2))
        assert finite.tolist() == [True, True, False, True, True, True]
    assert np.isfinite(found["mstl"].predictions[:, :1]).all()


@pytest.mark.slow
def test_what_comes_after_an_origin_and_before_the_past_changes_nothing() -> None:
    asked = question(daily())._replace(past_h=72, origins=ORIGINS[:1])
    other = asked.hours.copy()
    other[:, ORIGINS[0] :] = 99.0
    peers = ["lightgbm_l1_scaled", "auto_ets"]
    found, again = (accuracy_peers.forecasts(q, peers, 1) for q in (asked, asked._replace(hours=other)))
    for peer in peers:
        np.testing.assert_array_equal(found[peer].predictions, again[peer].predictions)


@pytest.mark.slow
def test_a_series_is_scaled_by_its_own_past_also_where_it_was_never_trained_on() -> None:
    hours = daily()
    hours[5] = 3 * hours[4] + 7
    asked = question(hours)._replace(train_vms=np.arange(5))
    said = accuracy_peers.forecasts(asked, ["xgboost_l2_scaled"], 1)["xgboost_l2_scaled"].predictions
    np.testing.assert_allclose(said[:, 5], 3 * said[:, 4] + 7, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("past_h", "silent"), [(12, {"xgboost_l2_diff24", "mstl"}), (72, set())])
def test_a_short_past_is_enough_for_those_that_can_bear_it(past_h: int, silent: set[str]) -> None:
    hours = daily(vms=60, hours=past_h + 24)
    rows = np.arange(len(hours))
    asked = Question(hours, START_MIN, past_h + 24, np.array([past_h]), 12, rows[:2], rows)
    peers = ["lightgbm_l2", "lightgbm_l1_scaled", "xgboost_l2_diff24", *LOCAL]
    found = accuracy_peers.forecasts(asked, peers, 1)
    assert {peer for peer in peers if np.isnan(found[peer].predictions).all()} == silent
    for peer in {*GLOBAL} & found.keys() - silent:
        assert np.isfinite(found[peer].predictions).all()
