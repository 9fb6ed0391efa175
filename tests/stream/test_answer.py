"""The pure answer: who may answer, what the question and the policy ask, and what comes out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.calibration import DEFAULT
from models.fleet import Policy
from models.forecast import Reason, Rung
from stream.answer import Answer, Subject, answer, standing
from stream.question import Question
from tests.models.given import table_of
from tests.stream.answer_given import LIMITS, MIDNIGHT, NOW, ask, forecast_of, vm_of


def test_the_quietest_window_with_who_says_so_and_on_which_data() -> None:
    got = ask(forecast_of(30, 20, 10, 20))
    assert got.best is not None
    assert got.now is not None
    assert got.earliest_acceptable is not None
    assert (got.best.start, got.best.minutes, got.best.expected_load_pct) == (MIDNIGHT + 120, 10, 10.0)
    assert (got.now.start, got.now.acceptable, got.earliest_acceptable.start) == (NOW, True, MIDNIGHT + 10)
    assert (got.rung, got.reason, got.flagged, got.model) == ("champion", None, False, "set-000003")
    assert (got.data_through, got.made_at, got.age_min) == (MIDNIGHT, MIDNIGHT + 4, 7)
    assert got.data_coverage_7d == pytest.approx(0.95)
    assert got.alternatives[0] == got.best
    assert len(got.alternatives) == 3
    assert got.detail == "Quietest 10 minutes from 2026-03-10T02:00Z on. Forecast by champion."


def test_a_changed_forecast_changes_the_answer() -> None:
    before, after = ask(forecast_of(30, 20, 10, 20)), ask(forecast_of(30, 10, 20))
    assert before.best is not None
    assert after.best is not None
    assert (before.best.start, after.best.start) == (MIDNIGHT + 120, MIDNIGHT + 60)


def test_an_idle_vm_gets_a_window_at_exactly_zero() -> None:
    got = ask(forecast_of(0.0))
    assert got.best is not None
    assert (got.best.expected_load_pct, got.best.acceptable, got.reason) == (0.0, True, None)


def assert_refused(got: Answer, reason: str) -> None:
    assert (got.rung, got.reason, got.best, got.now, got.alternatives) == ("refused", reason, None, None, ())
    assert got.detail.startswith("No forecast: ")


def test_an_unknown_vm_is_refused_by_name() -> None:
    assert_refused(answer(Subject("no/such", None, None), Question(), NOW, LIMITS, DEFAULT), "UNKNOWN")


def test_a_vm_without_a_forecast_has_no_data() -> None:
    assert_refused(ask(None), "NO_DATA")


def test_the_forecast_of_an_old_life_never_answers_for_a_reused_id() -> None:
    subject = Subject("vm-1", vm_of(created_at=MIDNIGHT - 60), forecast_of(10))
    assert_refused(answer(subject, Question(), NOW, LIMITS, DEFAULT), "NO_DATA")


def test_a_record_made_while_the_slot_was_empty_never_answers() -> None:
    assert_refused(ask(forecast_of(0, rung=Rung.REFUSED, reason=Reason.UNKNOWN)), "NO_DATA")


def test_a_refused_record_gives_its_reason_and_its_data() -> None:
    got = ask(forecast_of(0, rung=Rung.REFUSED, reason=Reason.SHORT_HISTORY))
    assert_refused(got, "SHORT_HISTORY")
    assert (got.data_through, got.age_min, got.detail) == (MIDNIGHT, 7, "No forecast: its history is too short.")
    nothing = ask(forecast_of(0, rung=Rung.REFUSED, reason=Reason.NO_DATA))
    assert (nothing.reason, nothing.data_through, nothing.age_min) == ("NO_DATA", None, None)


def test_a_lower_rung_says_why_it_is_not_the_champion() -> None:
    got = ask(forecast_of(10, rung=Rung.HOUR_OF_DAY, reason=Reason.MODEL_MISSING))
    assert (got.rung, got.reason, got.flagged) == ("hour_of_day", "MODEL_MISSING", False)
    assert got.detail.endswith("Forecast by hour_of_day, as no model set is there to forecast it.")


def test_a_forecast_goes_stale_by_the_clock_alone() -> None:
    forecast = forecast_of(10)
    assert ask(forecast, now=MIDNIGHT + 180).rung == "champion"
    stale = ask(forecast, now=MIDNIGHT + 181)
    assert_refused(stale, "STALE")
    assert (stale.age_min, stale.model) == (181, "set-000003")


def test_hours_that_the_forecast_no_longer_covers_are_stale() -> None:
    now = MIDNIGHT + 170
    late = Question(start=now + 23 * 60 + 5)
    assert_refused(ask(forecast_of(10), late, now=now), "STALE")
    assert ask(forecast_of(10, first_minute=MIDNIGHT + 120), late, now=now).rung == "champion"


def test_standing_is_the_answer_without_windows() -> None:
    forecast = forecast_of(10)
    known = standing(Subject("vm-1", vm_of(), forecast), NOW, LIMITS)
    full = ask(forecast)
    assert known.best is None
    assert replace(full, best=None, now=None, earliest_acceptable=None, alternatives=(), detail="") == replace(
        known, detail=""
    )


def test_only_the_champion_is_judged_by_the_champions_calibration() -> None:
    pessimist = table_of(1000.0)
    champion = answer(Subject("vm-1", vm_of(), forecast_of(50)), Question(), NOW, LIMITS, pessimist)
    fallback = forecast_of(50, rung=Rung.HOUR_OF_DAY, reason=Reason.MODEL_MISSING)
    other = answer(Subject("vm-1", vm_of(), fallback), Question(), NOW, LIMITS, pessimist)
    assert (champion.flagged, other.flagged) == (True, False)


@pytest.mark.parametrize(
    ("question", "policy", "flagged"),
    [
        (Question(), Policy(), False),  # the settings' 80 %
        (Question(), Policy(max_load_pct=20), True),
        (Question(max_load_pct=90), Policy(max_load_pct=20), False),
        (Question(max_load_pct=0.0), Policy(), True),
        (Question(max_load_pct=51, min_confidence=0.5), Policy(), False),
        (Question(max_load_pct=51, min_confidence=0.9), Policy(), True),
    ],
)
def test_the_question_goes_before_the_policy_and_the_policy_before_the_settings(
    question: Question, policy: Policy, flagged: bool
) -> None:
    got = ask(forecast_of(50), question, policy)
    assert got.flagged == flagged
    assert got.reason == ("CONSTRAINTS" if flagged else None)
    assert got.best is not None
    assert got.best.violates == (("max_load",) if flagged else ())


def test_the_questions_blackout_adds_to_the_policys_in_the_vms_timezone() -> None:
    policy = Policy(timezone="Asia/Kathmandu", blackout=("05:45-07:45",))  # 00:00-02:00 UTC
    got = ask(forecast_of(5, 10, 20, 30), Question(blackout=("07:45-08:15",)), policy)
    assert got.best is not None
    assert got.now is not None
    assert got.best.start == MIDNIGHT + 150
    assert got.now.violates == ("blackout",)


def test_an_opt_out_leaves_the_least_bad_flagged() -> None:
    got = ask(forecast_of(30, 10, 30), policy=Policy(opt_out=True))
    assert got.best is not None
    assert (got.best.start, got.best.violates) == (MIDNIGHT + 60, ("opt_out",))
    assert (got.reason, got.flagged, got.earliest_acceptable) == ("CONSTRAINTS", True, None)
    assert not any(window.acceptable for window in got.alternatives)
    assert got.detail.startswith("No window of 10 minutes is acceptable: the least bad breaks opt_out.")


def test_a_deadline_bounds_the_windows_and_one_too_near_is_flagged() -> None:
    got = ask(forecast_of(30, 20, 10), Question(deadline=MIDNIGHT + 100, minutes=30, k=20))
    assert max(window.start + window.minutes for window in got.alternatives) <= MIDNIGHT + 100
    near = ask(forecast_of(30), Question(deadline=NOW + 9))
    assert near.best is not None
    assert (near.best.start, near.best.violates, near.reason) == (MIDNIGHT + 10, ("deadline",), "CONSTRAINTS")


def test_a_start_in_the_past_means_now() -> None:
    assert ask(forecast_of(10), Question(start=NOW - 500)) == ask(forecast_of(10))
