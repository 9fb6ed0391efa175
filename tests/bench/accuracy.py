"""How good windows and forecasts are, ours beside every peer: `name: value` lines on stdout, tables on stderr.

Nothing is tuned on what is tested: Bitbrains is learned from in July and asked in August, Azure in its first 20 days,
PlanetLab never. `--quick` asks fewer VMs, origins and peers, and says little beyond that the benchmark works.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from batch.peers import RULES, by_hours
from batch.regrets import Table, bars, difference, table_of
from batch.rolling import Method, asked_at, loads_of, served, starts_of
from batch.train import TrainedSet
from models.effort import Effort
from models.minutes import HOUR_MIN
from models.score import interval_coverage
from tests.bench import accuracy_run as run
from tests.bench.accuracy_data import (
    PLANETLAB_KNOWN_H,
    Split,
    azure,
    bitbrains,
    holed,
    need_traces,
    planetlab,
    shortened,
)
from tests.bench.accuracy_peers import GLOBAL, LOCAL, Answered, Question, forecasts
from tests.bench.lines import result, say

PLAIN = "lightgbm_l2"  # the one whose cost is compared
HOUR_OF_DAY = "hour-of-day mean 7 d"
SHORT_HISTORY_H = 72
LOST_SHARE = 0.3
UNSEEN_SHARE = 0.3
SEED = 7


class Size(NamedTuple):
    """How much is asked."""

    every: int
    vm_days: int
    peers: tuple[str, ...]
    local: tuple[str, ...]
    planetlab_every: int


FULL = Size(1, 12_000, GLOBAL, LOCAL, 1)
QUICK = Size(10, 1_500, (PLAIN, "lightgbm_l1_scaled"), (), 50)


def main() -> None:
    """Every scenario, one after the other."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="a minute of it")
    size = QUICK if options.parse_args().quick else FULL
    need_traces()
    effort = Effort(SEED, os.cpu_count() or 1, vm_days=size.vm_days)
    split = bitbrains(size.every)
    began_s = time.monotonic()
    made = run.trained(split, effort)
    train_s = time.monotonic() - began_s
    peers = run.peers_of(split, size.peers, effort.threads, np.arange(0))
    _august(split, made, peers)
    _worn(split, made)
    _unseen(split, effort, size)
    _azure(effort, size)
    _planetlab(made, effort, size)
    if size.local:
        _local(split, made, effort, size)
    result("infer_s_per_10k", run.cpu_s_per_10k(split, made), 3)
    result("infer_s_per_10k_mlforecast", peers[PLAIN].infer_s_per_10k, 3)
    result("train_s", train_s, 1)


def _august(split: Split, made: TrainedSet, peers: Mapping[str, Answered]) -> None:
    judged = run.judged(split, made, peers)
    _show("Bitbrains, August, hours", judged.hourly, peers)
    for length, table in judged.short.items():
        _show(f"Bitbrains, August, {length} minutes", table, peers)
    regrets = {name: judged.hourly.regret(name) for name in judged.hourly.loads.chosen}
    for measure in ("macro", "pooled"):
        values = {name: float(getattr(regret, measure)) for name, regret in regrets.items()}
        _pair(f"regret_{measure}", values)
    for length, table in judged.short.items():
        _pair(f"regret_{length}m", {name: table.regret(name).macro for name in table.loads.chosen})
    _pair("mae", judged.errors)
    heads = judged.predicted
    result("coverage_p90", interval_coverage(heads.p90, heads.truth), 3)
    by_vm = [interval_coverage(heads.p90[heads.vm == vm], heads.truth[heads.vm == vm]) for vm in np.unique(heads.vm)]
    result("coverage_p90_vm_p10", float(np.nanquantile(by_vm, 0.1)), 3)
    result("confidence_error", run.confidence_error(judged.said, judged.kept), 4)


def _worn(split: Split, made: TrainedSet) -> None:
    """The same questions, as if less had been recorded."""
    wears = {"short_history": partial(shortened, hours=SHORT_HISTORY_H), "missing30": partial(holed, share=LOST_SHARE)}
    for name, wear in wears.items():
        table = run.judged(split, made, {}, wear, rules=(HOUR_OF_DAY,)).hourly
        _beside_hour_of_day(name, table)


def _unseen(split: Split, effort: Effort, size: Size) -> None:
    """A set that has learned from 350 of the VMs, asked about the others."""
    order = np.random.default_rng(SEED).permutation(len(split.fleet.ids))
    unseen = np.sort(order[: int(len(order) * UNSEEN_SHARE)])
    made = run.trained(split, effort, np.setdiff1d(order, unseen))
    rest = split._replace(fleet=split.fleet.take(unseen))
    _beside_hour_of_day("unseen", run.judged(rest, made, {}, rules=(HOUR_OF_DAY,)).hourly)


