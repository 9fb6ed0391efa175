"""Regret by kind of VM: what a mean over the fleet hides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from batch.kinds import LOADS, RHYTHMS
from batch.peers import RULES
from batch.regrets import Bar, bars
from batch.scoring import HOUR, OURS, PLAIN, Scored
from batch.summary import Row

LEAST_DAYS = 10  # of a kind with fewer days nothing is said


class Cell(NamedTuple):
    """One method on one kind: regret macro with its bar."""

    regret: float
    bar: Bar


class KindRow(NamedTuple):
    """A kind of VM. cells: by method, as `methods_shown`."""

    rhythm: str
    load: str
    vms: int
    vm_days: int
    cells: dict[str, Cell]


def methods_shown(rows: Sequence[Row]) -> list[str]:
    """The plain rule with the least regret, the plain XGBoost, ours."""
    rules = [row for row in rows if row.method in RULES]
    best = min(rules, key=lambda row: float(np.nan_to_num(row.regrets[HOUR].macro, nan=np.inf)))
    return [best.method, PLAIN, OURS]


def kind_rows(scored: Scored, rows: Sequence[Row]) -> list[KindRow]:
    """A row a kind with LEAST_DAYS or more, the busiest with the clearest rhythm first."""
    table, methods = scored.tables[HOUR], methods_shown(rows)
    found = []
    for rhythm in reversed(range(len(RHYTHMS))):
        for load in reversed(range(len(LOADS))):
            is_kind = (scored.kinds.rhythm == rhythm) & (scored.kinds.load == load)
            part = table.take(is_kind[table.vm])
            if not len(part.vm) or part.regret(OURS).vm_days < LEAST_DAYS:
                continue
            spread = bars(part, methods)
            cells = {name: Cell(part.regret(name).macro, spread[name][0]) for name in methods}
            days = part.regret(OURS).vm_days
            found.append(KindRow(RHYTHMS[rhythm], LOADS[load], int(is_kind.sum()), days, cells))
    return found
