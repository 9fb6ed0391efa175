"""A recorded fleet judged: train on what lies before a split, ask every method after it, gather what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batch.dataset import fit_days, origins_of
from batch.kinds import Kinds, kinds_of
from batch.peers import RULES, by_hours
from batch.recorded import Recorded, history_at
from batch.regrets import Table, clusters_of, table_of
from batch.reliability import Bins, Bounds, Kept, Sure, bins_of, bounds_of, kept_of, sure_of
from batch.rolling import Asked, Loads, Method, Records, asked_at, loads_of, origins_between, served, starts_of
from batch.spans import check_span, default_split
from batch.train import How, Progress, train_set
from models import xgb_plain
from models.baseline import HourOfDay, KindProfile, hour_of_day_mean
from models.calibration import DEFAULT, Calibration
from models.effort import Effort
from models.errors import BadInput
from models.forecast import Floats, Forecaster, History, take_vms
from models.minutes import HOUR_MIN, Minute
from models.score import mae

OURS, PLAIN, MEAN_7D, ORACLE = "ours", "plain XGBoost", "hour-of-day mean 7 d", "oracle"
ORIGIN_STEP_H = 29  # so that every hour of the day is an origin
COSTED_VMS = 2_000  # the fleet is repeated to so many: of a few VMs the calls themselves would be measured
COST_TRIES = 3
LENGTHS: Mapping[str, tuple[int, bool]] = {"60 min": (60, True), "30 min": (30, False), "10 min": (10, False)}
HOUR = "60 min"

Ints = npt.NDArray[np.int64]


class Learned(NamedTuple):
    """What training left: the ladder as it serves, its confidence table, and the plain XGBoost's forecast of hours."""

    ladder: Sequence[Forecaster]
    calibration: Calibration
    plain: Callable[[History], Floats]


class Answered(NamedTuple):
    """One origin. starts: of our whole hours, int64[n], steps; loads by LENGTHS; said: hours by method, float32[n, 24].

    records: ours, as they would have been stored; truth: float32[n, 24].
    """

    origin: Minute
    records: Records
    starts: Ints
    loads: Mapping[str, Loads]
    said: Mapping[str, Floats]
    truth: Floats
    kept: Kept
    sure: Sure


class Scored(NamedTuple):
    """What became of every method on the VMs of `fleet` after `split`.

    tables: regrets by LENGTHS; mae_pct: of what forecasts hours; cost_s: CPU seconds for 10,000 VMs, by method.
    """

    fleet: Recorded
    split: Minute
    answered: Sequence[Answered]
    tables: Mapping[str, Table]
    mae_pct: Mapping[str, float]
    bounds: Bounds
    confidence: Bins
    cost_s: Mapping[str, float]
    kinds: Kinds


def score_fleet(fleet: Recorded, split: Minute | None, effort: Effort, progress: Progress, unseen: int = 0) -> Scored:
    """Judge every method on what `fleet` did after `split` (two thirds of its span), an origin each 29 hours.

    unseen: so many VMs, drawn by the effort's seed, are kept out of training, and only they are asked about.
    BadInput where the trace is too short before or after the split, or has too few VMs.
    """
    split = default_split(fleet) if split is None else split
    check_span(fleet, split)
    taught, asked = _parted(fleet, unseen, effort.seed)
    learned = learn(taught, split, effort, lambda share, what: progress(0.7 * share, what))
    origins = list(origins_between(split, asked.end, ORIGIN_STEP_H))
    answered = []
    for k, origin in enumerate(origins):
        progress(0.7 + 0.25 * k / len(origins), f"origin {k + 1} of {len(origins)}")
        answered.append(_ask(asked_at(asked, origin), learned))
    progress(0.95, "what it costs")
    cost_s = costs_s(asked_at(asked, origins[-1]), learned)
    progress(0.97, "tables")
    clusters, everyone = clusters_of(asked.hours), [np.arange(len(asked.ids))] * len(answered)
    tables = {name: table_of([one.loads[name] for one in answered], everyone, clusters) for name in LENGTHS}
    if not tables[HOUR].regret(OURS).vm_days:
        raise BadInput(
            "trace",
            expected="days after the split of which all hours are known, and of which every method says something",
            got="none",
            remedy="Score a trace of VMs that live for weeks.",
        )
    return Scored(
        asked,
        split,
        answered,
        tables,
        _errors_pct(answered),
        bounds_of([one.kept for one in answered]),
        bins_of([one.sure for one in answered]),
        cost_s,
        kinds_of(asked.hours),
    )


