"""The fallback ladder: each VM gets the highest rung that has enough to go by, or a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.forecast import HISTORY_HOURS, HOURS, History, Prediction, Reason, Rung
from models.ladder import climb, state_of
from tests.models.given import history_of

END = 60 * 10_000
NOW = END + 5


class Fixed:
    """Says the same load for every VM."""

    def __init__(self, rung: Rung, load: float) -> None:
        self.name, self.rung, self._load = rung.name, rung, load

    def predict(self, history: History) -> Prediction:
        loads = np.full((len(history.mean), HOURS), self._load, dtype=np.float32)
        return Prediction(loads, loads, loads, loads)


LADDER = [Fixed(Rung.CHAMPION, 3), Fixed(Rung.HOUR_OF_DAY, 2), Fixed(Rung.KIND, 1)]


def counted(*counts: list[int], interval_min: int = 1) -> History:
    """VMs with these counts in their last hours, none before."""
    count = np.zeros((len(counts), HISTORY_HOURS), dtype=np.uint8)
    for row, last in enumerate(counts):
        count[row, HISTORY_HOURS - len(last) :] = last
    known = history_of(np.where(count > 0, 5.0, np.nan), end=END)
    return replace(known, count=count, interval_min=np.full(len(counts), interval_min, dtype=np.uint8))


def climbed(history: History, ladder: list[Fixed] | None = None, now: int = NOW) -> list[tuple[str, str, float]]:
    served = climb(history, LADDER if ladder is None else ladder, state_of(history), now, stale_after_min=180)
    loads = served.prediction.mean[:, 0].tolist()
    return [
        (Rung(r).name, Reason(why).name, load) for r, why, load in zip(served.rung, served.reason, loads, strict=True)
    ]


def test_each_vm_gets_the_highest_rung_it_can_bear() -> None:
    found = climbed(counted([60] * 72, [60] * 71, [60] * 24, [60] * 23, [60]))
    assert found == [
        ("CHAMPION", "NONE", 3.0),
        ("HOUR_OF_DAY", "SHORT_HISTORY", 2.0),
        ("HOUR_OF_DAY", "SHORT_HISTORY", 2.0),
        ("KIND", "SHORT_HISTORY", 1.0),
        ("KIND", "SHORT_HISTORY", 1.0),
    ]


def test_refusals_have_their_reason() -> None:
    stale, sparse = [60] * 100 + [0] * 4, [3] * 168
    found = climbed(counted([], stale, sparse))
    assert [(rung, reason) for rung, reason, _ in found] == [
        ("REFUSED", "NO_DATA"),
        ("REFUSED", "STALE"),
        ("REFUSED", "GAPS"),
    ]
    assert all(np.isnan(load) for *_, load in found)


def test_staleness_is_the_clocks() -> None:
    history = counted([60] * 100)
    assert climbed(history, now=END + 180)[0][0] == "CHAMPION"
    assert climbed(history, now=END + 181)[0][:2] == ("REFUSED", "STALE")


def test_half_of_the_samples_are_enough_for_hour_of_day_only_below_it() -> None:
    assert climbed(counted([30] * 168))[0][0] == "CHAMPION"
    assert climbed(counted([29] * 168))[0][:2] == ("HOUR_OF_DAY", "GAPS")


def test_without_a_champion_it_is_missed_by_name() -> None:
    assert climbed(counted([60] * 100), LADDER[1:])[0][:2] == ("HOUR_OF_DAY", "MODEL_MISSING")


def test_coverage_is_of_the_declared_interval_and_of_the_vms_own_time() -> None:
    state = state_of(counted([12] * 10, [12] * 168, [6] * 168, interval_min=5))
    assert state.coverage.tolist() == [1.0, 1.0, 0.5]
    assert state.hours.tolist() == [10, 168, 168]
    assert state.data_through.tolist() == [END, END, END]


def test_data_through_is_the_end_of_the_newest_hour() -> None:
    assert state_of(counted([60, 60, 0, 0], [])).data_through.tolist() == [END - 120, -1]
