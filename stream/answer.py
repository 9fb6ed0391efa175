"""The answer to a migration controller's question: forecast + policy + constraints -> windows or a reason.

Pure: what is known of a VM, the question and the time come in, an Answer goes out. Age is enforced here, by the clock
that the caller read: a stored forecast that has become too old does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from models.calibration import DEFAULT, Calibration
from models.fleet import Policy, Vm
from models.forecast import COVERAGE_ONE, Reason, Rung
from models.minutes import Minute
from models.weekday import Outlook
from models.window import Ask, Choice, Window, choose, covers
from stream.question import Question, check, reach_end, reaches_beyond, say_minute, start_of
from stream.stores.protocols import OneForecast

_WHY = {
    Reason.NO_DATA: "it has no data",
    Reason.SHORT_HISTORY: "its history is too short",
    Reason.STALE: "its newest data are too old",
    Reason.GAPS: "too many of its samples are missing",
    Reason.MODEL_MISSING: "no model set is there to forecast it",
    Reason.UNKNOWN: "no VM of this id is known",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say where neither question nor policy does."""

    max_load_pct: float = 80.0
    min_confidence: float = 0.8
    stale_after_min: int = 180


class Subject(NamedTuple):
    """A VM id that was asked about, with its newest life and its stored forecast where there are such.

    outlook: the VM's, made at the forecast's first minute; for a question that `reaches_beyond`.
    """

    vm_id: str
    vm: Vm | None
    forecast: OneForecast | None
    outlook: Outlook | None = None


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


def standing(subject: Subject, now: Minute, limits: Limits) -> Answer:
    """Who would answer for this VM at `now` and on which data, without windows; rung `refused` where nobody can."""
    vm_id, vm, forecast, _ = subject
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
    outlook = _outlook(subject) if reaches_beyond(question, now) else None
    if outlook is not None and np.isnan(outlook.mean).any():
        return _refused(known, Reason.SHORT_HISTORY, "forecast beyond 24 hours")
    if not covers(first_minute, ask, outlook):
        return _refused(known, Reason.STALE)
    choice = choose(first_minute, record, ask, calibration if record["rung"] == Rung.CHAMPION else DEFAULT, outlook)
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


def _outlook(subject: Subject) -> Outlook:
    if subject.outlook is None:
        raise ValueError("subject of a question beyond 24 hours: expected its outlook, got None")
    return subject.outlook


def _is_of(vm: Vm, record: np.void) -> bool:
    """Whether the record is of this life: not of an earlier one of the same id or slot, nor made while it was empty."""
    return int(record["created_at"]) == vm.life.created_at and int(record["reason"]) != Reason.UNKNOWN


def _ask(question: Question, policy: Policy, limits: Limits, now: Minute, first_minute: Minute) -> Ask:
    """The question with what policy and settings say where it says nothing, within its 24 hours or 7 days."""
    loads = (question.max_load_pct, policy.max_load_pct, limits.max_load_pct)
    return Ask(
        start=max(start_of(question, now), first_minute),
        end=reach_end(question, now),
        minutes=question.minutes,
        max_load_pct=next(load for load in loads if load is not None),
        min_confidence=limits.min_confidence if question.min_confidence is None else question.min_confidence,
        k=question.k,
        rules=(*policy.blackout, *question.blackout),
        timezone=policy.timezone,
    )


def _opted_out(choice: Choice) -> Choice:
    """The same windows, none of them acceptable."""

    def barred(window: Window) -> Window:
        return replace(window, violates=("opt_out", *window.violates))

    return Choice(barred(choice.best), barred(choice.now), None, tuple(map(barred, choice.alternatives)), flagged=True)


def _in_words(choice: Choice) -> str:
    best = choice.best
    if choice.flagged:
        said = f"No window of {best.minutes} minutes is acceptable: the least bad breaks {', '.join(best.violates)}."
    else:
        said = f"Quietest {best.minutes} minutes from {say_minute(best.start)} on."
    given = (choice.now, choice.earliest_acceptable, *choice.alternatives)
    if any(window is not None and window.source == "weekday" for window in given):
        said += " What is marked weekday is its usual load at that hour of the week, not forecast."
    return said


def _refused(known: Answer, reason: Reason, what: str = "forecast") -> Answer:
    why = _WHY.get(reason, "no reason was stored")
    return replace(known, rung=Rung.REFUSED.name.lower(), reason=reason.name, detail=f"No {what}: {why}.")