def learn(fleet: Recorded, split: Minute, effort: Effort, progress: Progress) -> Learned:
    """Train ours and the plain XGBoost on the same days, all before `split`. BadInput as `train_set`."""
    history = history_at(fleet, split, (split - fleet.start) // HOUR_MIN)
    made = train_set(history, How(effort, partial(asked_at, fleet)), lambda share, what: progress(0.8 * share, what))
    progress(0.8, "training the plain XGBoost")
    lessons = fit_days(history, origins_of(history).fit, effort.vm_days, effort.seed).lessons
    plain = partial(xgb_plain.forecast, xgb_plain.train(lessons, effort))
    ladder = (made.forecaster, HourOfDay(), KindProfile())
    return Learned(ladder, DEFAULT if made.calibration is None else made.calibration, plain)


def methods_of(learned: Learned) -> Mapping[str, Method]:
    """Every method that chooses by what was known: the plain rules, the plain XGBoost, ours."""
    return {**RULES, PLAIN: partial(by_hours, lambda asked: learned.plain(asked.history)), OURS: _ours(learned)}


def costs_s(question: Asked, learned: Learned) -> dict[str, float]:
    """CPU seconds that each method takes to choose an hour for 10,000 VMs: features, forecasts and windows."""
    rows = np.arange(COSTED_VMS) % len(question.steps)
    parts = (question.steps, question.came, question.hours)
    steps, came, hours = (part[rows] for part in parts)
    many = Asked(take_vms(question.history, rows), steps, question.day_h, came, hours)
    costs = {name: _cost_s(method, many) for name, method in methods_of(learned).items()}
    return {name: cost_s * 10_000 / COSTED_VMS for name, cost_s in costs.items()}


def _cost_s(method: Method, question: Asked) -> float:
    """The least of some tries: what else runs on the machine only adds to it."""
    tries_s = []
    for _ in range(COST_TRIES):
        began_s = time.process_time()
        method(question, HOUR_MIN, True)
        tries_s.append(time.process_time() - began_s)
    return min(tries_s)


def _ours(learned: Learned) -> Method:
    def choose(asked: Asked, minutes: int, whole_hours: bool) -> Ints:
        records = served(asked.history, learned.ladder)
        return starts_of(records, minutes, asked.day_h, whole_hours=whole_hours)

    return choose


def _ask(question: Asked, learned: Learned) -> Answered:
    """Every method about one origin; each forecast is made once, for all lengths of window."""
    day = slice(0, question.day_h)
    records = served(question.history, learned.ladder)
    said = {MEAN_7D: hour_of_day_mean(question.history), PLAIN: learned.plain(question.history)}
    loads, ours = {}, {}
    for name, (minutes, whole_hours) in LENGTHS.items():
        ours[name] = starts_of(records, minutes, question.day_h, whole_hours=whole_hours)
        starts = {rule: method(question, minutes, whole_hours) for rule, method in RULES.items()}
        starts[PLAIN] = by_hours(lambda _: said[PLAIN], question, minutes, whole_hours)
        starts[OURS] = ours[name]
        found = loads_of(question, starts, minutes, whole_hours=whole_hours)
        loads[name] = found._replace(chosen={**found.chosen, ORACLE: found.best})
    said[OURS] = np.where(records["rung"][:, None] > 0, records["p50"] / np.float32(100), np.float32(np.nan))
    return Answered(
        question.history.end,
        records,
        ours[HOUR],
        loads,
        {name: hours[:, day] for name, hours in said.items()},
        question.hours[:, day],
        kept_of(question, records),
        sure_of(question, records, learned.calibration),
    )


def _errors_pct(answered: Sequence[Answered]) -> dict[str, float]:
    """MAE of what each method says of the hours, over those of which every one says something."""
    truth = np.concatenate([one.truth for one in answered])
    said = {name: np.concatenate([one.said[name] for one in answered]) for name in answered[0].said}
    complete = ~np.isnan(np.sum([*said.values()], axis=0))
    return {name: mae(np.where(complete, hours, np.float32(np.nan)), truth) for name, hours in said.items()}


def _parted(fleet: Recorded, unseen: int, seed: int) -> tuple[Recorded, Recorded]:
    """The VMs to learn from and the VMs to ask about. BadInput where none would be left of either."""
    n = len(fleet.ids)
    if not 0 <= unseen < n:
        raise BadInput(
            "--unseen", expected=f"0 to {n - 1:,} of the trace's {n:,} VMs", got=f"{unseen:,}", remedy="Name fewer."
        )
    if not unseen:
        return fleet, fleet
    order = np.random.default_rng(seed).permutation(n)
    return fleet.take(np.sort(order[unseen:])), fleet.take(np.sort(order[:unseen]))
