"""What a scored fleet says in words and numbers: a row a method, figures by name, and both as text and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from batch.regrets import Bar, bars, difference
from batch.scoring import HOUR, LENGTHS, ORACLE, OURS, Scored
from models.minutes import format_iso
from models.score import Regret

NAN = float("nan")
NAMES = {"60 min": "regret", "30 min": "regret_30m", "10 min": "regret_10m"}


class Row(NamedTuple):
    """One method. regrets and bars (macro, pooled) by LENGTHS; NaN where it forecasts no hours or costs nothing."""

    method: str
    regrets: Mapping[str, Regret]
    bars: Mapping[str, tuple[Bar, Bar]]
    mae_pct: float
    cost_s: float


def rows_of(scored: Scored) -> list[Row]:
    """A row a method, the most regret first, the oracle last."""
    methods = list(scored.tables[HOUR].loads.chosen)
    found = {name: bars(table, methods) for name, table in scored.tables.items()}
    rows = [
        Row(
            method,
            {name: table.regret(method) for name, table in scored.tables.items()},
            {name: found[name][method] for name in found},
            scored.mae_pct.get(method, NAN),
            scored.cost_s.get(method, NAN),
        )
        for method in methods
    ]
    return sorted(rows, key=lambda row: -row.regrets[HOUR].macro)


def best_peer(rows: Sequence[Row], value: str, length: str = HOUR) -> Row:
    """The peer with the least regret: `macro` or `pooled`."""
    peers = [row for row in rows if row.method not in (OURS, ORACLE)]
    return min(peers, key=lambda row: float(np.nan_to_num(getattr(row.regrets[length], value), nan=np.inf)))


def figures_of(scored: Scored, rows: Sequence[Row]) -> dict[str, float]:
    """Ours by name, each beside the best peer's; `_low` and `_high` hold 95 % of the resamples."""
    ours = next(row for row in rows if row.method == OURS)
    figures: dict[str, float] = {}
    for length, name in NAMES.items():
        for k, value in enumerate(("macro", "pooled")):
            full = f"{name}_{value}" if length == HOUR or value == "pooled" else name
            peer = best_peer(rows, value, length)
            apart = difference(scored.tables[length], OURS, peer.method)[k]
            low, high = ours.bars[length][k]
            figures |= {full: getattr(ours.regrets[length], value), f"{full}_low": low, f"{full}_high": high}
            figures[f"{full}_best_peer"] = getattr(peer.regrets[length], value)
            figures |= {f"{full}_over_best_peer_low": apart.low, f"{full}_over_best_peer_high": apart.high}
    errors = {method: value for method, value in scored.mae_pct.items() if method != OURS}
    figures |= {"mae": scored.mae_pct[OURS], "mae_best_peer": min(errors.values())}
    figures |= {"coverage_p90": float(scored.bounds.overall[1]), "coverage_p90_vm_p10": scored.bounds.vm_p10}
    figures |= {"confidence_error": scored.confidence.error, "confidence_error_by_windows": scored.confidence.weighted}
    return figures | {"infer_s_per_10k": ours.cost_s}


def facts_of(scored: Scored) -> dict[str, str | int]:
    """What was scored."""
    table = scored.tables[HOUR]
    return {
        "vms": len(scored.fleet.ids),
        "clusters": len(np.unique(table.cluster)),
        "split": format_iso(scored.split),
        "origins": len(scored.answered),
        "vm_days": table.regret(OURS).vm_days,
    }


def as_text(scored: Scored, rows: Sequence[Row]) -> str:
    """The table and `name: value` lines."""
    facts = facts_of(scored)
    head = [
        f"{facts['vms']:,} VMs ({facts['clusters']:,} apart from near-clones), {facts['origins']} origins from "
        f"{facts['split']} on; regret: 0 is the oracle, 1 the day's mean, in brackets 95 % of the resamples.",
        "",
        *table_lines(rows),
        "",
    ]
    figures = [f"{name}: {value:.4f}" for name, value in figures_of(scored, rows).items()]
    return "\n".join([*head, *(f"{name}: {value}" for name, value in facts.items()), *figures])


def table_lines(rows: Sequence[Row]) -> list[str]:
    """Aligned columns: the method, its regrets, its error in the hours, its cost."""
    titles = ["method"]
    titles += [title for length in LENGTHS for title in (f"{length} macro", "pooled")]
    titles += ["MAE points", "CPU s per 10k"]
    cells = [titles]
    for row in rows:
        line = [row.method]
        for length in LENGTHS:
            line += [with_bar(row, length), number(row.regrets[length].pooled, 3)]
        cells.append([*line, number(row.mae_pct, 2), number(row.cost_s, 3)])
    widths = [max(len(line[k]) for line in cells) for k in range(len(titles))]
    return [
        "  ".join(
            text.rjust(width) if k else text.ljust(width)
            for k, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]


def as_json(scored: Scored, rows: Sequence[Row]) -> str:
    """The same for machines; what is not known is null."""
    methods = [
        {
            "method": row.method,
            "regret": {
                length: {
                    **row.regrets[length]._asdict(),
                    "macro_bar": row.bars[length][0],
                    "pooled_bar": row.bars[length][1],
                }
                for length in LENGTHS
            },
            "mae_pct": row.mae_pct,
            "cpu_s_per_10k": row.cost_s,
        }
        for row in rows
    ]
    return json.dumps(_nulls({**facts_of(scored), "figures": figures_of(scored, rows), "methods": methods}), indent=2)


def number(value: float, decimals: int) -> str:
    """A dash where it is not known."""
    return "–" if math.isnan(value) else f"{value:.{decimals}f}"


def with_bar(row: Row, length: str) -> str:
    """Regret macro with its bar."""
    value, bar = row.regrets[length].macro, row.bars[length][0]
    if math.isnan(value) or row.method == ORACLE:
        return number(value, 3)
    return f"{value:.3f} ({bar.low:.2f}–{bar.high:.2f})"


def _nulls(value: object) -> object:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: _nulls(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_nulls(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
