"""What API v1 answers: every record, with its units and an example, as OpenAPI shows it and the client returns it.

Times are ISO 8601 in UTC (`2026-03-10T12:05Z`), loads are percent of the VM's allocation, and null is "not known":
0.0 is a sample and stays 0.0.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(examples=["2026-03-10T12:05Z"])]
Pct = Annotated[float, Field(examples=[12.5])]
Share = Annotated[float, Field(ge=0, le=1, examples=[0.98])]
Id = Annotated[str, Field(examples=["vm-0042"])]
RungName = Annotated[str, Field(examples=["champion"], description="champion, hour_of_day, kind or refused")]
ReasonName = Annotated[
    str,
    Field(
        examples=["SHORT_HISTORY"],
        description="Why the rung is not the champion: NO_DATA, SHORT_HISTORY, STALE, GAPS, MODEL_MISSING or UNKNOWN; "
        "CONSTRAINTS comes with a window: the least bad, flagged",
    ),
]


class Record(BaseModel):
    """Frozen, and closed to fields that do not exist."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Standing(Record):
    """Who answers for a VM and on which data; part of every answer."""

    vm_id: Id
    rung: RungName
    reason: ReasonName | None
    data_through: Time | None = Field(description="end of the newest data behind the forecast")
    made_at: Time | None
    model: str | None = Field(examples=["set-000003"])
    data_coverage_7d: Share | None = Field(description="share of the samples expected in 7 days that came")
    age_min: int | None = Field(examples=[4], description="the fleet's now less data_through")


class WindowOut(Record):
    """A quiet time to migrate in."""

    start: Time
    end: Time
    minutes: int = Field(examples=[10])
    expected_load_pct: Pct
    p90_load_pct: Pct
    confidence: Share = Field(description="P(mean load in the window ≤ max_load)")
    regret_expected: float | None = Field(
        examples=[0.31],
        description="mean of what such windows came to: 0 = the best time there is, 1 = any time; null: not measured",
    )
    acceptable: bool
    violates: list[str] = Field(description="the constraints that it breaks", examples=[[]])
    source: str = Field(
        examples=["forecast"],
        description="forecast; or weekday: the VM's usual load at that hour of the week, beyond the forecast's hours",
    )


class WindowAnswer(Standing):
    """Windows for one VM; `flagged` says that nothing fits and `best` is the least bad."""

    detail: str = Field(examples=[""], description="the reason in words")
    best: WindowOut | None
    now: WindowOut | None = Field(description="the window that starts now")
    earliest_acceptable: WindowOut | None
    alternatives: list[WindowOut]
    flagged: bool


class WindowsAnswer(Record):
    """One answer for each id asked for, in order."""

    answers: list[WindowAnswer]


class ForecastAnswer(Standing):
    """Hourly forecast from `start` on, and how quiet each 5-minute start is (255: the quietest of this VM)."""

    start: Time | None
    step_min: int = 60
    mean_pct: list[float]
    p50_pct: list[float]
    p90_pct: list[float]
    quiet: list[int]


class HistoryAnswer(Standing):
    """Means from `start` on, null where there is a gap, and the samples behind each."""

    start: Time
    step_min: int = Field(examples=[60])
    mean_pct: list[float | None] = Field(examples=[[12.5, 0.0, None]])
    count: list[int] = Field(examples=[[60, 60, 0]])


class PolicyOut(Record):
    """What the VM's owner asks for."""

    timezone: str = Field(examples=["Asia/Shanghai"])
    blackout: list[str] = Field(examples=[["22:00-06:00"]])
    max_load_pct: float | None
    opt_out: bool


class PlacementOut(Record):
    """From `since` on the VM sits on `host`."""

    since: Time
    host: str = Field(examples=["host-007"])
    vcpus: float | None


class VmBrief(Standing):
    """One line of a list."""

    host: str = Field(examples=["host-007"])
    cluster: str = Field(examples=["c1"])
    vcpus: float | None


class VmAnswer(VmBrief):
    """One VM: its life, its placements by time, its policy and its freshness."""

    created_at: Time
    memory_mb: int | None
    interval_min: int
    policy: PolicyOut
    placements: list[PlacementOut]


class VmsAnswer(Record):
    """A page of VMs by id; `next` is the cursor of the next page, null on the last."""

    vms: list[VmBrief]
    next: str | None


class RungCount(Record):
    """VMs by rung."""

    rung: RungName
    vms: int
    meaning: str


class ReasonCount(Record):
    """VMs by reason."""

    reason: ReasonName
    vms: int
    meaning: str


class FleetAnswer(Record):
    """The fleet in one look."""

    now: Time
    speed: float | None = Field(description="of the fleet's clock; null: it follows the data")
    vms: int
    stale: bool = Field(description="the newest data is older than an answer may be")
    data_through: Time | None
    age_min: int | None
    made_at: Time | None
    model: str | None
    data_coverage_7d: Share | None
    rungs: list[RungCount]
    reasons: list[ReasonCount]


class FleetHour(Record):
    """One hour of the fleet: how many VMs have their best window in it."""

    start: Time
    windows: int
    window_load_pct: float | None = Field(description="expected load of these VMs in that hour, mean")
    fleet_load_pct: float | None = Field(description="expected load of all VMs in that hour, mean")


class FleetWindowsAnswer(Record):
    """The next windows of the fleet by hour, from the hour that holds now."""

    now: Time
    data_through: Time | None
    made_at: Time | None
    model: str | None
    hours: list[FleetHour]
    without_window: int


class Health(Record):
    """The process is there."""

    status: str = Field(examples=["ok"])
