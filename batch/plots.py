"""A scored fleet as pictures: regret by kind of VM, reliability, gain against cost, the best and the worst VMs."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from batch.by_kind import KindRow, kind_rows
from batch.looks import COLOURS, INK, LEAD_NAMES, LEAST_COST_S, LEVEL_NAMES, LINE, MUTED, apart, style_of
from batch.plots_days import draw_days
from batch.reliability import BINS, Bins, Bounds
from batch.scoring import HOUR, ORACLE, OURS, Scored
from batch.shown import Shown
from batch.summary import Row

mpl.use("Agg")


def pictures(scored: Scored, rows: Sequence[Row], days: Shown) -> dict[str, bytes]:
    """PNG by file name."""
    return {
        "regret_by_kind.png": _png(_draw_kinds(kind_rows(scored, rows))),
        "reliability.png": _png(_draw_reliability(scored.bounds, scored.confidence)),
        "gain_and_cost.png": _png(_draw_gain(rows)),
        "best_and_worst.png": _png(draw_days(days)),
    }


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _draw_kinds(kinds: Sequence[KindRow]) -> Figure:
    figure = Figure(figsize=(10, 1.9 + 0.62 * max(len(kinds), 1)), dpi=120, layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(kinds))[::-1]
    methods = list(kinds[0].cells) if kinds else []
    for k, method in enumerate(methods):
        cells = [kind.cells[method] for kind in kinds]
        value = np.array([cell.regret for cell in cells])
        reach = np.abs(np.array([cell.bar for cell in cells]).T - value)
        colour, marker = style_of(method, k)
        axes.errorbar(
            value, place + 0.22 * (1 - k), xerr=reach, fmt=marker, color=colour, ms=7, lw=1.6, capsize=3, label=method
        )
    axes.axvline(0, color=MUTED, lw=1)
    axes.axvline(1, color=MUTED, lw=1, ls=":")
    names = [f"{kind.rhythm}, {kind.load}\n{kind.vms:,} VMs, {kind.vm_days:,} days" for kind in kinds]
    axes.set_yticks(place, names)
    axes.set_ylim(-0.6, max(len(kinds), 1) - 0.4)
    axes.set_xlim(left=min(-0.03, axes.get_xlim()[0]))
    axes.set_xlabel("regret of the chosen hour (macro): 0 the quietest hour of the day, 1 the day's mean", color=MUTED)
    _style(axes)
    figure.suptitle("Regret by kind of VM: further left is better", x=0.01, ha="left", weight="bold", color=INK)
    if methods:
        figure.legend(loc="outside upper right", ncols=3, frameon=False, labelcolor=INK, fontsize=9)
    return figure


def _draw_reliability(bounds: Bounds, confidence: Bins) -> Figure:
    figure = Figure(figsize=(12, 4.9), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    _bounds(left, bounds)
    _confidence(right, confidence)
    for axes in (left, right):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        _style(axes)
    return figure


def _bounds(axes: Axes, bounds: Bounds) -> None:
    """What share of the hours lay under the P50 and the P90, by class of load and lead."""
    levels = np.arange(len(LEVEL_NAMES))
    for said, kept in zip((0.5, 0.9), bounds.cells, strict=True):
        axes.axhline(said, color=MUTED, lw=1, ls="--")
        axes.text(levels[-1] + 0.72, said, f"said {said:.0%}", ha="right", va="bottom", color=MUTED, fontsize=9)
        for k, lead in enumerate(LEAD_NAMES):
            colour, marker = COLOURS[k], "osD"[k]
            label = lead if said == 0.9 else None
            axes.plot(levels + 0.16 * (k - 1), kept[k], marker, color=colour, ms=7, label=label)
    hours = bounds.hours.sum(axis=0)
    names = [f"{name} %\n{count:,} h" for name, count in zip(LEVEL_NAMES, hours, strict=True)]
    axes.set_xticks(levels, names)
    axes.set_xlim(-0.5, len(levels) - 0.25)
    lowest = float(np.fmin.reduce(bounds.cells, axis=None, initial=0.44))
    axes.set_ylim(lowest - 0.14, 1.02)  # the legend has its room below
    axes.set_xlabel("the VM's mean load over the week before", color=MUTED)
    axes.set_ylabel("hours at or under what was said", color=MUTED)
    title = f"P50 and P90: dots belong on the dashed lines\nP90 in all {bounds.overall[1]:.1%}, "
    axes.set_title(
        f"{title}for the worst tenth of VMs at most {bounds.vm_p10:.1%}", loc="left", color=INK, fontsize=10.5
    )
    axes.legend(title="hours ahead", loc="lower left", ncols=3, frameon=False, fontsize=9)


def _confidence(axes: Axes, confidence: Bins) -> None:
    """Said against kept, with the share of the windows in each bin below."""
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--", label="as said")
    share = confidence.windows / max(int(confidence.windows.sum()), 1)
    middle = (np.arange(BINS) + 0.5) / BINS
    axes.bar(middle, share, width=0.8 / BINS, color=LINE, label="share of the windows")
    axes.plot(confidence.said, confidence.kept, "o-", color=style_of(OURS, 0)[0], ms=7, label="chosen windows")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("confidence said: P(load in the window ≤ max load)", color=MUTED)
    axes.set_ylabel("windows that kept it", color=MUTED)
    title = (
        f"Confidence of chosen windows: above the line is too modest\nmean distance {confidence.error:.3f} over bins, "
    )
    axes.set_title(f"{title}{confidence.weighted:.3f} over windows", loc="left", color=INK, fontsize=10.5)
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _draw_gain(rows: Sequence[Row]) -> Figure:
    """Labels stand in a column at the right, each tied to its dot: dots crowd where methods cost alike."""
    figure = Figure(figsize=(10, 5.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    known = [row for row in rows if row.method != ORACLE and np.isfinite([row.regrets[HOUR].macro, row.cost_s]).all()]
    values = [row.regrets[HOUR].macro for row in known]
    costs = [max(row.cost_s, LEAST_COST_S) for row in known]
    axes.set_xscale("log")
    top = max([1.05, *(row.bars[HOUR][0].high for row in known)])
    places = apart(values, 0.062 * top)
    for row, value, cost, place in zip(known, values, costs, places, strict=True):
        mine = row.method == OURS
        colour, marker = (style_of(OURS, 0)[0], "D") if mine else (INK, "o")
        low, high = row.bars[HOUR][0]
        axes.errorbar(
            cost, value, yerr=[[value - low], [high - value]], fmt=marker, color=colour, ms=8, lw=1.2, capsize=3
        )
        axes.annotate(
            f"{row.method}  {value:.3f}",
            (cost, value),
            xytext=(1.03, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            color=colour,
            fontsize=9.5,
            weight="bold" if mine else "normal",
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "alpha": 0.5, "shrinkB": 5, "relpos": (0, 0.5)},
        )
    axes.axhline(1, color=MUTED, lw=1, ls=":")
    axes.set_ylim(0, top * 1.04)
    axes.set_xlabel("CPU seconds to choose an hour for 10,000 VMs, features and forecasts included (log)", color=MUTED)
    axes.set_ylabel("regret of the chosen hour (macro, 95 % bars):\n0 the quietest hour, 1 the day's mean", color=MUTED)
    _style(axes)
    figure.suptitle("Gain against cost: lower and further left is better", x=0.01, ha="left", weight="bold", color=INK)
    return figure


def _style(axes: Axes) -> None:
    axes.grid(color=LINE, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(length=0, labelcolor=INK, labelsize=9)
