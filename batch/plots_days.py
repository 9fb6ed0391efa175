"""Days of the best and the worst VMs as a picture: load, forecast, the chosen hour and the quietest one."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from batch.looks import BEST_COLOUR, CHOSEN_COLOUR, INK, LINE, MUTED, OURS_COLOUR, short
from batch.shown import Shown, ShownDay
from models.inside import HOUR_STEPS
from models.minutes import STEP_MIN


def draw_days(days: Shown) -> Figure:
    """The best on the left, the worst on the right, each with a scale of its own."""
    rows = max(len(days.best), len(days.worst), 1)
    figure = Figure(figsize=(13, 1.3 + 2.7 * rows), dpi=120, layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False, sharex=True)
    for column, (name, several) in enumerate((("Best", days.best), ("Worst", days.worst))):
        for row in range(rows):
            axes = grid[row, column]
            if row < len(several):
                _day(axes, several[row], f"{name} {row + 1}")
            else:
                axes.set_visible(False)
        grid[rows - 1, column].set_xlabel("hours after the question was asked", color=MUTED)
    for axes in grid[:, 0]:
        axes.set_ylabel("CPU, %", color=MUTED)
    title = "Best and worst VMs: the chosen hour (green) belongs where the quietest one (orange) lies"
    figure.suptitle(title, x=0.01, ha="left", weight="bold", color=INK)
    figure.legend(
        handles=[
            Line2D([], [], color=INK, lw=1, label="load, 5-minute means"),
            Line2D([], [], color=OURS_COLOUR, lw=2, label="forecast, P50"),
            Patch(color=OURS_COLOUR, alpha=0.2, label="up to P90"),
            Patch(color=CHOSEN_COLOUR, alpha=0.5, label="chosen hour"),
            Patch(facecolor="none", edgecolor=BEST_COLOUR, lw=2, hatch="///", label="quietest hour"),
        ],
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=9.5,
    )
    return figure


def _day(axes: Axes, day: ShownDay, name: str) -> None:
    hours = np.arange(len(day.p50) + 1)
    axes.stairs(day.p90, hours, baseline=day.p50, fill=True, color=OURS_COLOUR, alpha=0.2)
    axes.stairs(day.p50, hours, baseline=None, color=OURS_COLOUR, lw=2)
    axes.plot(np.arange(len(day.load)) / HOUR_STEPS + STEP_MIN / 120, day.load, color=INK, lw=0.9)
    chosen, best = day.chosen / HOUR_STEPS, day.best / HOUR_STEPS
    axes.axvspan(chosen, chosen + 1, color=CHOSEN_COLOUR, alpha=0.4, lw=0)
    axes.axvspan(best, best + 1, facecolor="none", edgecolor=BEST_COLOUR, hatch="///", lw=2)
    axes.set_xlim(0, len(day.p50))
    axes.set_xticks(range(0, len(day.p50) + 1, 3))
    axes.set_ylim(0, 1.08 * float(np.fmax.reduce(np.concatenate([day.load, day.p90]), initial=2.0)))
    axes.grid(color=LINE, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(length=0, labelcolor=INK, labelsize=9)
    shown = short(day.vm_id)
    asked = datetime.fromtimestamp(day.origin * 60, UTC).strftime("%a %d %b %Y %H:%M UTC")
    loads = f"chosen {day.chosen_pct:.1f} %, quietest {day.best_pct:.1f} %, mean {day.mean_pct:.1f} %"
    title = f"{name}: {shown}, regret {day.regret:.2f} over its days\n{asked}: {loads}"
    axes.set_title(title, loc="left", fontsize=9.5, color=INK, parse_math=False)
