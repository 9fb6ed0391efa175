"""The plots of the HTML report: what `plots` draws, with what the mouse points at said in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from bokeh.layouts import gridplot
from bokeh.models import (
    ColumnDataSource,
    DataRange1d,
    FixedTicker,
    GridPlot,
    HoverTool,
    NumeralTickFormatter,
    Range,
    Range1d,
)
from bokeh.plotting import figure

from batch.by_kind import KindRow
from batch.looks import (
    BEST_COLOUR,
    CHOSEN_COLOUR,
    COLOURS,
    INK,
    LEAD_NAMES,
    LEAST_COST_S,
    LEVEL_NAMES,
    LINE,
    MUTED,
    OURS_COLOUR,
    apart,
    short,
    style_of,
)
from batch.reliability import BINS, Bins, Bounds
from batch.scoring import HOUR, ORACLE, OURS
from batch.shown import Shown, ShownDay
from batch.summary import Row
from models.inside import HOUR_STEPS

TOOLS = "pan,box_zoom,wheel_zoom,reset,save"
MARKERS = ("circle", "square", "diamond")


def kinds_plot(kinds: Sequence[KindRow]) -> figure:
    """Regret by kind of VM with error bars."""
    plot = _plot((1100, 140 + 60 * max(len(kinds), 1)), "regret of the chosen hour (macro)", "")
    place = np.arange(len(kinds))[::-1].astype(np.float64)
    for k, method in enumerate(kinds[0].cells if kinds else ()):
        colour = style_of(method, k)[0]
        cells = [kind.cells[method] for kind in kinds]
        source = ColumnDataSource(
            {
                "x": [cell.regret for cell in cells],
                "y": place + 0.22 * (1 - k),
                "low": [cell.bar.low for cell in cells],
                "high": [cell.bar.high for cell in cells],
                "kind": [_kind(kind) for kind in kinds],
            }
        )
        plot.segment("low", "y", "high", "y", source=source, color=colour, line_width=2)
        dots = plot.scatter("x", "y", source=source, color=colour, marker=MARKERS[k % 3], size=11, legend_label=method)
        tips = [("kind", "@kind"), (method, "@x{0.000} (@low{0.00} to @high{0.00})")]
        plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    plot.vspan(x=[0.0, 1.0], color=MUTED, line_dash="dotted")
    plot.yaxis.ticker = FixedTicker(ticks=list(place))
    plot.yaxis.major_label_overrides = {float(at): _kind(kind) for at, kind in zip(place, kinds, strict=True)}
    _legend_above(plot)
    return plot


def bounds_plot(bounds: Bounds) -> figure:
    """Hours at or under the P50 and the P90, by class of load and lead."""
    plot = _plot((640, 420), "the VM's mean load over the week before, %", "hours at or under what was said")
    levels = np.arange(len(LEVEL_NAMES)).astype(np.float64)
    for said, kept in zip((50, 90), bounds.cells, strict=True):
        for k, lead in enumerate(LEAD_NAMES):
            data = {"x": levels + 0.16 * (k - 1), "y": kept[k], "hours": bounds.hours[k], "load": list(LEVEL_NAMES)}
            dots = plot.scatter(
                "x", "y", source=ColumnDataSource(data), color=COLOURS[k], marker=MARKERS[k], size=11, legend_label=lead
            )
            tips = [(f"P{said}, {lead}", "@y{0.0%} of @hours{0,0} hours"), ("load", "@load %")]
            plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    plot.hspan(y=[0.5, 0.9], color=MUTED, line_dash="dashed")
    plot.xaxis.ticker = FixedTicker(ticks=list(levels))
    plot.xaxis.major_label_overrides = dict(zip(levels.tolist(), LEVEL_NAMES, strict=True))
    plot.yaxis.formatter = NumeralTickFormatter(format="0%")
    _legend_above(plot)
    return plot


def confidence_plot(confidence: Bins) -> figure:
    """Confidence said against kept."""
    plot = _plot((440, 420), "confidence said: P(load in the window ≤ max load)", "windows that kept it")
    plot.line([0, 1], [0, 1], color=MUTED, line_dash="dashed")
    share = confidence.windows / max(int(confidence.windows.sum()), 1)
    plot.vbar(x=(np.arange(BINS) + 0.5) / BINS, top=share, width=0.8 / BINS, color=LINE, legend_label="their share")
    known = confidence.windows > 0
    data = {name: getattr(confidence, name)[known] for name in ("said", "kept", "windows")}
    source = ColumnDataSource(data)
    plot.line("said", "kept", source=source, color=OURS_COLOUR, line_width=2)
    dots = plot.scatter("said", "kept", source=source, color=OURS_COLOUR, size=10, legend_label="chosen windows")
    tips = [("said", "@said{0.0%}"), ("kept", "@kept{0.0%}"), ("windows", "@windows{0,0}")]
    plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    plot.xaxis.formatter = plot.yaxis.formatter = NumeralTickFormatter(format="0%")
    _legend_above(plot)
    return plot


def gain_plot(rows: Sequence[Row]) -> figure:
    """Regret against CPU seconds; the names stand in a column at the right, each tied to its dot."""
    known = [row for row in rows if row.method != ORACLE and np.isfinite([row.regrets[HOUR].macro, row.cost_s]).all()]
    values = [row.regrets[HOUR].macro for row in known]
    places = apart(values, 0.07 * max([1.05, *(row.bars[HOUR][0].high for row in known)]))
    name_at = 4 * max([1.0, *(row.cost_s for row in known)])
    x, reach = "CPU seconds to choose an hour for 10,000 VMs (log)", Range1d(start=LEAST_COST_S / 2, end=25 * name_at)
    plot = _plot((1100, 460), x, "regret (macro)", x_range=reach, x_axis_type="log")
    for row, value, place in zip(known, values, places, strict=True):
        colour = OURS_COLOUR if row.method == OURS else INK
        cost_s, (low, high) = max(row.cost_s, LEAST_COST_S), row.bars[HOUR][0]
        data = {"x": [cost_s], "y": [value], "low": [low], "high": [high], "method": [row.method]}
        source = ColumnDataSource(data)
        plot.segment("x", "low", "x", "high", source=source, color=colour, line_width=1.5)
        dots = plot.scatter("x", "y", source=source, color=colour, size=12)
        plot.segment([cost_s], [value], [name_at], [place], color=colour, alpha=0.4, line_width=0.7)
        name = f" {row.method}  {value:.3f}"
        plot.text([name_at], [place], [name], color=colour, text_baseline="middle", text_font_size="13px")
        tips = [("@method", "@y{0.000} (@low{0.00} to @high{0.00})"), ("CPU s for 10,000 VMs", "@x{0.0000}")]
        plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    plot.line([LEAST_COST_S / 2, name_at], [1.0, 1.0], color=MUTED, line_dash="dotted")
    return plot


def day_plots(days: Shown) -> GridPlot:
    """The best on the left, the worst on the right."""
    pairs = [
        [_day(several[row], f"{name} {row + 1}") if row < len(several) else None for name, several in _sides(days)]
        for row in range(max(len(days.best), len(days.worst)))
    ]
    return gridplot(pairs, merge_tools=True, toolbar_location="right")


def _sides(days: Shown) -> tuple[tuple[str, list[ShownDay]], ...]:
    return ("Best", days.best), ("Worst", days.worst)


def _day(day: ShownDay, name: str) -> figure:
    loads = f"chosen {day.chosen_pct:.1f} %, quietest {day.best_pct:.1f} %, mean {day.mean_pct:.1f} %"
    title = f"{name}: {short(day.vm_id)}, regret {day.regret:.2f} over its days\n{loads}"
    plot = _plot((560, 265), "hours after the question was asked", "CPU, %", title)
    hours = np.arange(len(day.p50) + 1).astype(np.float64)
    left, right = hours[:-1], hours[1:]
    chosen, best = day.chosen / HOUR_STEPS, day.best / HOUR_STEPS
    plot.vstrip(x0=[chosen], x1=[chosen + 1], fill_color=CHOSEN_COLOUR, fill_alpha=0.4, line_alpha=0)
    plot.vstrip(
        x0=[best],
        x1=[best + 1],
        fill_alpha=0,
        line_color=BEST_COLOUR,
        line_width=2,
        hatch_pattern="/",
        hatch_color=BEST_COLOUR,
    )
    plot.quad(left=left, right=right, bottom=day.p50, top=day.p90, color=OURS_COLOUR, alpha=0.2)
    plot.segment(left, day.p50, right, day.p50, color=OURS_COLOUR, line_width=2)
    source = ColumnDataSource({"x": (np.arange(len(day.load)) + 0.5) / HOUR_STEPS, "load": day.load})
    line = plot.line("x", "load", source=source, color=INK)
    plot.add_tools(
        HoverTool(renderers=[line], tooltips=[("after h", "@x{0.0}"), ("load", "@load{0.0} %")], mode="vline")
    )
    return plot


def _kind(kind: KindRow) -> str:
    return f"{kind.rhythm}, {kind.load}\n{kind.vms:,} VMs, {kind.vm_days:,} days"


def _plot(
    size: tuple[int, int],
    x: str,
    y: str,
    title: str | None = None,
    x_range: Range | None = None,
    x_axis_type: Literal["linear", "log"] = "linear",
) -> figure:
    plot = figure(
        width=size[0],
        height=size[1],
        tools=TOOLS,
        title=title,
        x_axis_label=x,
        y_axis_label=y,
        x_range=DataRange1d() if x_range is None else x_range,
        x_axis_type=x_axis_type,
    )
    plot.grid.grid_line_color = LINE
    plot.outline_line_color = None
    plot.axis.axis_line_color = LINE
    plot.axis.major_tick_line_color = plot.axis.minor_tick_line_color = None
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.axis_label_text_color = MUTED
    plot.axis.major_label_text_color = INK
    plot.toolbar.logo = None
    return plot


def _legend_above(plot: figure) -> None:
    if plot.legend:
        legend = plot.legend[0]
        plot.add_layout(legend, "above")
        legend.orientation, legend.border_line_color = "horizontal", None
