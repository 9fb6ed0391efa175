"""The examples that OpenAPI shows: made of the very models, so that they cannot say what no answer says."""

from __future__ import annotations

from typing import Any

from stream.api_models import (
    FleetAnswer,
    FleetHour,
    FleetWindowsAnswer,
    ForecastAnswer,
    HistoryAnswer,
    PlacementOut,
    PolicyOut,
    ReasonCount,
    Record,
    RungCount,
    Standing,
    VmAnswer,
    VmBrief,
    VmsAnswer,
    WindowAnswer,
    WindowOut,
    WindowsAnswer,
)
from stream.api_models_judged import ChosenOut, JudgementOut, JudgementsAnswer, YesterdayAnswer

_STANDING = Standing(
    vm_id="vm-0042",
    rung="champion",
    reason=None,
    data_through="2026-03-10T12:00Z",
    made_at="2026-03-10T12:04Z",
    model="set-000003",
    data_coverage_7d=0.985,
    age_min=7,
)
_UNKNOWN = Standing(
    vm_id="vm-9999",
    rung="refused",
    reason="UNKNOWN",
    data_through=None,
    made_at=None,
    model=None,
    data_coverage_7d=None,
    age_min=None,
)


def _window(start: str, end: str, load_pct: float, regret: float) -> WindowOut:
    return WindowOut(
        start=f"2026-03-10T{start}Z",
        end=f"2026-03-10T{end}Z",
        minutes=10,
        expected_load_pct=load_pct,
        p90_load_pct=load_pct + 2.9,
        confidence=0.9848,
        regret_expected=regret,
        acceptable=True,
        violates=[],
        source="forecast",
    )


_BRIEF = VmBrief(**dict(_STANDING), host="host-007", cluster="c1", vcpus=4.0)

WINDOW_EXAMPLE = WindowAnswer(
    **dict(_STANDING),
    detail="Quietest 10 minutes from 2026-03-10T18:35Z on. Forecast by champion.",
    best=_window("18:35", "18:45", 3.25, 0.31),
    now=_window("12:07", "12:17", 21.4, 1.04),
    earliest_acceptable=_window("12:10", "12:20", 21.3, 1.04),
    alternatives=[_window("18:35", "18:45", 3.25, 0.31), _window("19:20", "19:30", 3.4, 0.33)],
    flagged=False,
)
_UNANSWERED = WindowAnswer(
    **dict(_UNKNOWN),
    detail="No forecast: no VM of this id is known.",
    best=None,
    now=None,
    earliest_acceptable=None,
    alternatives=[],
    flagged=False,
)
WINDOWS_EXAMPLE = WindowsAnswer(answers=[WINDOW_EXAMPLE, _UNANSWERED])
FORECAST_EXAMPLE = ForecastAnswer(
    **dict(_STANDING),
    start="2026-03-10T12:00Z",
    mean_pct=[21.4, 19.0],
    p50_pct=[20.9, 18.6],
    p90_pct=[27.0, 24.1],
    quiet=[0, 4, 31],
)
HISTORY_EXAMPLE = HistoryAnswer(
    **dict(_STANDING), start="2026-03-10T09:00Z", step_min=60, mean_pct=[12.5, 0.0, None], count=[60, 58, 0]
)
VM_EXAMPLE = VmAnswer(
    **dict(_BRIEF),
    created_at="2026-02-01T00:00Z",
    memory_mb=16_384,
    interval_min=1,
    policy=PolicyOut(timezone="Asia/Shanghai", blackout=["22:00-06:00"], max_load_pct=None, opt_out=False),
    placements=[PlacementOut(since="2026-02-01T00:00Z", host="host-007", vcpus=4.0)],
)
VMS_EXAMPLE = VmsAnswer(vms=[_BRIEF], next="vm-0042")
FLEET_EXAMPLE = FleetAnswer(
    now="2026-03-10T12:07Z",
    speed=1.0,
    vms=2_000,
    stale=False,
    data_through="2026-03-10T12:00Z",
    age_min=7,
    made_at="2026-03-10T12:04Z",
    model="set-000003",
    data_coverage_7d=0.985,
    rungs=[RungCount(rung="champion", vms=1_900, meaning="forecast by the trained model set")],
    reasons=[ReasonCount(reason="SHORT_HISTORY", vms=60, meaning="too few days of history")],
)
FLEET_WINDOWS_EXAMPLE = FleetWindowsAnswer(
    now="2026-03-10T12:07Z",
    data_through="2026-03-10T12:00Z",
    made_at="2026-03-10T12:04Z",
    model="set-000003",
    hours=[FleetHour(start="2026-03-10T12:00Z", windows=31, window_load_pct=4.2, fleet_load_pct=17.9)],
    without_window=100,
)

JUDGEMENTS_EXAMPLE = JudgementsAnswer(
    judgements=[
        JudgementOut(
            start="2026-03-09T06:00Z",
            end="2026-03-10T06:00Z",
            judged_at="2026-03-10T07:03Z",
            model="set-000003",
            rung="champion",
            minutes=10,
            vms=1_900,
            vm_days=1_712,
            regret_macro=0.31,
            regret_pooled=0.24,
            interval_coverage=0.903,
            confidence_said=0.962,
            confidence_observed=0.958,
            mae_pct=2.04,
        )
    ]
)
YESTERDAY_EXAMPLE = YesterdayAnswer(
    vm_id="vm-0042",
    start="2026-03-09T06:00Z",
    end="2026-03-10T06:00Z",
    model="set-000003",
    rung="champion",
    reason=None,
    detail="Chosen 3.4 %, at best 2.9 %, the day's mean 17.9 %.",
    chosen=ChosenOut(
        start="2026-03-09T18:35Z",
        end="2026-03-09T18:45Z",
        minutes=10,
        expected_load_pct=3.25,
        load_pct=3.4,
        confidence=0.9848,
        max_load_pct=80.0,
        within_max_load=True,
    ),
    best_start="2026-03-09T19:20Z",
    best_load_pct=2.9,
    mean_load_pct=17.9,
    regret=0.0333,
    hours=24,
    hours_under_p90=23,
)


def example(answer: Record) -> dict[int | str, dict[str, Any]]:
    """`answer` as the example of a route's 200."""
    return {200: {"content": {"application/json": {"example": answer.model_dump(mode="json")}}}}
