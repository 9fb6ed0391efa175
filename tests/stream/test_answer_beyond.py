"""The pure answer beyond the forecast's 24 hours, and the bounds of every window."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecast import HOURS, Reason, Rung
from models.minutes import DAY_MIN
from stream.question import Question, reaches_beyond
from tests.stream.answer_given import MIDNIGHT, NOW, ask, forecast_of, outlook_of


def test_beyond_24_hours_the_outlook_answers_and_the_answer_says_so() -> None:
    got = ask(forecast_of(50), Question(deadline=NOW + 3 * DAY_MIN), outlook=outlook_of(30, 40, 10, 40))
    assert got.best is not None
    assert got.now is not None
    assert (got.best.source, got.best.start) == ("weekday", MIDNIGHT + 28 * 60)
    assert (got.now.source, got.rung, got.reason) == ("forecast", "champion", None)
    assert got.detail == (
        "Quietest 10 minutes from 2026-03-11T04:00Z on. What is marked weekday is its usual load at that hour of the"
        " week, not forecast. Forecast by champion."
    )


@pytest.mark.parametrize("deadline", [None, NOW + DAY_MIN])
def test_within_24_hours_the_outlook_has_no_say(deadline: int | None) -> None:
    question = Question(deadline=deadline)
    got = ask(forecast_of(50), question, outlook=outlook_of(1))
    assert got == ask(forecast_of(50), question)
    assert {window.source for window in got.alternatives} == {"forecast"}
    assert "weekday" not in got.detail


def test_an_outlook_of_too_little_history_is_refused_beyond_24_hours() -> None:
    later = Question(deadline=NOW + DAY_MIN + 1)
    got = ask(forecast_of(10, rung=Rung.KIND, reason=Reason.SHORT_HISTORY), later, outlook=outlook_of(math.nan))
    assert (got.rung, got.reason, got.best) == ("refused", "SHORT_HISTORY", None)
    assert got.detail == "No forecast beyond 24 hours: its history is too short."


def test_a_question_beyond_24_hours_is_never_answered_without_its_outlook() -> None:
    with pytest.raises(ValueError, match="expected its outlook"):
        ask(forecast_of(10), Question(deadline=NOW + 2 * DAY_MIN))


@given(
    levels=st.lists(st.floats(0, 120), min_size=1, max_size=HOURS),
    now=st.integers(MIDNIGHT, MIDNIGHT + 119),
    later=st.integers(0, 7 * DAY_MIN - 130),
    minutes=st.integers(10, 120),
    until=st.integers(1, 12_000),
)
def test_windows_lie_in_the_next_7_days_and_before_the_deadline(
    levels: list[float], now: int, later: int, minutes: int, until: int
) -> None:
    question = Question(minutes=minutes, start=now + later, deadline=now + later + until, k=20)
    got = ask(forecast_of(*levels), question, now=now, outlook=outlook_of(*levels))
    assert got.best is not None or not reaches_beyond(question, now)
    for window in got.alternatives:
        assert now + later <= window.start
        assert window.start % 5 == 0
        assert all(map(math.isfinite, (window.expected_load_pct, window.p90_load_pct, window.confidence)))
        if "deadline" not in window.violates:
            assert window.start + minutes <= min(now + 7 * DAY_MIN, now + later + until)
