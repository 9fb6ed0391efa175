"""Verdicts on hand-made days: exact regrets, gaps, idle VMs, refusals, confidence, and their sum by rung."""

from __future__ import annotations

from math import isnan

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import DEFAULT, QUANTILES
from models.forecast import FORECAST_DTYPE, HOURS, NO_START, STARTS, Rung
from models.judge import Standing, Terms, Verdicts, judge, summarize, under_p90, window_loads, window_weights
from tests.models.given import table_of

DAY = 288
Floats = npt.NDArray[np.float32]


def record(best: int, p50: float = 20.0, p90: float = 30.0, rung: Rung = Rung.CHAMPION) -> npt.NDArray[np.void]:
    """One record, flat at these loads, whose window starts at step `best`."""
    one = np.zeros(1, FORECAST_DTYPE)
    one["mean"], one["p50"], one["p90"] = p50 * 100, p50 * 100, p90 * 100
    one["best"], one["rung"] = best, rung
    return one


def day(load: float = 20.0, **steps: float) -> Floats:
    """26 hours at `load` but for some steps: `s12=5.0` is 5 % in step 12."""
    five_min = np.full((1, STARTS), load, np.float32)
    for name, value in steps.items():
        five_min[0, int(name[1:])] = value
    return five_min


def offered(first: int = 0, last: int = DAY - 2) -> npt.NDArray[np.bool_]:
    """Starts from first to last, both among them."""
    starts = np.arange(STARTS)
    return ((starts >= first) & (starts <= last))[None]


def judged(
    records: npt.NDArray[np.void],
    five_min: Floats,
    allowed: npt.NDArray[np.bool_] | None = None,
    max_load_pct: float = 80.0,
    minutes: int = 10,
) -> Verdicts:
    hourly = five_min.reshape(len(five_min), HOURS, 12).mean(axis=2)
    allowed = np.repeat(offered() if allowed is None else allowed, len(records) if allowed is None else 1, axis=0)
    terms = Terms(minutes, allowed, np.full(len(records), max_load_pct), DEFAULT)
    return judge(records, five_min, hourly, terms)


def standing(verdicts: Verdicts) -> Standing:
    (one,) = summarize([verdicts])
    return one


