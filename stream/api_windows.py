"""The migration controller's question: windows for one VM, or for thousands in one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from models.calibration import DEFAULT
from models.minutes import Minute
from models.window import MAX_WINDOW_MIN, MIN_WINDOW_MIN, Window
from stream.answer import Subject, answer
from stream.api_deps import Deps, StateIn, VmId, known_subject, minute_of, standing_fields, subjects, window_out
from stream.api_examples import WINDOW_EXAMPLE, WINDOWS_EXAMPLE, example
from stream.api_models import WindowAnswer, WindowOut, WindowsAnswer
from stream.outlooks import with_outlooks
from stream.problems import PROBLEMS
from stream.question import MAX_K, Question, check

MAX_IDS = 10_000
_ISO = "ISO 8601 with a zone"


def _text(vm_id: str) -> str:
    """JSON can hold half a character (\\ud800), which nothing else can: no store, no address, no answer."""
    try:
        vm_id.encode()
    except UnicodeEncodeError:
        raise ValueError("whole characters") from None
    return vm_id


router = APIRouter(tags=["windows"], responses=PROBLEMS)


class Ask(BaseModel):
    """Which windows are wanted; what is left out falls to the VM's policy and then to the settings."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[str | None, Field(alias="from", description=f"{_ISO}; default: now")] = None
    deadline: Annotated[str | None, Field(description=f"{_ISO}; default: 24 hours from now; up to 7 days count")] = None
    minutes: Annotated[
        int | None, Field(ge=MIN_WINDOW_MIN, le=MAX_WINDOW_MIN, description="default: the settings', 10 if none")
    ] = None
    max_load: Annotated[float | None, Field(ge=0, le=100, description="mean load in percent, at most")] = None
    min_confidence: Annotated[float | None, Field(ge=0, le=1)] = None
    k: Annotated[int, Field(ge=1, le=MAX_K, description="alternatives wanted, the best one among them")] = 3
    blackout: Annotated[
        list[str],
        Field(description="local hours of the VM, on top of its policy's", examples=[["mon-fri 08:00-18:00"]]),
    ] = []


class AskMany(Ask):
    """The question, asked of many VMs at once."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"ids": ["vm-0042", "vm-0043"], "minutes": 30, "k": 1}}
    )

    ids: Annotated[list[Annotated[str, AfterValidator(_text)]], Field(min_length=1, max_length=MAX_IDS)]


@router.get(
    "/v1/vms/{vm_id}/window",
    operation_id="getWindow",
    summary="The best window of one VM",
    responses=example(WINDOW_EXAMPLE),
)
def get_window(state: StateIn, vm_id: VmId, ask: Annotated[Ask, Query()]) -> WindowAnswer:
    """Best window, whether now would do, the earliest that would, and alternatives.

    Where nothing fits, the least bad is given, `flagged`, with reason CONSTRAINTS and what it violates. With a deadline
    beyond 24 hours the VM's usual week answers for what the forecast does not reach: `source` is then `weekday`.
    """
    minute, question = state.now(), _question(state.deps, ask)
    check(question, minute)
    (found,) = window_answers(state.deps, [Subject(vm_id, *known_subject(state.deps.stores, vm_id))], question, minute)
    return found


@router.post(
    "/v1/windows",
    operation_id="askWindows",
    summary="The best windows of many VMs",
    responses=example(WINDOWS_EXAMPLE),
)
def ask_windows(state: StateIn, ask: AskMany) -> WindowsAnswer:
    """One answer for each id, in order; an id that no VM has is answered with reason UNKNOWN."""
    minute, question = state.now(), _question(state.deps, ask)
    check(question, minute)
    found = subjects(state.deps.stores, ask.ids)
    return WindowsAnswer(answers=window_answers(state.deps, found, question, minute))


def _question(deps: Deps, ask: Ask) -> Question:
    return Question(
        minutes=deps.default_minutes if ask.minutes is None else ask.minutes,
        start=minute_of("from", ask.start),
        deadline=minute_of("deadline", ask.deadline),
        max_load_pct=ask.max_load,
        min_confidence=ask.min_confidence,
        k=ask.k,
        blackout=tuple(ask.blackout),
    )


def window_answers(deps: Deps, found: Sequence[Subject], question: Question, minute: Minute) -> list[WindowAnswer]:
    """The answers at `minute` as the API gives them, in order. BadInput where nobody could be asked this."""
    asked = with_outlooks(deps.stores.series, found, question, minute)
    return [_answer(deps, subject, question, minute) for subject in asked]


def _answer(deps: Deps, subject: Subject, question: Question, minute: Minute) -> WindowAnswer:
    calibration = DEFAULT if subject.forecast is None else deps.calibration(subject.forecast.model)
    found = answer(subject, question, minute, deps.limits, calibration)
    return WindowAnswer(
        **standing_fields(found),
        detail=found.detail,
        best=_maybe(found.best),
        now=_maybe(found.now),
        earliest_acceptable=_maybe(found.earliest_acceptable),
        alternatives=[window_out(window) for window in found.alternatives],
        flagged=found.flagged,
    )


def _maybe(window: Window | None) -> WindowOut | None:
    return None if window is None else window_out(window)
