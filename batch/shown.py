"""Which VMs and days to look at: where our choice of windows did best and worst."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batch.regrets import Table
from batch.scoring import HOUR, OURS, Scored
from models.forecast import Floats
from models.inside import HOUR_STEPS
from models.minutes import DAY_STEPS, STEP_MIN, Minute
from models.score import CLEAR_FLOOR_PCT

EACH = 3
DAY_H = DAY_STEPS // HOUR_STEPS

Doubles = npt.NDArray[np.float64]


class ShownDay(NamedTuple):
    """A VM's day from `origin` on. load: float32[288], 5-minute means; p50, p90: float32[24], hours; all in percent.

    chosen, best: first steps of the chosen and of the quietest hour; chosen_pct, best_pct, mean_pct: loads in these and
    over the day; regret: the VM's over all its days, pooled.
    """

    vm_id: str
    origin: Minute
    load: Floats
    p50: Floats
    p90: Floats
    chosen: int
    best: int
    chosen_pct: float
    best_pct: float
    mean_pct: float
    regret: float


class Shown(NamedTuple):
    """Days of the best and the worst VMs."""

    best: list[ShownDay]
    worst: list[ShownDay]


def days_to_show(scored: Scored) -> Shown:
    """A day each of up to EACH best and worst VMs, near-clones left out: where the choice won, or lost, most points.

    Only VM-days with a clear quiet time (a point or more under the day's mean) count, and VMs with half as many of them
    as any has.
    """
    table = scored.tables[HOUR]
    excess, room = table.loads.chosen[OURS] - table.loads.best, table.loads.mean - table.loads.best
    counts = ~np.isnan(excess) & (room >= CLEAR_FLOOR_PCT)
    n = len(scored.fleet.ids)
    total = np.bincount(table.vm[counts], room[counts], n)
    regret = np.divide(np.bincount(table.vm[counts], excess[counts], n), total, out=np.full(n, np.nan), where=total > 0)
    clear_days = np.bincount(table.vm[counts], minlength=n)
    enough = np.flatnonzero((clear_days > 0) & (2 * clear_days >= clear_days.max()))
    order = _one_a_cluster(enough[np.argsort(regret[enough], kind="stable")], table, n)
    each = min(EACH, len(order) // 2)
    gain = np.where(counts, room - excess, -np.inf)
    loss = np.where(counts, excess, -np.inf)
    return Shown(
        [_day(scored, vm, _where_most(gain, table, vm), regret) for vm in order[:each]],
        [_day(scored, vm, _where_most(loss, table, vm), regret) for vm in order[::-1][:each]],
    )


def _one_a_cluster(order: npt.NDArray[np.intp], table: Table, n: int) -> list[int]:
    """The first of each cluster in `order`."""
    cluster = np.empty(n, np.int64)
    cluster[table.vm] = table.cluster
    first = np.sort(np.unique(cluster[order], return_index=True)[1])
    return [int(vm) for vm in order[first]]


def _where_most(values: Doubles, table: Table, vm: int) -> int:
    """The row of this VM's day with the largest value."""
    rows = np.flatnonzero(table.vm == vm)
    return int(rows[values[rows].argmax()])


def _day(scored: Scored, vm: int, row: int, regret: Doubles) -> ShownDay:
    loads = scored.tables[HOUR].loads
    answered = scored.answered[row // len(scored.fleet.ids)]
    column = (answered.origin - scored.fleet.start) // STEP_MIN
    record = answered.records[vm]
    return ShownDay(
        vm_id=scored.fleet.ids[vm],
        origin=answered.origin,
        load=scored.fleet.steps[vm, column : column + DAY_STEPS],
        p50=(record["p50"][:DAY_H] / 100).astype(np.float32),
        p90=(record["p90"][:DAY_H] / 100).astype(np.float32),
        chosen=int(answered.starts[vm]),
        best=int(answered.truth[vm].argmin()) * HOUR_STEPS,
        chosen_pct=float(loads.chosen[OURS][row]),
        best_pct=float(loads.best[row]),
        mean_pct=float(loads.mean[row]),
        regret=float(regret[vm]),
    )
