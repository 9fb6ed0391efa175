"""How sure chosen windows are and what regret to expect of them: of known loads and a known forecast."""

from __future__ import annotations

import numpy as np
import pytest

from batch.rolling import asked_at, served, starts_of
from batch.windows import Became, calibrate_windows, chosen_windows, joined, said_of
from models.calibration import DEFAULT, LENGTHS_MIN, Chosen, confidence, expected_regret, fit
from models.forecast import HOURS, NO_START, History, Prediction, Rung
from models.records import mean_and_spread
from models.window import Ask, choose
from tests.batch.given import fleet_of, hourly_fleet
from tests.models.given import END, Floats

ORIGIN = END - HOURS * 60


class Told:
    """Says these hours of each VM, `short` points less, with a bound 10 points above."""

    name = "told"

    def __init__(self, hours: Floats, short: float = 0.0, rung: Rung = Rung.CHAMPION) -> None:
        self._said = hours - np.float32(short)
        self.rung = rung

    def predict(self, history: History) -> Prediction:  # noqa: ARG002 (it knows already)
        return Prediction(self._said, self._said, self._said + np.float32(10), self._said)


def levels(n: int) -> Floats:
    """VM k runs at 20 + k percent, all the time: float32[n, 9 days]."""
    return np.repeat(20 + np.arange(n, dtype=np.float32)[:, None], 216, axis=1)


@pytest.mark.parametrize(("short", "sure"), [(0.0, True), (15.0, False)])
def test_a_forecast_is_as_sure_as_it_was_right(short: float, *, sure: bool) -> None:
    load = levels(80)
    table = calibrate_windows(Told(load[:, -HOURS:], short), [asked_at(hourly_fleet(load), ORIGIN)])
    assert table is not None
    assert table.lengths_min == LENGTHS_MIN
    for minutes in LENGTHS_MIN:
        said = float(confidence(table, 50.0, 60.0, 60.0, minutes))  # up to the bound itself
        assert (said > 0.9) == sure, said
        assert (said < 0.1) == (not sure), said


def test_too_few_windows_say_nothing() -> None:
    load = levels(10)
    assert calibrate_windows(Told(load[:, -HOURS:]), [asked_at(hourly_fleet(load), ORIGIN)]) is None
    assert calibrate_windows(Told(load[:, -HOURS:]), []) is None


def test_windows_of_other_rungs_are_not_counted() -> None:
    load = levels(80)
    lower = Told(load[:, -HOURS:], rung=Rung.HOUR_OF_DAY)
    assert calibrate_windows(lower, [asked_at(hourly_fleet(load), ORIGIN)]) is None


def waves(n: int) -> Floats:
    """Hour k of each day at 10 + k percent, and the last hours at 40: float32[n, 9 days]."""
    day = np.tile(10.0 + np.arange(24), 9)
    return np.tile(day.astype(np.float32), (n, 1))


def test_load_regret_and_hope_by_hand() -> None:
    """The day to come begins at 22:00: the quietest hour is 10 %, two hours in. Told right, and told it is 12:00."""
    load = waves(2)
    right = load[:, -HOURS:].copy()
    wrong = right.copy()
    wrong[1, 14] = 1.0  # 22 % in truth
    question = asked_at(hourly_fleet(load), ORIGIN)
    records = served(question.history, [Told(wrong)])
    assert starts_of(records, 60, 24, whole_hours=False).tolist() == [2 * 12, 14 * 12]
    chosen = chosen_windows(question, records, 60)
    assert chosen.load == pytest.approx([10.0, 22.0])
    assert chosen.p50 == pytest.approx([10.0, 1.0])
    assert chosen.p90 == pytest.approx([20.0, 11.0])
    assert chosen.regret == pytest.approx([0.0, (22 - 10) / (21.5 - 10)])
    assert chosen.hope == pytest.approx([(wrong[0].mean() - 10) / 10, (wrong[1].mean() - 1) / 10], abs=1e-3)


def test_a_flat_day_has_no_regret_and_a_gap_no_load() -> None:
    load = np.full((2, 216), 30.0, np.float32)
    steps = np.repeat(load, 12, axis=1)
    steps[1, -HOURS * 12 : -HOURS * 12 + 2] = np.nan  # where the first window is
    chosen = chosen_windows(asked_at(fleet_of(steps), ORIGIN), served_flat(steps, load), 10)
    assert np.isnan(chosen.regret).all()
    assert np.isnan(chosen.load).tolist() == [False, True]


def served_flat(steps: Floats, load: Floats) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return served(asked_at(fleet_of(steps), ORIGIN).history, [Told(load[:, -HOURS:])])


def test_what_is_said_of_a_window_is_what_the_answer_says() -> None:
    """The same record, start and length: the table is fitted on the very numbers that are looked up in it."""
    spike = np.tile(np.array([60, *[5.0] * 11], np.float32), (3, 216))
    hours = np.random.default_rng(1).uniform(5, 40, (3, HOURS)).astype(np.float32)
    question = asked_at(fleet_of(spike), ORIGIN)
    records = served(question.history, [Told(hours)])
    chosen = Chosen(np.zeros(800), np.linspace(-1, 3, 800), np.linspace(1, 0.2, 800))
    table = fit(dict.fromkeys(LENGTHS_MIN, chosen))
    for minutes in (10, 30, 60):
        starts = starts_of(records, minutes, 24, whole_hours=False)
        mean, p50, p90 = said_of(records, starts, minutes)
        hope = chosen_windows(question, records, minutes).hope
        for vm in range(3):
            ask = Ask(ORIGIN, ORIGIN + 24 * 60, minutes, 80.0, 0.0, 1, (), "UTC")
            best = choose(ORIGIN, np.void(records[vm]), ask, table).best
            assert best.start == ORIGIN + 5 * int(starts[vm])
            assert best.expected_load_pct == pytest.approx(mean[vm])
            assert best.confidence == pytest.approx(float(confidence(table, p50[vm], p90[vm], 80.0, minutes)))
            assert best.regret_expected == pytest.approx(float(expected_regret(table, hope[vm], minutes)))
    assert choose(ORIGIN, np.void(records[0]), ask, DEFAULT).best.regret_expected is None


def test_where_no_window_is_chosen_nothing_is_counted() -> None:
    load = levels(2)
    load[1] = np.nan
    question = asked_at(hourly_fleet(load), ORIGIN)
    records = served(question.history, [Told(load[:, -HOURS:])])
    assert starts_of(records, 10, 24, whole_hours=False)[1] == NO_START
    chosen = chosen_windows(question, records, 10)
    assert np.isnan([chosen.load[1], chosen.regret[1]]).all()
    assert mean_and_spread(records)[1][0] == pytest.approx(10.0)


def test_joined_windows_are_all_of_them() -> None:
    one, two = (Became(*np.full((5, n), float(n))) for n in (1, 2))
    assert joined([one, two]).regret.tolist() == [1.0, 2.0, 2.0]
