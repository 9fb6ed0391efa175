"""What became of forecasts: the fleet's judged days, and one VM's window of the newest of them."""

from __future__ import annotations

from math import isnan
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from models.fleet import Vm
from models.forecast import NO_START, Reason, Rung
from models.judge import Verdicts
from models.minutes import DAY_MIN, STEP_MIN, Minute, Span, format_iso
from models.score import window_regret
from stream.api_deps import State, StateIn, VmId, known_subject
from stream.api_examples import JUDGEMENTS_EXAMPLE, YESTERDAY_EXAMPLE, example
from stream.api_models_judged import ChosenOut, JudgementOut, JudgementsAnswer, YesterdayAnswer
from stream.judging import Judged, Measure, judge_row
from stream.problems import PROBLEMS
from stream.stores.judgements import JudgedRun, Judgement, read_judged
from stream.stores.protocols import ForecastRow

MAX_DAYS = 400

router = APIRouter(responses={code: PROBLEMS[code] for code in (422, 500, 503)})


@router.get(
    "/v1/judgements",
    tags=["fleet"],
    operation_id="listJudgements",
    summary="What became of the forecasts",
    responses=example(JUDGEMENTS_EXAMPLE),
)
def list_judgements(
    state: StateIn, limit: Annotated[int, Query(ge=1, le=MAX_DAYS, description="judged days wanted")] = MAX_DAYS
) -> JudgementsAnswer:
    """Each logged run of forecasts whose day is over, by model and rung; kept for 14 days.

    Regret, coverage of the P90, and confidence as it was said and as it came.
    """
    runs = read_judged(state.deps.stores.control)[:limit]
    return JudgementsAnswer(judgements=[_judgement(run, one) for run in runs for one in run.judgements])


@router.get(
    "/v1/vms/{vm_id}/yesterday",
    tags=["VMs"],
    operation_id="getYesterday",
    summary="What became of one VM's window",
    responses={404: PROBLEMS[404], **example(YESTERDAY_EXAMPLE)},
)
def get_yesterday(state: StateIn, vm_id: VmId) -> YesterdayAnswer:
    """The window that was chosen on the newest judged day, against the quietest that there was and the day's mean."""
    vm, _ = known_subject(state.deps.stores, vm_id)
    run = next(iter(read_judged(state.deps.stores.control)), None)
    if run is None:
        return _nothing(vm_id, None, "No day has been judged yet: the first one is when it is over.")
    row, judged = _judged(state, run, vm)
    if row is None or judged is None:
        return _nothing(vm_id, run.first_minute, "It was not forecast then.")
    return _answer(vm_id, run, row, judged)


def _judged(state: State, run: JudgedRun, vm: Vm) -> tuple[ForecastRow | None, Judged | None]:
    """The row of that run that has a record of this VM, with the verdict on it."""
    deps = state.deps
    measure = Measure(deps.calibration, deps.limits.max_load_pct, run.minutes)
    blocks = sorted({placement.block for placement in vm.placements})
    rows = deps.stores.forecasts.logged(Span(run.first_minute, run.first_minute + 1), blocks)
    for row in sorted(rows, key=lambda one: -one.made_at):
        judged = judge_row(deps.stores, measure, row, [vm])
        if len(judged.slots):
            return row, judged
    return None, None


def _judgement(run: JudgedRun, one: Judgement) -> JudgementOut:
    return JudgementOut(
        start=format_iso(run.first_minute),
        end=format_iso(run.first_minute + DAY_MIN),
        judged_at=format_iso(run.judged_at),
        model=one.model,
        rung=one.rung,
        minutes=run.minutes,
        vms=one.vms,
        vm_days=one.vm_days,
        regret_macro=_rounded(one.regret_macro, 4),
        regret_pooled=_rounded(one.regret_pooled, 4),
        interval_coverage=_rounded(one.interval_coverage, 4),
        confidence_said=_rounded(one.confidence_said, 4),
        confidence_observed=_rounded(one.confidence_observed, 4),
        mae_pct=_rounded(one.mae_pct, 3),
    )


def _nothing(vm_id: str, start: Minute | None, detail: str) -> YesterdayAnswer:
    return YesterdayAnswer(
        vm_id=vm_id,
        start=None if start is None else format_iso(start),
        end=None if start is None else format_iso(start + DAY_MIN),
        model=None,
        rung=None,
        reason=None,
        detail=detail,
        chosen=None,
        best_start=None,
        best_load_pct=None,
        mean_load_pct=None,
        regret=None,
        hours=0,
        hours_under_p90=0,
    )


def _answer(vm_id: str, run: JudgedRun, row: ForecastRow, judged: Judged) -> YesterdayAnswer:
    record, verdict = row.records[judged.slots[0]], judged.verdicts
    reason, best_start = Reason(int(record["reason"])), int(verdict.best_start[0])
    regret = window_regret(verdict.chosen, verdict.best, verdict.mean).macro
    return YesterdayAnswer(
        vm_id=vm_id,
        start=format_iso(run.first_minute),
        end=format_iso(run.first_minute + DAY_MIN),
        model=row.model,
        rung=Rung(int(record["rung"])).name.lower(),
        reason=reason.name if reason else None,
        detail=_in_words(record, verdict, regret),
        chosen=None if record["best"] == NO_START else _chosen(run, record, judged),
        best_start=None if best_start == NO_START else format_iso(run.first_minute + best_start * STEP_MIN),
        best_load_pct=_rounded(float(verdict.best[0]), 2),
        mean_load_pct=_rounded(float(verdict.mean[0]), 2),
        regret=_rounded(regret, 4),
        hours=int(verdict.hours[0]),
        hours_under_p90=int(verdict.under[0]),
    )


def _chosen(run: JudgedRun, record: np.void, judged: Judged) -> ChosenOut:
    start, verdict = run.first_minute + int(record["best"]) * STEP_MIN, judged.verdicts
    kept = float(verdict.kept[0])
    return ChosenOut(
        start=format_iso(start),
        end=format_iso(start + run.minutes),
        minutes=run.minutes,
        expected_load_pct=round(float(verdict.promised[0]), 2),
        load_pct=_rounded(float(verdict.chosen[0]), 2),
        confidence=_rounded(float(verdict.said[0]), 4),
        max_load_pct=float(judged.max_load_pct[0]),
        within_max_load=None if isnan(kept) else bool(kept),
    )


def _in_words(record: np.void, verdict: Verdicts, regret: float) -> str:
    chosen, best, mean = float(verdict.chosen[0]), float(verdict.best[0]), float(verdict.mean[0])
    if record["rung"] == Rung.REFUSED:
        return f"It had no forecast then: {Reason(int(record['reason'])).name}."
    if record["best"] == NO_START:
        return "No window was chosen: its owner opted out, or blackout hours left none."
    if isnan(chosen):
        return "Too little is known of that day to judge the window by."
    said = f"Chosen {chosen:.1f} %, at best {best:.1f} %, the day's mean {mean:.1f} %."
    return f"{said} So flat a day has no quiet time to find." if isnan(regret) else said


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None or isnan(number) else round(number, digits)
