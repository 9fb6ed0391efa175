"""What is stored of a VM: hours in 0.01 %, the inside of an hour, quietness; no neighbour is spoiled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.baseline import HourOfDay, KindProfile
from models.forecast import FORECAST_DTYPE, HOURS, NO_START, History, Prediction, Reason, Rung
from models.ladder import Served, State, climb, state_of
from models.records import mean_and_spread, pack
from tests.models.given import END, Floats, history_of, rhythm
from tests.models.windows_given import hours, record_of

NAN = np.nan


def served(*loads: Floats, spread: float = 2.0, rung: Rung = Rung.CHAMPION) -> tuple[History, State, Served]:
    """VMs with these hourly forecasts, mean and rank alike."""
    mean = np.stack(loads)
    history = history_of(np.full((len(loads), 48), 5.0))
    rungs = np.where(np.isnan(mean[:, 0]), Rung.REFUSED, rung).astype(np.uint8)
    said = Prediction(mean, mean.copy(), mean + np.float32(spread), mean.copy())
    return history, state_of(history), Served(said, rungs, np.zeros(len(loads), np.uint8))


def test_hours_are_stored_in_hundredths_of_a_percent() -> None:
    history, state, said = served(hours(12.344, 0.0, 100.0))
    (record,) = pack(history, state, said)
    assert record["mean"][:3].tolist() == [1234, 0, 10_000]
    assert record["p90"][:3].tolist() == [1434, 200, 10_200]
    assert (record["rung"], record["reason"], record["best"]) == (Rung.CHAMPION, Reason.NONE, NO_START)
    assert (record["data_through"], record["coverage"]) == (END, 200)
    assert record.dtype == FORECAST_DTYPE


def test_the_rank_says_what_is_quiet_and_the_mean_what_is_expected() -> None:
    history, state, said = served(hours(10, 5, 10))
    rank = said.prediction.rank.copy()
    rank[0, 7] = -3.0
    (record,) = pack(history, state, replace(said, prediction=said.prediction._replace(rank=rank)))
    assert record["quiet"].argmax() == 7 * 12
    assert record["mean"].argmin() == 1


def test_the_inside_of_an_hour_is_stored_and_bends_the_quietness() -> None:
    history, state, said = served(hours(10, 8, 10))
    spike = np.tile(np.array([127, *[-11] * 11], np.int8), 24)[None]
    history = replace(history, shape=spike, scale=np.full((1, 24), 6.0, np.float32))
    (record,) = pack(history, state, said)
    assert record["scale"] == pytest.approx(6.0, rel=1e-3)
    assert record["inside"].tolist() == spike[0, :12].tolist()
    assert record["quiet"][12] < record["quiet"][13] == 255
    assert record["quiet"][0::12].max() < record["quiet"][1::12].min()


def test_who_is_refused_has_no_quiet_step_and_no_number() -> None:
    history, state, said = served(hours(10), hours(NAN))
    record = pack(history, state, said)[1]
    assert record["rung"] == Rung.REFUSED
    assert not record["quiet"].any()
    assert not record["mean"].any()


def test_loads_over_what_fits_are_cut_and_nothing_under_zero_is_stored() -> None:
    history, state, said = served(hours(900.0, -3.0))
    (record,) = pack(history, state, said)
    assert record["mean"][:2].tolist() == [NO_START - 1, 0]


def packed(mean: Floats) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    history = history_of(mean)
    state = state_of(history)
    return pack(history, state, climb(history, [HourOfDay(), KindProfile()], state, END, 180))


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_an_infinity_is_a_gap_and_changes_no_byte_of_a_neighbour(bad: float) -> None:
    mean = rhythm(200, 336, seed=3)
    whole = packed(mean)
    mean[77, ::5], other = bad, mean.copy()
    other[77, ::5] = NAN
    here, there = packed(mean), packed(other)
    rest = np.delete(np.arange(200), 77)
    assert here[rest].tobytes() == there[rest].tobytes() == whole[rest].tobytes()
    assert here[77]["mean"].tolist() == there[77]["mean"].tolist()
    assert np.isfinite(here["scale"]).all()


def test_the_records_mean_and_spread_are_the_same_of_one_and_of_many() -> None:
    level = np.arange(HOURS, dtype=np.float32)
    one = record_of(level, spread=3.0)
    mean, spread = mean_and_spread(one)
    assert (mean, spread) == pytest.approx((12.5, 3.0))
    many = mean_and_spread(np.array([one, record_of(level + 1, spread=0.0)]))
    assert many[0] == pytest.approx([12.5, 13.5])
    assert many[1] == pytest.approx([3.0, 0.0])