def test_the_quietest_window_has_no_regret_and_one_at_the_mean_has_one() -> None:
    mean = 20.0 - 2 * 10.0 / DAY
    five_min = day(s100=10.0, s101=10.0, s7=mean, s8=2 * 20.0 - mean)  # the last two keep the day's mean
    for best, load, regret in ((100, 10.0, 0.0), (50, 20.0, 10.0 / (mean - 10.0))):
        verdicts = judged(record(best), five_min)
        assert (verdicts.chosen[0], verdicts.best[0], verdicts.best_start[0]) == (load, 10.0, 100)
        assert verdicts.mean[0] == pytest.approx(mean, rel=1e-6)
        assert standing(verdicts).regret_macro == pytest.approx(regret, rel=1e-5)
        assert standing(verdicts).vm_days == 1
    halves = day(30.0, s10=20.0, s11=20.0, s12=40.0, s13=40.0)
    halves[0, DAY // 2 :] = 10.0
    assert standing(judged(record(10), halves)).regret_macro == pytest.approx(1.0)


def test_pooled_regret_is_sum_over_sum_and_macro_the_mean() -> None:
    five_min = np.concatenate([day(s100=0.0, s101=0.0), day(2.0, s100=0.0, s101=0.0)])
    verdicts = judged(np.concatenate([record(100), record(50)]), five_min)
    rooms = [20.0 * (1 - 2 / DAY), 2.0 * (1 - 2 / DAY)]
    one = standing(verdicts)
    assert one.regret_macro == pytest.approx((0 + 2.0 / rooms[1]) / 2, rel=1e-5)
    assert one.regret_pooled == pytest.approx(2.0 / sum(rooms), rel=1e-5)


def test_only_what_was_offered_is_a_rival_and_the_days_mean_is_its_own() -> None:
    five_min = day(s3=0.0, s4=0.0, s290=0.0, s291=0.0)
    verdicts = judged(record(50), five_min, offered(first=10))
    assert (verdicts.best[0], verdicts.mean[0]) == (20.0, 20.0)
    assert isnan(standing(verdicts).regret_macro)  # flat where it could be
    assert standing(verdicts).vm_days == 0


def test_an_idle_vm_is_judged_and_0_is_no_gap() -> None:
    one = standing(judged(record(50, p50=0.0, p90=0.0), day(0.0)))
    assert (one.vms, one.vm_days, one.interval_coverage, one.mae_pct) == (1, 0, 1.0, 0.0)
    assert one.confidence_observed == 1.0


def test_a_gap_in_the_chosen_window_leaves_the_window_out_and_keeps_the_hours() -> None:
    verdicts = judged(record(50), day(s51=np.nan))
    assert isnan(verdicts.chosen[0])
    assert isnan(verdicts.said[0])
    assert isnan(verdicts.kept[0])
    assert verdicts.best_start[0] == NO_START
    assert (verdicts.hours[0], verdicts.under[0]) == (23, 23)
    assert isnan(standing(verdicts).confidence_said)


def test_a_gap_elsewhere_is_no_rival_and_counts_while_95_percent_came() -> None:
    five_min = day(s100=0.0, s101=np.nan, s200=10.0, s201=10.0)
    assert judged(record(50), five_min).best[0] == 10.0
    for missing, counts in ((14, True), (15, False)):
        five_min = day(s200=10.0, s201=10.0)
        five_min[0, 60 : 60 + missing] = np.nan
        verdicts = judged(record(50), five_min)
        assert isnan(verdicts.chosen[0]) != counts
        assert not isnan(verdicts.kept[0])  # the window itself is known


def test_refused_records_do_not_count() -> None:
    records = np.concatenate([record(NO_START, rung=Rung.REFUSED), record(100)])
    verdicts = judged(records, np.repeat(day(s100=1.0, s101=1.0), 2, axis=0))
    assert (verdicts.hours[0], isnan(verdicts.chosen[0]), isnan(verdicts.promised[0])) == (0, True, True)
    assert [(one.rung, one.vms) for one in summarize([verdicts])] == [(Rung.CHAMPION, 1)]


def test_one_that_opted_out_has_its_hours_judged_and_no_window() -> None:
    one = standing(judged(record(NO_START), day()))
    assert (one.vms, one.vm_days, one.interval_coverage) == (1, 0, 1.0)
    assert isnan(one.confidence_observed)


def test_a_truth_at_the_p90_is_covered_to_the_hundredth() -> None:
    hourly = np.full((1, HOURS), 30.0, np.float32)
    hourly[0, :3] = 30.01, 30.004, np.nan
    below = under_p90(record(0), hourly)
    assert below.shape == (1, 24)
    np.testing.assert_array_equal(below[0, :4], [0.0, 1.0, np.nan, 1.0])


def test_hours_beyond_the_first_day_are_not_judged() -> None:
    five_min = day()
    five_min[0, DAY:] = 99.0
    one = standing(judged(record(50, p50=21.0), five_min))
    assert one.interval_coverage == 1.0
    assert one.mae_pct == pytest.approx(1.0)


def test_confidence_is_what_the_calibration_says_of_the_window_and_other_rungs_have_the_default() -> None:
    sure = table_of(np.linspace(-9, 0, QUANTILES))
    records = np.concatenate([record(50), record(50, rung=Rung.HOUR_OF_DAY)])
    five_min = np.repeat(day(), 2, axis=0)
    terms = Terms(10, np.repeat(offered(), 2, axis=0), np.array([20.0, 30.0]), sure)
    verdicts = judge(records, five_min, five_min.reshape(2, HOURS, 12).mean(axis=2), terms)
    assert verdicts.said == pytest.approx([65 / 66, 0.9], abs=0.005)
    assert verdicts.kept.tolist() == [1.0, 1.0]
    terms = terms._replace(max_load_pct=np.array([19.9, 30.0]))
    verdicts = judge(records, five_min, five_min.reshape(2, HOURS, 12).mean(axis=2), terms)
    assert verdicts.kept.tolist() == [0.0, 1.0]


def test_the_promise_follows_the_minutes_inside_the_hour() -> None:
    one = record(11)
    one["inside"][0, 11], one["inside"][0, 0], one["scale"] = 127, -127, 4.0
    one["mean"][0, 1] = 4000
    assert judged(one, day()).promised[0] == pytest.approx((24.0 + 36.0) / 2)
    one["scale"] = np.nan
    assert judged(one, day()).promised[0] == pytest.approx((20.0 + 40.0) / 2)


@pytest.mark.parametrize("minutes", [10, 12, 15])
def test_a_window_takes_its_share_of_the_last_step(minutes: int) -> None:
    weights = window_weights(minutes)
    assert weights.sum() == pytest.approx(1.0)
    assert window_loads(day(10.0, s100=0.0), weights)[0, 100] == pytest.approx((minutes - 5) * 10.0 / minutes)
    ends = np.isnan(window_loads(day(), weights)[0, -len(weights) :])
    assert ends.tolist() == [False] + [True] * (len(weights) - 1)


def test_nobody_is_nothing() -> None:
    none = np.zeros(0, FORECAST_DTYPE)
    verdicts = judged(none, np.zeros((0, STARTS), np.float32), np.zeros((0, STARTS), np.bool_))
    assert summarize([verdicts]) == []
    assert summarize([]) == []


@given(st.lists(st.sampled_from([np.nan, 0.0, 1.0, 7.5, 100.0]), min_size=24, max_size=24), st.integers(0, DAY - 2))
def test_no_window_beats_the_best_and_blocks_add_up(hours: list[float], best: int) -> None:
    five_min = np.repeat(np.array([[*hours, 3.0, 3.0]], np.float32), 12, axis=1)
    verdicts = judged(record(best), five_min)
    assert isnan(verdicts.chosen[0]) or verdicts.chosen[0] >= verdicts.best[0]
    both = summarize([verdicts, verdicts])
    for one, two in zip(summarize([verdicts]), both, strict=True):
        assert two.vms == 2 * one.vms
        assert two[3:] == pytest.approx(one[3:], nan_ok=True)
