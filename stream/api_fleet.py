"""The fleet in one look, and its next windows by hour."""

from __future__ import annotations

from fastapi import APIRouter

from models.forecast import Reason, Rung
from models.minutes import HOUR_MIN, format_iso
from stream.api_deps import StateIn, iso
from stream.api_examples import FLEET_EXAMPLE, FLEET_WINDOWS_EXAMPLE, example
from stream.api_models import FleetAnswer, FleetHour, FleetWindowsAnswer, ReasonCount, RungCount
from stream.clock import read_clock
from stream.problems import PROBLEMS
from stream.summary import HOURS_AHEAD, Summary

RUNGS = {
    Rung.CHAMPION: "forecast by the trained model set",
    Rung.HOUR_OF_DAY: "forecast by the VM's own hour-of-day mean and level",
    Rung.KIND: "forecast by the profile of VMs of its kind",
    Rung.REFUSED: "no forecast: the reason says why",
}
REASONS = {
    Reason.NO_DATA: "no sample has come",
    Reason.SHORT_HISTORY: "too few days of history",
    Reason.STALE: "the newest sample is too old",
    Reason.GAPS: "too many samples are missing",
    Reason.MODEL_MISSING: "no model set is there to answer",
}

router = APIRouter(tags=["fleet"], responses={code: PROBLEMS[code] for code in (500, 503)})


@router.get("/v1/fleet", operation_id="getFleet", summary="The fleet in one look", responses=example(FLEET_EXAMPLE))
def get_fleet(state: StateIn) -> FleetAnswer:
    """VMs by rung and by reason, freshness, coverage, and the fleet's now. A second old at most, or a little more."""
    minute = state.now()
    total = state.summaries.at(minute)
    age_min = None if total.data_through is None else max(0, minute - total.data_through)
    return FleetAnswer(
        now=format_iso(minute),
        speed=read_clock(state.deps.stores.control).speed,
        vms=total.vms,
        stale=age_min is None or age_min > state.deps.limits.stale_after_min,
        data_through=iso(total.data_through),
        age_min=age_min,
        made_at=iso(total.made_at),
        model=total.model,
        data_coverage_7d=round(total.coverage, 4) if total.vms else None,
        rungs=[
            RungCount(rung=rung.name.lower(), vms=int(total.rungs[rung]), meaning=meaning)
            for rung, meaning in RUNGS.items()
        ],
        reasons=[
            ReasonCount(reason=reason.name, vms=int(total.reasons[reason]), meaning=meaning)
            for reason, meaning in REASONS.items()
        ],
    )


@router.get(
    "/v1/fleet/windows",
    operation_id="getFleetWindows",
    summary="The next windows by hour",
    responses=example(FLEET_WINDOWS_EXAMPLE),
)
def get_fleet_windows(state: StateIn) -> FleetWindowsAnswer:
    """How many VMs have the best window of their latest forecast in each hour to come, and the load there.

    A VM whose best window has passed counts as without one until its next forecast.
    """
    minute = state.now()
    total = state.summaries.at(minute)
    return FleetWindowsAnswer(
        now=format_iso(minute),
        data_through=iso(total.data_through),
        made_at=iso(total.made_at),
        model=total.model,
        hours=[_hour(total, i) for i in range(HOURS_AHEAD)],
        without_window=total.vms - int(total.windows.sum()),
    )


def _hour(total: Summary, i: int) -> FleetHour:
    return FleetHour(
        start=format_iso(total.first_hour + i * HOUR_MIN),
        windows=int(total.windows[i]),
        window_load_pct=_mean(float(total.window_load[i]), int(total.windows[i])),
        fleet_load_pct=_mean(float(total.fleet_load[i]), int(total.fleet[i])),
    )


def _mean(load: float, vms: int) -> float | None:
    return round(load / vms, 2) if vms else None
