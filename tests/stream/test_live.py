"""Forecasting and judging in turn: what was judged moves the next P90, each hour that closes judges what is due."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.calibration import DEFAULT, Calibration
from models.conformal import CELLS
from models.errors import StoreError
from models.forecast import HOURS, Forecaster, History, Prediction, Rung
from models.minutes import HOUR_MIN, Clock, Minute
from stream.champion import Champion
from stream.clock import write_clock
from stream.forecasting import Outcome
from stream.ingest import Ingest
from stream.live import Fleet, follow
from stream.runs import judge_after
from stream.settings import Settings
from stream.stores.judgements import JudgedRun, keep_judged, read_judged
from stream.stores.open import Stores
from tests.stream.judged_fleet import FIRST, MODEL, log_yesterday
from tests.stream.small_fleet import END, NOW, fill


class Flat:
    """50 %, at most 60 %; the champion says nothing of the first VM."""

    def __init__(self, name: str, rung: Rung) -> None:
        self.name, self.rung = name, rung

    def predict(self, history: History) -> Prediction:
        loads = np.full((len(history.mean), HOURS), 50, dtype=np.float32)
        loads[:1] = np.nan if self.rung == Rung.CHAMPION else 50
        return Prediction(loads, loads.copy(), loads + 10, loads.copy())


class Fixed(Champion):
    """A champion that needs no registry."""

    def __init__(self) -> None:
        self.failing = False

    def in_force(self) -> tuple[list[Forecaster], str]:
        return [Flat(MODEL, Rung.CHAMPION), Flat("low", Rung.HOUR_OF_DAY)], MODEL

    def calibration(self, model: str) -> Calibration:  # noqa: ARG002 (the same for all)
        if self.failing:
            raise StoreError("registry", expected="an answer", got="none", remedy="Wait.")
        return DEFAULT


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    stores = fill(tmp_path)
    write_clock(stores.control, Clock(0.0, float(NOW), 0.0))
    yield stores
    stores.close()


@pytest.fixture
def fleet(stores: Stores) -> Fleet:
    return Fleet(stores, Fixed(), Settings())


def p90s(fleet: Fleet, rung: Rung) -> npt.NDArray[np.uint16]:
    fleet.forecast(NOW)
    rows = list(fleet.stores.forecasts.latest())
    records = np.concatenate([row.records for row in rows])
    found: npt.NDArray[np.uint16] = np.unique(records["p90"][records["rung"] == rung])
    return found


def test_what_was_judged_moves_the_champions_p90_and_no_other_rungs(fleet: Fleet) -> None:
    assert p90s(fleet, Rung.CHAMPION).tolist() == [6000]
    assert p90s(fleet, Rung.HOUR_OF_DAY).tolist() == [6000]
    keep_judged(fleet.stores.control, JudgedRun(FIRST, NOW, 10, (), {MODEL: [0.25] * CELLS}))
    assert p90s(fleet, Rung.CHAMPION).tolist() == [6250]
    assert p90s(fleet, Rung.HOUR_OF_DAY).tolist() == [6000]
    keep_judged(fleet.stores.control, JudgedRun(FIRST + 60, NOW, 10, (), {MODEL: [-0.5] * CELLS}))
    assert p90s(fleet, Rung.CHAMPION).tolist() == [5500]


def test_the_shift_of_another_model_is_left(fleet: Fleet) -> None:
    keep_judged(fleet.stores.control, JudgedRun(FIRST, NOW, 10, (), {"set-00000001": [0.25] * CELLS}))
    assert p90s(fleet, Rung.CHAMPION).tolist() == [6000]


class Hours(Ingest):
    """An ingest in which an hour closes at each step, three times; then it is interrupted."""

    def __init__(self) -> None:
        self.left = 3

    @property
    def behind(self) -> bool:
        return True

    def step(self) -> list[Minute]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return [END - HOUR_MIN]


def test_the_live_loop_judges_when_an_hour_has_closed_and_each_run_once(fleet: Fleet) -> None:
    log_yesterday(fleet.stores)
    told: list[Outcome] = []
    with pytest.raises(KeyboardInterrupt):
        follow(Hours(), fleet, told.append)
    assert len(told) == 3
    assert [run.first_minute for run in read_judged(fleet.stores.control)] == [FIRST]


def test_a_worker_judges_after_its_run_and_where_it_cannot_the_next_run_does(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    log_yesterday(fleet.stores)
    champion = fleet.champion
    assert isinstance(champion, Fixed)
    champion.failing = True
    with caplog.at_level(logging.INFO):
        judge_after(fleet, END)
    assert "not judged yet: registry" in caplog.text
    assert read_judged(fleet.stores.control) == []
    champion.failing = False
    with caplog.at_level(logging.INFO):
        judge_after(fleet, END)
        judge_after(fleet, END)
    assert caplog.text.count("judged 1 runs") == 1
    assert [run.first_minute for run in read_judged(fleet.stores.control)] == [FIRST]


def test_the_last_settled_hour_is_one_that_is_logged_and_whose_day_is_over(fleet: Fleet) -> None:
    assert fleet.last_settled_hour(NOW) == FIRST
    due = FIRST + 24 * HOUR_MIN + 36  # made 3 minutes after, settled 33 minutes after its day
    assert fleet.last_settled_hour(due) == FIRST
    assert fleet.last_settled_hour(due - 1) == FIRST - 6 * HOUR_MIN
