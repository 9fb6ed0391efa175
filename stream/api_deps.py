"""What the endpoints work with, and the steps that several of them take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, TypedDict

from fastapi import Depends, Path, Request

from models.calibration import Calibration
from models.errors import BadInput
from models.fleet import Vm
from models.minutes import Minute, format_iso, parse_iso
from models.window import Window
from stream.answer import Answer, Limits, Subject
from stream.api_models import WindowOut
from stream.clock import now
from stream.edge import decode_id
from stream.metrics import Metrics
from stream.problems import NotFound
from stream.stores.open import Stores
from stream.stores.protocols import OneForecast
from stream.summary import Summaries

_YEARS = (parse_iso("1900-01-01T00:00Z"), parse_iso("2200-01-01T00:00Z"))  # of the calendar; any trace lies within


@dataclass(frozen=True, slots=True)
class Deps:
    """What an app is made of.

    calibration: the calibration of a model set by its name; wall: epoch seconds, `time.time` outside of tests;
    default_minutes: how long a window is where the question does not say.
    """

    stores: Stores
    limits: Limits
    calibration: Callable[[str], Calibration]
    wall: Callable[[], float]
    default_minutes: int = 10


@dataclass(frozen=True, slots=True)
class State:
    """One app's dependencies, with what it keeps for itself."""

    deps: Deps
    summaries: Summaries
    metrics: Metrics

    def now(self) -> Minute:
        """The fleet's current minute."""
        return now(self.deps.stores.control, self.deps.wall())


async def _state(request: Request) -> State:
    state: State = request.app.state.zhuge
    return state


StateIn = Annotated[State, Depends(_state)]


async def _vm_id(
    vm_id: Annotated[str, Path(description="Percent-encoded; a slash in it is %2F.", examples=["vm-0042"])],
) -> str:
    return decode_id(vm_id)


VmId = Annotated[str, Depends(_vm_id)]


class StandingFields(TypedDict):
    """The fields of `api_models.Standing`."""

    vm_id: str
    rung: str
    reason: str | None
    data_through: str | None
    made_at: str | None
    model: str | None
    data_coverage_7d: float | None
    age_min: int | None


def subjects(stores: Stores, vm_ids: Sequence[str]) -> list[Subject]:
    """Each id with its newest life and its forecast, in order."""
    found = stores.catalogue.find(vm_ids)
    vms = [found.get(vm_id) for vm_id in vm_ids]
    places = [(vm.current.block, vm.current.slot) for vm in vms if vm is not None]
    forecasts = iter(stores.forecasts.get(places))
    return [Subject(vm_id, vm, None if vm is None else next(forecasts)) for vm_id, vm in zip(vm_ids, vms, strict=True)]


def known_subject(stores: Stores, vm_id: str) -> tuple[Vm, OneForecast | None]:
    """The VM that a path names, with its forecast. NotFound where there is none."""
    _, vm, forecast, _ = subjects(stores, [vm_id])[0]
    if vm is None:
        raise NotFound(
            "VM id",
            expected="the id of a VM that has been seen",
            got=ascii(vm_id),
            remedy="GET /v1/vms?prefix=… lists ids by their beginning.",
        )
    return vm, forecast


def standing_fields(known: Answer) -> StandingFields:
    """Who answers and on which data, as every answer carries it."""
    return {
        "vm_id": known.vm_id,
        "rung": known.rung,
        "reason": known.reason,
        "data_through": iso(known.data_through),
        "made_at": iso(known.made_at),
        "model": known.model,
        "data_coverage_7d": known.data_coverage_7d,
        "age_min": known.age_min,
    }


def window_out(window: Window) -> WindowOut:
    """A window as it is answered; loads to 0.01 %, as they are stored."""
    return WindowOut(
        start=_said(window.start),
        end=_said(window.start + window.minutes),
        minutes=window.minutes,
        expected_load_pct=round(window.expected_load_pct, 2),
        p90_load_pct=round(window.p90_load_pct, 2),
        confidence=round(window.confidence, 4),
        regret_expected=None if window.regret_expected is None else round(window.regret_expected, 4),
        acceptable=window.acceptable,
        violates=list(window.violates),
        source=window.source,
    )


def iso(minute: Minute | None) -> str | None:
    """ISO time; None stays None."""
    return None if minute is None else _said(minute)


@lru_cache(maxsize=4096)
def _said(minute: Minute) -> str:
    """A day has 1,440 minutes, the windows of ten thousand VMs a hundred thousand ends."""
    return format_iso(minute)


def minute_of(what: str, text: str | None) -> Minute | None:
    """The epoch minute of a time in a question; None stays None. BadInput where it is none."""
    if text is None:
        return None
    remedy = "Write it as 2026-03-10T12:00Z; in an address the + of an offset is %2B."
    try:
        minute = parse_iso(text)
    except BadInput as error:
        raise BadInput(what, expected=error.expected, got=error.got, remedy=remedy) from None
    if not _YEARS[0] <= minute < _YEARS[1]:
        raise BadInput(what, expected="a time from 1900 to 2200", got=repr(text), remedy=remedy)
    return minute
