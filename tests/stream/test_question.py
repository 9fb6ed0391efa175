"""The question: what cannot be asked of any VM, and how far it reaches."""

from __future__ import annotations

import math
from typing import Any

import pytest

from models.errors import BadInput
from models.minutes import DAY_MIN, parse_iso
from stream.question import Question, check, reach_end, reaches_beyond, start_of

NOW = parse_iso("2026-03-10T00:07Z")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"minutes": 9}, "minutes: expected 10 to 120, got 9"),
        ({"minutes": 121}, "minutes"),
        ({"k": 0}, "k: expected 1 to 20"),
        ({"k": 21}, "k"),
        ({"max_load_pct": -0.1}, "max_load: expected 0 to 100"),
        ({"max_load_pct": math.nan}, "max_load"),
        ({"min_confidence": 1.1}, "min_confidence: expected 0 to 1"),
        ({"deadline": NOW}, "deadline: expected a time after 2026-03-10T00:07Z"),
        ({"deadline": -(10**15)}, "deadline"),
        ({"start": NOW + 60, "deadline": NOW + 60}, "deadline: expected a time after 2026-03-10T01:07Z"),
        ({"start": NOW + DAY_MIN - 9}, "start: expected a time that leaves 10 minutes of the next 24 hours"),
        ({"start": 10**15}, "start"),
        ({"start": NOW + 3 * DAY_MIN}, "With a deadline it may lie up to 7 days ahead"),
        (
            {"start": NOW + 7 * DAY_MIN - 9, "deadline": NOW + 8 * DAY_MIN},
            "start: expected a time that leaves 10 minutes of the next 7 days, so by 2026-03-16T23:57Z",
        ),
        ({"blackout": ("always",)}, "blackout"),
    ],
)
def test_a_question_that_cannot_be_right_is_refused_with_a_remedy(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput, match=named) as caught:
        check(Question(**changes), NOW)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("question", "start", "end", "beyond"),
    [
        (Question(), NOW, NOW + DAY_MIN, False),
        (Question(start=NOW - 500), NOW, NOW + DAY_MIN, False),
        (Question(start=NOW + 60), NOW + 60, NOW + DAY_MIN, False),
        (Question(deadline=NOW + 99), NOW, NOW + 99, False),
        (Question(deadline=NOW + DAY_MIN), NOW, NOW + DAY_MIN, False),
        (Question(deadline=NOW + DAY_MIN + 1), NOW, NOW + DAY_MIN + 1, True),
        (Question(start=NOW + 6 * DAY_MIN, deadline=NOW + 99 * DAY_MIN), NOW + 6 * DAY_MIN, NOW + 7 * DAY_MIN, True),
    ],
)
def test_a_question_reaches_24_hours_and_with_a_deadline_7_days(
    question: Question, start: int, end: int, beyond: bool
) -> None:
    check(question, NOW)
    assert (start_of(question, NOW), reach_end(question, NOW), reaches_beyond(question, NOW)) == (start, end, beyond)
