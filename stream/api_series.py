"""One VM over time: the hours to come and those that were."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Query

from models.errors import BadInput
from models.minutes import DAY_MIN, HOUR_MIN, STEP_MIN, Minute, Span, ceil_to, floor_to, format_iso
from stream.answer import Subject, standing
from stream.api_deps import StateIn, VmId, known_subject, minute_of, standing_fields
from stream.api_examples import FORECAST_EXAMPLE, HISTORY_EXAMPLE, example
from stream.api_models import ForecastAnswer, HistoryAnswer
from stream.problems import PROBLEMS
from stream.stores.history import read_steps

HISTORY_MIN = 14 * DAY_MIN
MAX_STEPS = 10_000
_ISO = "ISO 8601 with a zone"

router = APIRouter(tags=["VMs"], responses=PROBLEMS)


@router.get(
    "/v1/vms/{vm_id}/forecast",
    operation_id="getForecast",
    summary="What one VM is expected to do",
    responses=example(FORECAST_EXAMPLE),
)
def get_forecast(state: StateIn, vm_id: VmId) -> ForecastAnswer:
    """Hourly mean, P50 and P90 from `start` on, and how quiet each 5-minute start is.

    Empty where nobody can answer: `rung` is then refused and `reason` says why.
    """
    vm, forecast = known_subject(state.deps.stores, vm_id)
    known = standing(Subject(vm_id, vm, forecast), state.now(), state.deps.limits)
    if forecast is None or known.rung == "refused":
        return ForecastAnswer(**standing_fields(known), start=None, mean_pct=[], p50_pct=[], p90_pct=[], quiet=[])
    record = forecast.record
    return ForecastAnswer(
        **standing_fields(known),
        start=format_iso(forecast.first_minute),
        mean_pct=(record["mean"] / 100.0).tolist(),
        p50_pct=(record["p50"] / 100.0).tolist(),
        p90_pct=(record["p90"] / 100.0).tolist(),
        quiet=record["quiet"].tolist(),
    )


@router.get(
    "/v1/vms/{vm_id}/history",
    operation_id="getHistory",
    summary="What one VM did",
    responses=example(HISTORY_EXAMPLE),
)
def get_history(
    state: StateIn,
    vm_id: VmId,
    step: Annotated[Literal["5m", "1h"], Query(description="5-minute or hourly means")] = "1h",
    start: Annotated[str | None, Query(alias="from", description=f"{_ISO}; default: 14 days before `to`")] = None,
    to: Annotated[str | None, Query(description=f"{_ISO}; default: now")] = None,
) -> HistoryAnswer:
    """Means from `start` on, null for a gap, 0.0 for an idle VM, and the samples behind each.

    Both ends are widened to whole steps; the step that is still open is not in it by default.
    """
    vm, forecast = known_subject(state.deps.stores, vm_id)
    minute = state.now()
    step_min = STEP_MIN if step == "5m" else HOUR_MIN
    span = _span(minute_of("from", start), minute_of("to", to), step_min, minute)
    mean, count = read_steps(state.deps.stores.series, vm, step_min, span)
    return HistoryAnswer(
        **standing_fields(standing(Subject(vm_id, vm, forecast), minute, state.deps.limits)),
        start=format_iso(span.start),
        step_min=step_min,
        mean_pct=_nullable(mean),
        count=count.tolist(),
    )


def _span(start: Minute | None, to: Minute | None, step_min: int, now: Minute) -> Span:
    end = floor_to(now, step_min) if to is None else ceil_to(to, step_min)
    begin = floor_to(end - HISTORY_MIN if start is None else start, step_min)
    if not 0 < end - begin <= MAX_STEPS * step_min:
        raise BadInput(
            "from and to",
            expected=f"a span of 1 to {MAX_STEPS} steps of {step_min} minutes",
            got=f"{(end - begin) // step_min} steps",
            remedy="Ask for less at a time, or for hourly steps (step=1h); `from` lies before `to`.",
        )
    return Span(begin, end)


def _nullable(mean: npt.NDArray[np.float32]) -> list[float | None]:
    """Percent to 0.01, as stored; None for a gap."""
    exact = np.round(mean.astype(np.float64), 2)
    return [None if np.isnan(value) else value for value in exact.tolist()]
