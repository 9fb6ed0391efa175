"""A recorded fleet judged from end to end: who wins where there is a rhythm, what is gathered, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import batch.scoring
from batch.recorded import Recorded, history_at
from batch.rolling import asked_at
from batch.scoring import HOUR, LENGTHS, ORACLE, OURS, PLAIN, Learned, Scored, costs_s, methods_of, score_fleet
from batch.train import Progress
from models import xgb_student
from models.baseline import HourOfDay, KindProfile, hour_of_day_mean
from models.calibration import DEFAULT
from models.effort import Effort
from models.errors import BadInput
from tests.batch.given import hourly_fleet, unwatched
from tests.models.given import END, rhythm
from tests.models.taught import FEW_ROUNDS

LADDER_ALONE = Learned((HourOfDay(), KindProfile()), DEFAULT, hour_of_day_mean)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """The fleets that training was given; nothing is trained."""
    fleets: list[Recorded] = []

    def learn(fleet: Recorded, split: int, effort: Effort, progress: Progress) -> Learned:
        fleets.append(fleet)
        return LADDER_ALONE

    monkeypatch.setattr(batch.scoring, "learn", learn)
    return fleets


def test_where_there_is_a_rhythm_ours_beats_now_by_far_and_keeps_up_with_every_plain_rule(scored: Scored) -> None:
    for length, table in scored.tables.items():
        regret = {name: table.regret(name).macro for name in table.loads.chosen}
        assert regret[OURS] < 0.4 * regret["now"], length
        assert regret[OURS] < min(regret[name] for name in ("03:00", "same hour yesterday", "same hour last week"))
        assert regret[ORACLE] == 0.0


def test_every_method_is_judged_on_the_same_days(scored: Scored) -> None:
    assert set(scored.tables) == set(LENGTHS)
    for table in scored.tables.values():
        gaps = [np.isnan(load) for load in table.loads.chosen.values()]
        assert all((gap == gaps[0]).all() for gap in gaps)
        assert len(table.vm) == 30 * len(scored.answered)


def test_origins_begin_at_the_split_and_lie_29_hours_apart(scored: Scored) -> None:
    origins = [one.origin for one in scored.answered]
    assert origins[0] == scored.split == scored.fleet.start + 14 * 24 * 60
    assert set(np.diff(origins)) == {29 * 60}
    assert origins[-1] + 26 * 60 <= END


def test_forecasts_are_compared_and_costs_are_measured(scored: Scored) -> None:
    assert scored.mae_pct[OURS] < scored.mae_pct["hour-of-day mean 7 d"]
    assert set(scored.cost_s) == set(scored.tables[HOUR].loads.chosen) - {ORACLE}
    assert 0.5 < scored.bounds.overall[1] <= 1
    assert scored.bounds.overall[0] < scored.bounds.overall[1]
    assert scored.confidence.windows.sum() == 30 * len(scored.answered) * 4 * 5


@pytest.mark.slow
def test_the_same_trace_gives_the_same_verdict(scored: Scored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xgb_student, "ROUNDS", FEW_ROUNDS)
    again = score_fleet(scored.fleet, None, Effort(vm_days=400), unwatched)
    for name, table in scored.tables.items():
        np.testing.assert_array_equal(again.tables[name].loads.chosen[OURS], table.loads.chosen[OURS])
        np.testing.assert_array_equal(again.tables[name].loads.chosen[PLAIN], table.loads.chosen[PLAIN])
    assert again.mae_pct == scored.mae_pct


def test_unseen_vms_are_kept_out_of_training_and_only_they_are_asked(untrained: list[Recorded]) -> None:
    fleet = hourly_fleet(rhythm(30, 24 * 10, seed=5))
    progress: list[float] = []
    found = score_fleet(fleet, None, Effort(), lambda share, _: progress.append(share), unseen=8)
    assert len(found.fleet.ids) == 8
    assert {*found.fleet.ids, *untrained[0].ids} == {*fleet.ids}
    assert not {*found.fleet.ids} & {*untrained[0].ids}
    assert progress == sorted(progress)


@pytest.mark.parametrize("unseen", [-1, 30])
def test_somebody_must_be_left_to_learn_from(unseen: int) -> None:
    with pytest.raises(BadInput, match="expected 0 to 29 of the trace's 30 VMs"):
        score_fleet(hourly_fleet(rhythm(30, 24 * 10, seed=5)), None, Effort(), unwatched, unseen)


def test_vms_that_end_with_the_split_leave_nothing_to_judge(untrained: list[Recorded]) -> None:
    hours = rhythm(30, 24 * 10, seed=5)
    hours[:, 7 * 24 :] = np.nan
    fleet = hourly_fleet(hours)
    with pytest.raises(BadInput, match="days after the split of which all hours are known"):
        score_fleet(fleet, fleet.start + 7 * 24 * 60, Effort(), unwatched)
    assert len(untrained) == 1


def test_the_plain_forecast_is_asked_as_a_method_and_cost_is_of_ten_thousand_vms() -> None:
    fleet = hourly_fleet(rhythm(5, 24 * 10, seed=5))
    learned = LADDER_ALONE
    question = asked_at(fleet, END - 26 * 60)
    methods = methods_of(learned)
    mean = hour_of_day_mean(history_at(fleet, END - 26 * 60))
    assert methods[PLAIN](question, 60, True).tolist() == (mean[:, :24].argmin(axis=1) * 12).tolist()
    cost_s = costs_s(question, learned)
    assert set(cost_s) == set(methods)
    assert min(cost_s.values()) >= 0
