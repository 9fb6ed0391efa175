"""What API v1 answers of days that are over: judgements of the fleet's forecasts, and one VM's window of yesterday.

As in `api_models`: times are ISO 8601 in UTC, loads percent of the VM's allocation, null is "not known".
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stream.api_models import Id, Pct, ReasonName, Record, RungName, Share, Time

Regret = Annotated[float, Field(examples=[0.31], description="0: the quietest window that there was, 1: a random one")]


class JudgementOut(Record):
    """What became of the forecasts that one rung made of the day from `start` to `end`; null is over nothing known."""

    start: Time
    end: Time
    judged_at: Time
    model: str = Field(examples=["set-000003"])
    rung: RungName
    minutes: int = Field(examples=[10], description="length of the chosen windows")
    vms: int = Field(description="VMs of which an hour or the window is known")
    vm_days: int = Field(description="those behind regret_macro: the day is known, and not flat")
    regret_macro: Regret | None = Field(description="mean over VMs of (chosen - best) / (day's mean - best)")
    regret_pooled: Regret | None = Field(description="sum over VMs of chosen - best, over that of day's mean - best")
    interval_coverage: Share | None = Field(description="share of the hours at or under their P90; 0.9 is right")
    confidence_said: Share | None = Field(description="mean confidence of the chosen windows")
    confidence_observed: Share | None = Field(description="share of them whose load was within max_load")
    mae_pct: Pct | None = Field(description="mean absolute error of the P50, points")


class JudgementsAnswer(Record):
    """Judged days, the newest first; of a day one line for each model and rung."""

    judgements: list[JudgementOut]


class ChosenOut(Record):
    """The window that was chosen, as it was promised and as it came."""

    start: Time
    end: Time
    minutes: int = Field(examples=[10])
    expected_load_pct: Pct
    load_pct: Pct | None = Field(description="mean load that came; null: not known, or too little of the day is")
    confidence: Share | None = Field(description="P(load_pct <= max_load_pct) as it was said")
    max_load_pct: Pct
    within_max_load: bool | None


class YesterdayAnswer(Record):
    """One VM on the newest judged day; what is null is not known, and `detail` says why."""

    vm_id: Id
    start: Time | None = Field(description="of the day that the window was chosen from")
    end: Time | None
    model: str | None = Field(examples=["set-000003"])
    rung: RungName | None
    reason: ReasonName | None
    detail: str
    chosen: ChosenOut | None
    best_start: Time | None = Field(description="start of the quietest window that could have been chosen")
    best_load_pct: Pct | None
    mean_load_pct: Pct | None = Field(description="of the hours that the window was chosen from")
    regret: Regret | None
    hours: int = Field(description="hours of the day that are known")
    hours_under_p90: int
