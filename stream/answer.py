"""The answer to a migration controller's question: forecast + policy + constraints -> windows or a reason.

Pure: what is known of a VM, the question and the time come in, an Answer goes out. Age is enforced here, by the clock
that the caller read: a stored forecast that has become too old does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from models.blackout import parse_rule
from models.calibration import DEFAULT, Calibration
from models.errors import BadInput
from models.fleet import FOREVER, Policy, Vm
from models.forecast import COVERAGE_ONE, Reason, Rung
from models.minutes import DAY_MIN, STEP_MIN, Minute, ceil_to, format_iso
from models.window import MAX_WINDOW_MIN, MIN_WINDOW_MIN, Ask, Choice, Window, choose, covers
from stream.stores.protocols import OneForecast

MAX_K = 20

_WHY = {
    Reason.NO_DATA: "it has no data",
    Reason.SHORT_HISTORY: "its history is too short",
    Reason.STALE: "its newest data are too old",
    Reason.GAPS: "too many of its samples are missing",
    Reason.MODEL_MISSING: "no model set is there to forecast it",
    Reason.UNKNOWN: "no VM of this id is known",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller wants: `k` windows of `minutes` from `start` on (None or past: now), done before `deadline`.

    Windows lie within the next 24 hours. `blackout` rules come on top of the policy's; `max_load_pct` goes before the
    policy's, which goes before the settings'. No window is surer than 65/66 (`models.calibration`).
    """

    minutes: int = 10
    start: Minute | None = None
    deadline: Minute | None = None
    max_load_pct: float | None = None
    min_confidence: float | None = None
    k: int = 3
    blackout: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say where neither question nor policy does."""

    max_load_pct: float = 80.0
    min_confidence: float = 0.8
    stale_after_min: int = 180


class Subject(NamedTuple):
    """A VM id that was asked about, with its newest life and its stored forecast where there are such."""

    vm_id: str
    vm: Vm | None
    forecast: OneForecast | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Windows or a reason, with who says so (rung, model) and on which data (data_through, coverage, age).

    rung: lower case; reason: upper case, or None; detail: the same as a sentence. best, now, earliest_acceptable,
    alternatives, flagged: see `models.window.Choice`; an owner's opt-out flags them too (violates `opt_out`).
    data_through is exclusive, data_coverage_7d a share.
    """

    vm_id: str
    rung: str
    reason: str | None
    detail: str
    best: Window | None = None
    now: Window | None = None
    earliest_acceptable: Window | None = None
    alternatives: tuple[Window, ...] = ()
    flagged: bool = False
    data_through: Minute | None = None
    made_at: Minute | None = None
    model: str | None = None
    data_coverage_7d: float | None = None
    age_min: int | None = None


def check(question: Question, now: Minute) -> None:
    """BadInput where no VM could be asked this."""
    _within("minutes", question.minutes, MIN_WINDOW_MIN, MAX_WINDOW_MIN)
    _within("k", question.k, 1, MAX_K)
    _within("max_load", question.max_load_pct, 0, 100)
    _within("min_confidence", question.min_confidence, 0, 1)
    for rule in question.blackout:
        parse_rule(rule)
    start, last = _start(question, now), now + DAY_MIN - question.minutes
    if ceil_to(start, STEP_MIN) > last:
        raise BadInput(
            "start",
            expected=f"a time that leaves {question.minutes} minutes of the next 24 hours, so by {_say(last)}",
            got=_say(start),
            remedy="Ask again nearer to that time.",
        )
    if question.deadline is not None and question.deadline <= start:
        raise BadInput(
            "deadline",
            expected=f"a time after {_say(start)}, the start or now",
            got=_say(question.deadline),
            remedy="Give a later deadline, or none.",
        )