def _azure(effort: Effort, size: Size) -> None:
    split = azure(1 if size.every == 1 else 3)
    made = run.trained(split, effort)
    peers = run.peers_of(split, size.peers, effort.threads, np.arange(0))
    table = run.judged(split, made, peers).hourly
    _show("Azure, hours", table, peers)
    _pair("azure_regret_macro", {name: table.regret(name).macro for name in table.loads.chosen})
    best = _best({name: table.regret(name).macro for name in table.loads.chosen})
    low, high = difference(table, run.OURS, best)[0]
    say(f"Azure: ours less {best}: between {low:+.3f} and {high:+.3f}")


def _planetlab(made: TrainedSet, effort: Effort, size: Size) -> None:
    """Half a day is known, the quietest hour of the other half is asked.

    The peers learn from the whole days of five dates and are asked on five later ones; our set has learned from
    Bitbrains alone, for no VM here lives for the three days that training needs.
    """
    days = planetlab(size.planetlab_every)
    fleet = days.fleet
    origin = fleet.start + PLANETLAB_KNOWN_H * HOUR_MIN
    asked = asked_at(fleet, origin, day_h=24 - PLANETLAB_KNOWN_H)
    column, horizon = np.array([PLANETLAB_KNOWN_H]), 24 - PLANETLAB_KNOWN_H
    nobody = np.arange(0)
    question = Question(fleet.hours, fleet.start, 24, column, horizon, nobody, days.learned, PLANETLAB_KNOWN_H)
    plain = tuple(name for name in size.peers if not name.endswith("_diff24"))
    peers = forecasts(question, plain, effort.threads)
    methods: dict[str, Method] = {"now": RULES["now"]}
    methods |= {name: partial(by_hours, run.given(answer.predictions[0])) for name, answer in peers.items()}
    starts = {name: method(asked, HOUR_MIN, True) for name, method in methods.items()}
    records = served(asked.history, run.ladder(made))
    starts[run.OURS] = starts_of(records, HOUR_MIN, asked.day_h, whole_hours=True)
    loads = loads_of(asked, starts, HOUR_MIN, whole_hours=True)
    later = np.full(len(fleet.ids), np.nan)
    later[days.asked] = 0.0
    table = table_of([loads._replace(best=loads.best + later)], [np.arange(len(fleet.ids))], np.arange(len(fleet.ids)))
    _show("PlanetLab, hours", table, peers)
    _pair("planetlab_regret_macro", {name: table.regret(name).macro for name in table.loads.chosen})


def _local(split: Split, made: TrainedSet, effort: Effort, size: Size) -> None:
    """Peers that fit each series anew are too slow for all of them: a sample, ours on the same VM-days."""
    sample = np.arange(0, len(split.fleet.ids), len(split.fleet.ids) // 20)
    peers = run.peers_of(split, size.local, effort.threads, sample)
    for name, answer in peers.items():
        table = run.judged(split, made, {name: answer}).hourly
        days = int((~np.isnan(table.loads.best)).sum())
        said = ", ".join(f"{who} {table.regret(who).macro:.3f}" for who in (run.OURS, name, HOUR_OF_DAY))
        say(f"{name}, a sample of {days} VM-days: {said}; {answer.infer_s_per_10k:,.0f} CPU s for 10,000 VMs")


def _pair(name: str, values: Mapping[str, float]) -> None:
    """Ours, and the best of the others."""
    best = _best(values)
    result(name, values[run.OURS], 4)
    say(f"{name}: the best peer is {best}, ours is {values[run.OURS] / values[best]:.3f} times its")
    result(f"{name}_best_peer", values[best], 4)


def _best(values: Mapping[str, float]) -> str:
    others = {name: value for name, value in values.items() if name != run.OURS and not np.isnan(value)}
    return min(others, key=lambda name: others[name])


def _beside_hour_of_day(name: str, table: Table) -> None:
    result(f"{name}_regret_macro", table.regret(run.OURS).macro, 4)
    result(f"{name}_regret_macro_hour_of_day", table.regret(HOUR_OF_DAY).macro, 4)


def _show(title: str, table: Table, peers: Mapping[str, Answered]) -> None:
    names = sorted(table.loads.chosen, key=lambda name: table.regret(name).macro)
    spans = bars(table, names)
    say(f"\n{title}: {table.regret(run.OURS).vm_days:,} VM-days with a quiet time to find")
    say(f"{'':24}{'macro':>8}{'95 %':>16}{'>= 1 pt':>9}{'pooled':>8}{'95 %':>16}{'CPU s/10k':>11}")
    for name in names:
        regret, (macro, pooled) = table.regret(name), spans[name]
        cost = f"{peers[name].infer_s_per_10k:11.2f}" if name in peers else ""
        say(
            f"{name:24}{regret.macro:8.3f}{f'{macro.low:.3f} - {macro.high:.3f}':>16}{regret.macro_ge_1:9.3f}"
            f"{regret.pooled:8.3f}{f'{pooled.low:.3f} - {pooled.high:.3f}':>16}{cost}"
        )


if __name__ == "__main__":
    main()
