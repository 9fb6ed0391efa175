"""From loads in chosen windows to a table: regrets by method, with error bars over clusters of near-clone VMs.

VMs that do the same at the same time (a scaled-out service) are one witness, not many: what is drawn anew in the
bootstrap is the cluster. Source: Efron & Tibshirani, "An introduction to the bootstrap" (1993), by blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batch.rolling import Loads
from models.daily import mean_known
from models.forecast import Floats
from models.score import MACRO_FLOOR_PCT, Regret, window_regret

CLONE_CORRELATION = 0.9
RESAMPLES = 1_000

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Table(NamedTuple):
    """Loads of every method on the same VM-days, float64[n]; cluster, vm: int64[n], whose day it is."""

    loads: Loads
    vm: Ints
    cluster: Ints

    def regret(self, method: str, where: npt.NDArray[np.bool_] | slice = slice(None)) -> Regret:
        """Of one method, over some of the VM-days."""
        loads = self.loads
        return window_regret(loads.chosen[method][where], loads.best[where], loads.mean[where])

    def take(self, where: npt.NDArray[np.bool_]) -> Table:
        """Some of the VM-days."""
        chosen = {name: load[where] for name, load in self.loads.chosen.items()}
        return Table(Loads(chosen, self.loads.best[where], self.loads.mean[where]), self.vm[where], self.cluster[where])


class Bar(NamedTuple):
    """95 % of the resamples lie within low and high."""

    low: float
    high: float


def table_of(parts: Sequence[Loads], vms: Sequence[Ints], clusters: Ints) -> Table:
    """One table of several origins; vms: whose day each row of a part is; clusters: int64[all VMs]."""
    methods = parts[0].chosen
    chosen = {name: np.concatenate([part.chosen[name] for part in parts]) for name in methods}
    best, mean = (np.concatenate([getattr(part, name) for part in parts]) for name in ("best", "mean"))
    vm = np.concatenate(vms)
    return Table(Loads(chosen, best, mean), vm, clusters[vm])


def clusters_of(hours: Floats) -> Ints:
    """A number for each VM, the same for near-clones: int64[n], from float32[n, h] hourly means.

    VMs whose hours correlate over 0.9 are joined, and so are those joined with these. A VM that never moves is alone.
    """
    moved = hours - mean_known(hours, axis=1)[:, None]
    known = np.nan_to_num(moved).astype(np.float64)
    norm = np.sqrt((known * known).sum(axis=1, keepdims=True))
    unit = np.divide(known, norm, out=np.zeros_like(known), where=norm > 0)
    alike = unit @ unit.T > CLONE_CORRELATION
    number = np.arange(len(hours))
    while True:  # the lowest number of all that a VM is alike, until nothing moves
        lowest = np.where(alike, number[None, :], len(hours)).min(axis=1, initial=len(hours))
        lowest = np.minimum(number, lowest)
        if (lowest == number).all():
            return number
        number = lowest


def bars(table: Table, methods: Sequence[str], seed: int = 0) -> Mapping[str, tuple[Bar, Bar]]:
    """Error bars of regret macro and pooled, by method: the clusters drawn anew a thousand times."""
    draws = _draws(table, seed)
    return {name: (_bar(macro), _bar(pooled)) for name in methods for macro, pooled in [_drawn(table, name, draws)]}


def difference(table: Table, ours: str, peer: str, seed: int = 0) -> tuple[Bar, Bar]:
    """Error bars of our regret less the peer's, macro and pooled, on the same draws."""
    draws = _draws(table, seed)
    (a_macro, a_pooled), (b_macro, b_pooled) = _drawn(table, ours, draws), _drawn(table, peer, draws)
    return _bar(a_macro - b_macro), _bar(a_pooled - b_pooled)


def _draws(table: Table, seed: int) -> Doubles:
    """How often each cluster is drawn: float64[RESAMPLES, clusters]."""
    count = len(np.unique(table.cluster))
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)


def _drawn(table: Table, method: str, draws: Doubles) -> tuple[Doubles, Doubles]:
    """Regret macro and pooled of each resample."""
    excess = table.loads.chosen[method] - table.loads.best
    room = table.loads.mean - table.loads.best
    complete = ~(np.isnan(excess) | np.isnan(room))
    counts = complete & (room >= MACRO_FLOOR_PCT)
    number = np.unique(table.cluster, return_inverse=True)[1]

    def by_cluster(values: Doubles, where: npt.NDArray[np.bool_]) -> Doubles:
        return draws @ np.bincount(number[where], weights=values[where], minlength=draws.shape[1])

    ones = np.ones(len(room))
    ratio = np.divide(excess, room, out=np.zeros_like(room), where=counts)
    macro = by_cluster(ratio, counts) / np.maximum(by_cluster(ones, counts), 1)
    pooled = by_cluster(excess, complete) / np.maximum(by_cluster(room, complete), 1e-9)
    return macro, pooled


def _bar(values: Doubles) -> Bar:
    low, high = np.quantile(values, (0.025, 0.975))
    return Bar(float(low), float(high))