def standing(subject: Subject, now: Minute, limits: Limits) -> Answer:
    """Who would answer for this VM at `now` and on which data, without windows; rung `refused` where nobody can."""
    vm_id, vm, forecast = subject
    if vm is None:
        return _refused(Answer(vm_id, "", None, ""), Reason.UNKNOWN)
    if forecast is None or not _is_of(vm, forecast.record):
        return _refused(Answer(vm_id, "", None, ""), Reason.NO_DATA)
    record = forecast.record
    rung, reason = Rung(int(record["rung"])), Reason(int(record["reason"]))
    data_through = None if reason is Reason.NO_DATA else int(record["data_through"])
    known = Answer(
        vm_id,
        rung=rung.name.lower(),
        reason=reason.name if reason else None,
        detail=f"Forecast by {rung.name.lower()}" + (f", as {_WHY[reason]}." if reason in _WHY else "."),
        data_through=data_through,
        made_at=forecast.made_at,
        model=forecast.model,
        data_coverage_7d=float(record["coverage"]) / COVERAGE_ONE,
        age_min=None if data_through is None else max(0, now - data_through),
    )
    if rung is Rung.REFUSED:
        return _refused(known, reason)
    if known.age_min is not None and known.age_min > limits.stale_after_min:
        return _refused(known, Reason.STALE)
    return known


def answer(subject: Subject, question: Question, now: Minute, limits: Limits, calibration: Calibration) -> Answer:
    """The answer for one VM at `now`; `calibration` is the champion's, other rungs take DEFAULT. BadInput: `check`."""
    check(question, now)
    known = standing(subject, now, limits)
    if subject.vm is None or subject.forecast is None or known.rung == Rung.REFUSED.name.lower():
        return known
    first_minute, _, _, record = subject.forecast
    policy = subject.vm.life.policy
    ask = _ask(question, policy, limits, now, first_minute)
    if not covers(first_minute, ask.start, ask.minutes):
        return _refused(known, Reason.STALE)
    choice = choose(first_minute, record, ask, calibration if record["rung"] == Rung.CHAMPION else DEFAULT)
    if policy.opt_out:
        choice = _opted_out(choice)
    return replace(
        known,
        reason=Reason.CONSTRAINTS.name if choice.flagged else known.reason,
        detail=f"{_in_words(choice)} {known.detail}",
        best=choice.best,
        now=choice.now,
        earliest_acceptable=choice.earliest_acceptable,
        alternatives=choice.alternatives,
        flagged=choice.flagged,
    )


def _is_of(vm: Vm, record: np.void) -> bool:
    """Whether the record is of this life: not of an earlier one of the same id or slot, nor made while it was empty."""
    return int(record["created_at"]) == vm.life.created_at and int(record["reason"]) != Reason.UNKNOWN


def _ask(question: Question, policy: Policy, limits: Limits, now: Minute, first_minute: Minute) -> Ask:
    """The question with what policy and settings say where it says nothing, within the next 24 hours."""
    loads = (question.max_load_pct, policy.max_load_pct, limits.max_load_pct)
    end = now + DAY_MIN
    return Ask(
        start=max(_start(question, now), first_minute),
        end=end if question.deadline is None else min(end, question.deadline),
        minutes=question.minutes,
        max_load_pct=next(load for load in loads if load is not None),
        min_confidence=limits.min_confidence if question.min_confidence is None else question.min_confidence,
        k=question.k,
        rules=(*policy.blackout, *question.blackout),
        timezone=policy.timezone,
    )


def _start(question: Question, now: Minute) -> Minute:
    return now if question.start is None else max(question.start, now)


def _opted_out(choice: Choice) -> Choice:
    """The same windows, none of them acceptable."""

    def barred(window: Window) -> Window:
        return replace(window, violates=("opt_out", *window.violates))

    return Choice(barred(choice.best), barred(choice.now), None, tuple(map(barred, choice.alternatives)), flagged=True)


def _in_words(choice: Choice) -> str:
    best = choice.best
    if choice.flagged:
        return f"No window of {best.minutes} minutes is acceptable: the least bad breaks {', '.join(best.violates)}."
    return f"Quietest {best.minutes} minutes from {_say(best.start)} on."


def _refused(known: Answer, reason: Reason) -> Answer:
    why = _WHY.get(reason, "no reason was stored")
    return replace(known, rung=Rung.REFUSED.name.lower(), reason=reason.name, detail=f"No forecast: {why}.")


def _within(what: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:  # so written, NaN is refused too
        remedy = "Give a number in that range, or leave it out for the default."
        raise BadInput(what, expected=f"{low} to {high}", got=str(value), remedy=remedy)


def _say(minute: Minute) -> str:
    """A time for a message; one that no calendar holds stays a number."""
    return format_iso(minute) if 0 <= minute <= FOREVER else f"epoch minute {minute}"
