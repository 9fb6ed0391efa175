"""Every method on the same VM-days: our served records, the plain rules, and the forecasting peers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batch.peers import RULES, by_hours
from batch.recorded import history_at
from batch.regrets import Table, clusters_of, table_of
from batch.rolling import Asked, Loads, Method, Records, asked_at, loads_of, origins_between, served, starts_of
from batch.train import How, TrainedSet, train_set
from batch.windows import said_of
from models.baseline import HourOfDay, KindProfile
from models.calibration import Calibration, confidence
from models.effort import Effort
from models.forecast import NO_START, Forecaster, Rung, take_vms
from models.minutes import HOUR_MIN, STEP_MIN, Minute
from models.score import mae
from tests.bench.accuracy_data import Split
from tests.bench.accuracy_peers import Answered, Question, forecasts
from tests.bench.lines import say

OURS = "ours"
ORIGIN_STEP_H = 29  # so that every hour of the day is an origin
DAY_H = 24
LENGTHS_MIN = (10, 30)
CONFIDENCE_LENGTHS_MIN = (10, 30, 60, 120)
ASKED_LOADS_PCT = (1.5, 4.0, 6.0, 10.0, 15.0, 25.0, 40.0, 60.0, 80.0)  # others than those that sureness learned from
BINS = 10

Wear = Callable[[Asked], Asked]


class Predicted(NamedTuple):
    """What we said and what came, by VM and hour of the first 24: float32[n, 24] each, and vm int64[n]."""

    p50: NDArray[np.float32]
    p90: NDArray[np.float32]
    truth: NDArray[np.float32]
    vm: NDArray[np.int64]


class Judged(NamedTuple):
    """hourly, short: regrets on the hour and by length; predicted: ours; errors: MAE by method.

    said, kept: float64[windows], the confidence of chosen windows and whether it came so.
    """

    hourly: Table
    short: Mapping[int, Table]
    predicted: Predicted
    errors: Mapping[str, float]
    said: NDArray[np.float64]
    kept: NDArray[np.float64]


def trained(split: Split, effort: Effort, vms: NDArray[np.int64] | None = None) -> TrainedSet:
    """A set of what lies before the split; of some of the VMs where they are named."""
    fleet = split.fleet if vms is None else split.fleet.take(vms)
    width = (split.train_end - fleet.start) // HOUR_MIN
    history = history_at(fleet, split.train_end, width)
    how = How(effort, partial(asked_at, fleet))
    return train_set(history, how, lambda _share, what: say(f"  {what}"))


def ladder(made: TrainedSet) -> list[Forecaster]:
    """As served: the set, and the rungs below it."""
    return [made.forecaster, HourOfDay(), KindProfile()]


def peers_of(split: Split, names: Sequence[str], threads: int, sample: NDArray[np.int64]) -> dict[str, Answered]:
    """The forecasting peers at every origin."""
    fleet = split.fleet
    origins = [(origin - fleet.start) // HOUR_MIN for origin in origins_of(split)]
    everyone = np.arange(len(fleet.ids))
    train_end = (split.train_end - fleet.start) // HOUR_MIN
    question = Question(fleet.hours, fleet.start, train_end, np.array(origins), DAY_H, sample, everyone)
    return forecasts(question, names, threads)


def origins_of(split: Split) -> list[Minute]:
    """Where to ask."""
    return list(origins_between(split.first, split.fleet.end, ORIGIN_STEP_H))


def judged(
    split: Split,
    made: TrainedSet,
    peers: Mapping[str, Answered],
    wear: Wear | None = None,
    rules: Sequence[str] = tuple(RULES),
) -> Judged:
    """Ask everybody at every origin, then look what came."""
    fleet = split.fleet
    rung, table = ladder(made), made.calibration
    if table is None:
        raise ValueError("calibration: expected one of the held-out days, got none. Give more VMs or days.")
    hourly: list[Loads] = []
    short: dict[int, list[Loads]] = {length: [] for length in LENGTHS_MIN}
    heads: list[Predicted] = []
    promises: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    said_hours: dict[str, list[NDArray[np.float32]]] = {name: [] for name in peers}
    for number, origin in enumerate(origins_of(split)):
        asked = asked_at(fleet, origin) if wear is None else wear(asked_at(fleet, origin))
        records = served(asked.history, rung)
        answers = {name: answer.predictions[number] for name, answer in peers.items()}
        methods = {name: RULES[name] for name in rules} | {
            name: partial(by_hours, given(hours)) for name, hours in answers.items()
        }
        hourly.append(_loads(asked, records, methods, HOUR_MIN, whole_hours=True))
        for length, parts in short.items():
            parts.append(_loads(asked, records, methods, length, whole_hours=False))
        heads.append(_heads(asked, records))
        for name, hours in answers.items():
            said_hours[name].append(np.clip(hours, 0, 100))
        promises += [_promised(asked, records, table, length) for length in CONFIDENCE_LENGTHS_MIN]
    clusters = clusters_of(fleet.hours)
    vms = [np.arange(len(fleet.ids))] * len(hourly)
    predicted = Predicted(*(np.concatenate(columns) for columns in zip(*heads, strict=True)))
    return Judged(
        table_of(hourly, vms, clusters),
        {length: table_of(parts, vms, clusters) for length, parts in short.items()},
        predicted,
        _errors(predicted, {name: np.concatenate(parts) for name, parts in said_hours.items()}),
        *(np.concatenate(columns) for columns in zip(*promises, strict=True)),
    )


def confidence_error(said: NDArray[np.float64], kept: NDArray[np.float64]) -> float:
    """Mean absolute difference of said and observed over ten bins of equal width of what was said."""
    known = ~(np.isnan(said) | np.isnan(kept))
    bins = np.minimum((said[known] * BINS).astype(np.int64), BINS - 1)
    differences = [
        abs(float(said[known][bins == k].mean() - kept[known][bins == k].mean())) for k in np.unique(bins).tolist()
    ]
    return float(np.mean(differences))


def cpu_s_per_10k(split: Split, made: TrainedSet, vms: int = 10_000, repeats: int = 5) -> float:
    """CPU seconds from histories of 10,000 VMs to their records and default windows, the median of some runs."""
    rows = np.arange(vms) % len(split.fleet.ids)
    history = take_vms(asked_at(split.fleet, split.first).history, rows)
    taken_s = []
    for _ in range(repeats):
        began_s = time.process_time()
        starts_of(served(history, [made.forecaster]), 10, DAY_H, whole_hours=False)
        taken_s.append(time.process_time() - began_s)
    return float(np.median(taken_s)) * 10_000 / vms


def _loads(asked: Asked, records: Records, methods: Mapping[str, Method], minutes: int, *, whole_hours: bool) -> Loads:
    starts = {name: method(asked, minutes, whole_hours) for name, method in methods.items()}
    starts[OURS] = starts_of(records, minutes, asked.day_h, whole_hours=whole_hours)
    return loads_of(asked, starts, minutes, whole_hours=whole_hours)


def given(hours: NDArray[np.float32]) -> Callable[[Asked], NDArray[np.float32]]:
    """A forecast that has been made already."""
    return lambda _asked: hours


def _heads(asked: Asked, records: Records) -> Predicted:
    p50, p90 = ((records[head][:, :DAY_H] / 100).astype(np.float32) for head in ("p50", "p90"))
    return Predicted(p50, p90, asked.hours[:, :DAY_H], np.arange(len(p50)))


def _errors(predicted: Predicted, peers: Mapping[str, NDArray[np.float32]]) -> dict[str, float]:
    """MAE by method, all on the hours that every one of them forecast."""
    complete = ~np.isnan(predicted.truth)
    for hours in peers.values():
        complete &= ~np.isnan(hours)
    truth = np.where(complete, predicted.truth, np.nan)
    return {name: mae(hours, truth) for name, hours in {OURS: predicted.p50, **peers}.items()}


def _promised(
    asked: Asked, records: Records, table: Calibration, minutes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P(load <= max_load) of each chosen window for several max_loads, and whether it was so; NaN = not known."""
    starts = starts_of(records, minutes, DAY_H, whole_hours=False)
    there = (starts != NO_START) & (records["rung"] == Rung.CHAMPION)
    _, p50, p90 = said_of(records, starts, minutes)
    columns = np.where(there, starts, 0)[:, None] + np.arange(minutes // STEP_MIN)
    load = np.where(there, asked.came[np.arange(len(starts))[:, None], columns].mean(axis=1), np.nan)
    limits = np.array(ASKED_LOADS_PCT)[:, None]
    sure = confidence(table, p50[there], p90[there], limits, minutes)
    load = np.broadcast_to(load[there], sure.shape)
    blank = np.where(np.isnan(load), np.nan, 0.0)
    return (sure + blank).ravel(), np.asarray((load <= limits) + blank, dtype=np.float64).ravel()
