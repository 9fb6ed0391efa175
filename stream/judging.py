"""Live judgement: logged forecasts whose day is over are held against what happened, each run of them once.

A run is due when its windows' day and the time for which a late sample still counts are past. What was missed while
nobody judged is judged next, the oldest first; what is older than judgements are kept is left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.calibration import Calibration
from models.conformal import CELLS
from models.fleet import Policy, Vm
from models.forecast import STARTS, Floats, Reason, Rung
from models.judge import Standing, Terms, Verdicts, judge, summarize, under_p90, window_weights
from models.live_shift import Tally, refreshed, tally
from models.minutes import DAY_MIN, HOUR_MIN, STEP_MIN, Minute, Span
from models.quiet import RECORD_MIN, allowed_starts
from stream.forecasting import steps_ahead
from stream.stores.history import read_means
from stream.stores.judgements import KEPT_MIN, JudgedRun, Judgement, keep_judged, read_judged, shift_in_force
from stream.stores.open import Stores
from stream.stores.protocols import ForecastRow


@dataclass(frozen=True, slots=True)
class Measure:
    """What is judged by: the table of a model set by its name, the load allowed where a VM's policy does not say, and
    how long the default windows are.
    """

    calibration: Callable[[str], Calibration]
    max_load_pct: float
    minutes: int


class Judged(NamedTuple):
    """n records of a row with their verdicts. slots: int64[n]; max_load_pct: float64[n]."""

    slots: npt.NDArray[np.int64]
    max_load_pct: npt.NDArray[np.float64]
    verdicts: Verdicts
    tally: Tally


@dataclass(slots=True)
class _Model:
    """What one model's forecasts of a run came to, block by block; the tally is of the champion's alone."""

    verdicts: list[Verdicts] = field(default_factory=list)
    tally: Tally = field(default_factory=lambda: np.zeros((CELLS, 2), np.int64))


def judge_due(stores: Stores, measure: Measure, now: Minute, settled_after_min: int) -> int:
    """Judge every run that is due at `now` and keep what comes of it; returns how many there were.

    settled_after_min: how long after its end an hour may still change. Two that judge at once keep the same, once.
    """
    judged = read_judged(stores.control)
    count = 0
    while (first_minute := _next_due(stores, judged, now, settled_after_min)) is not None:
        rows = stores.forecasts.logged(Span(first_minute, first_minute + 1))
        run = judge_run(stores, measure, rows, judged)
        keep_judged(stores.control, JudgedRun(first_minute, now, measure.minutes, *run))
        judged = read_judged(stores.control)
        count += 1
    return count


def _next_due(stores: Stores, judged: Sequence[JudgedRun], now: Minute, settled_after_min: int) -> Minute | None:
    after = max(now - KEPT_MIN, judged[0].first_minute + 1 if judged else 0)
    over = now - DAY_MIN - settled_after_min
    row = next(stores.forecasts.logged(Span(after, over + 1)), None)
    return None if row is None or row.made_at > over else row.first_minute


def judge_run(
    stores: Stores, measure: Measure, rows: Iterable[ForecastRow], judged: Sequence[JudgedRun]
) -> tuple[tuple[Judgement, ...], dict[str, list[float]]]:
    """The judgements on a run's rows, by model and rung, and each model's shift after it."""
    models: dict[str, _Model] = defaultdict(_Model)
    for row in rows:
        found = judge_row(stores, measure, row, stores.catalogue.lives([row.block]))
        models[row.model].verdicts.append(found.verdicts)
        models[row.model].tally += found.tally
    judgements = [
        _judgement(name, standing) for name, model in models.items() for standing in summarize(model.verdicts)
    ]
    shifts = {
        name: refreshed(shift_in_force(judged, name), model.tally).tolist()
        for name, model in models.items()
        if model.tally.any()
    }
    return tuple(judgements), shifts


def judge_row(stores: Stores, measure: Measure, row: ForecastRow, vms: Iterable[Vm]) -> Judged:
    """The verdicts on those records of a row that are these VMs'."""
    tenants = _tenants(row, vms)
    slots, members = np.array(list(tenants), np.int64), list(tenants.values())
    records, span = row.records[slots], Span(row.first_minute, row.first_minute + RECORD_MIN)
    five_min, _ = read_means(stores.series, members, STEP_MIN, span)
    hourly, _ = read_means(stores.series, members, HOUR_MIN, span)
    own = (vm.life.policy.max_load_pct for vm in members)
    limits = np.array([measure.max_load_pct if limit is None else limit for limit in own], np.float64)
    offered = _offered(row, [vm.life.policy for vm in members], measure.minutes)
    terms = Terms(measure.minutes, offered, limits, measure.calibration(row.model))
    champion = records["rung"] == Rung.CHAMPION
    level_pct: Floats = (records["mean"][champion].mean(axis=1) / 100.0).astype(np.float32)
    counts = tally(under_p90(records, hourly)[champion], level_pct)
    return Judged(slots, limits, judge(records, five_min, hourly, terms), counts)


def _tenants(row: ForecastRow, vms: Iterable[Vm]) -> dict[int, Vm]:
    """Whose the row's records are, by slot: a VM may have come to the block since, or gone from it."""
    created_at, known = row.records["created_at"].tolist(), (row.records["reason"] != Reason.UNKNOWN).tolist()
    return {
        place.slot: vm
        for vm in vms
        for place in vm.placements
        if place.block == row.block and known[place.slot] and created_at[place.slot] == vm.life.created_at
    }


def _offered(row: ForecastRow, policies: Sequence[Policy], minutes: int) -> npt.NDArray[np.bool_]:
    """The starts that each window was chosen from: bool[n, STARTS]."""
    steps = len(window_weights(minutes))
    first_step, last_step = steps_ahead(row.first_minute, row.made_at)
    starts = np.arange(STARTS)
    ahead = (starts >= first_step) & (starts + steps <= last_step)
    by_hours: dict[tuple[str, tuple[str, ...]], npt.NDArray[np.bool_]] = {}
    offered = np.empty((len(policies), STARTS), dtype=np.bool_)
    for index, policy in enumerate(policies):
        hours = (policy.timezone if policy.blackout else "UTC", policy.blackout)
        if hours not in by_hours:
            by_hours[hours] = ahead & allowed_starts(row.first_minute, *hours, steps)
        offered[index] = by_hours[hours]
    return offered


def _judgement(model: str, standing: Standing) -> Judgement:
    return Judgement(
        model=model,
        rung=standing.rung.name.lower(),
        vms=standing.vms,
        vm_days=standing.vm_days,
        regret_macro=_known(standing.regret_macro),
        regret_pooled=_known(standing.regret_pooled),
        interval_coverage=_known(standing.interval_coverage),
        confidence_said=_known(standing.confidence_said),
        confidence_observed=_known(standing.confidence_observed),
        mae_pct=_known(standing.mae_pct),
    )


def _known(number: float) -> float | None:
    """JSON has no NaN."""
    return None if isnan(number) else number
