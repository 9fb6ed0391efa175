"""What a migration controller may ask, and which questions nobody could answer."""

from __future__ import annotations

from dataclasses import dataclass

from models.blackout import parse_rule
from models.errors import BadInput
from models.fleet import FOREVER
from models.minutes import DAY_MIN, STEP_MIN, Minute, ceil_to, format_iso
from models.window import MAX_WINDOW_MIN, MIN_WINDOW_MIN

MAX_K = 20
FARTHEST_MIN = 7 * DAY_MIN


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller wants: `k` windows of `minutes` from `start` on (None or past: now), done before `deadline`.

    Windows lie within the next 24 hours, or with a later deadline within the next 7 days. `blackout` rules come on top
    of the policy's; `max_load_pct` goes before the policy's, which goes before the settings'. No window is surer than
    65/66 (`models.calibration`).
    """

    minutes: int = 10
    start: Minute | None = None
    deadline: Minute | None = None
    max_load_pct: float | None = None
    min_confidence: float | None = None
    k: int = 3
    blackout: tuple[str, ...] = ()


def check(question: Question, now: Minute) -> None:
    """BadInput where no VM could be asked this."""
    _within("minutes", question.minutes, MIN_WINDOW_MIN, MAX_WINDOW_MIN)
    _within("k", question.k, 1, MAX_K)
    _within("max_load", question.max_load_pct, 0, 100)
    _within("min_confidence", question.min_confidence, 0, 1)
    for rule in question.blackout:
        parse_rule(rule)
    start, last = start_of(question, now), _farthest(question, now) - question.minutes
    if ceil_to(start, STEP_MIN) > last:
        ahead = "24 hours" if question.deadline is None else "7 days"
        raise BadInput(
            "start",
            expected=f"a time that leaves {question.minutes} minutes of the next {ahead}, so by {say_minute(last)}",
            got=say_minute(start),
            remedy="Ask again nearer to that time. With a deadline it may lie up to 7 days ahead.",
        )
    if question.deadline is not None and question.deadline <= start:
        raise BadInput(
            "deadline",
            expected=f"a time after {say_minute(start)}, the start or now",
            got=say_minute(question.deadline),
            remedy="Give a later deadline, or none.",
        )


def reaches_beyond(question: Question, now: Minute) -> bool:
    """Whether it asks for more than the 24 hours that a forecast promises: a weekday outlook answers for the rest."""
    return question.deadline is not None and question.deadline > now + DAY_MIN


def reach_end(question: Question, now: Minute) -> Minute:
    """The minute by which its windows must have ended."""
    farthest = _farthest(question, now)
    return farthest if question.deadline is None else min(farthest, question.deadline)


def start_of(question: Question, now: Minute) -> Minute:
    """The first minute that it is about; a start in the past means now."""
    return now if question.start is None else max(question.start, now)


def say_minute(minute: Minute) -> str:
    """A time for a message; one that no calendar holds stays a number."""
    return format_iso(minute) if 0 <= minute <= FOREVER else f"epoch minute {minute}"


def _farthest(question: Question, now: Minute) -> Minute:
    return now + (DAY_MIN if question.deadline is None else FARTHEST_MIN)


def _within(what: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:  # so written, NaN is refused too
        remedy = "Give a number in that range, or leave it out for the default."
        raise BadInput(what, expected=f"{low} to {high}", got=str(value), remedy=remedy)
