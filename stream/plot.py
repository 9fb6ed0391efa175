"""One VM as a picture: 14 days, the forecast with its bound, the chosen windows, and now."""

from __future__ import annotations

import io
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.errors import StoreError
from models.minutes import HOUR_MIN, Minute

mpl.use("Agg")
Doubles = npt.NDArray[np.float64]
BEFORE_MIN = 6 * HOUR_MIN  # of the past, in the panel of the next hours: the forecast is seen to go on
AHEAD_MIN = 26 * HOUR_MIN
_TITLE_CHARS = 60
_INK, _MUTED, _LINE = "#17212b", "#586674", "#dfe5ea"
_HISTORY, _FORECAST, _WINDOW, _NOW = "#44576b", "#1d63c4", "#12906f", "#c2410c"  # as on the page


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn. history: hourly means in percent from `history_start` on, NaN = gap; p50, p90: hours from
    `forecast_start` on (empty: no forecast). windows: (start, minutes), the best one first.
    """

    title: str
    note: str
    now: Minute
    history_start: Minute
    history: npt.NDArray[np.float32]
    forecast_start: Minute
    p50: Doubles
    p90: Doubles
    windows: tuple[tuple[Minute, int], ...]


def draw(picture: Picture) -> bytes:
    """The picture as PNG: the 14 days on the left, the next hours, where a window is wide enough to see, beside it."""
    figure = Figure(figsize=(13, 4.4), dpi=120, layout="constrained")
    past, ahead = figure.subplots(1, 2, sharey=True, width_ratios=(1.9, 1))
    for axes in (past, ahead):
        _loads(axes, picture)
        _style(axes)
    forecast_end = picture.forecast_start + HOUR_MIN * len(picture.p50)
    past.set_xlim(_day(picture.history_start), _day(max(picture.now, forecast_end)))
    past.xaxis.set_major_locator(mdates.DayLocator(interval=2))
    past.xaxis.set_major_formatter(mdates.DateFormatter("%a %d"))
    past.set_ylabel("CPU, % of the allocation", color=_MUTED)
    ahead.set_xlim(_day(picture.now - BEFORE_MIN), _day(picture.now + AHEAD_MIN))
    ahead.xaxis.set_major_locator(mdates.HourLocator(byhour=range(0, 24, 6)))
    formats = ["%Y", "%b", "%a %d", "%H:%M", "%H:%M", "%S"]
    ahead.xaxis.set_major_formatter(
        mdates.ConciseDateFormatter(
            ahead.xaxis.get_major_locator(), formats=formats, zero_formats=["", *formats[:-1]], show_offset=False
        )
    )
    past.set_ylim(0, _top(picture))
    ahead.set_title("next hours, UTC", loc="right", fontsize=9, color=_MUTED)
    handles, labels = ahead.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=6, fontsize=8.5, frameon=False, labelcolor=_MUTED)
    figure.suptitle(_short(picture.title), x=0.01, ha="left", fontsize=12, weight="bold", color=_INK, parse_math=False)
    figure.supxlabel(picture.note, x=0.01, ha="left", fontsize=8.5, color=_MUTED, parse_math=False)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def save(png: bytes, path: Path) -> None:
    """Write the file whole or not at all. StoreError where it cannot be written."""
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".png")
        with os.fdopen(handle, "wb") as file:
            file.write(png)
        Path(name).replace(path)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise StoreError(
            f"picture {path}", expected="a file that can be written", got=str(error), remedy="Name another with --out."
        ) from error


def _loads(axes: Axes, picture: Picture) -> None:
    """Steps, each an hour wide. Without a baseline a gap is left open: an edge down to 0 would look like idle."""
    hours = _hours(picture.history_start, len(picture.history))
    axes.stairs(picture.history, hours, baseline=None, color=_HISTORY, lw=1.1, label="hourly mean")
    if len(picture.p50):
        hours = _hours(picture.forecast_start, len(picture.p50))
        axes.stairs(picture.p90, hours, baseline=picture.p50, fill=True, color=_FORECAST, alpha=0.2, label="up to P90")
        axes.stairs(picture.p50, hours, baseline=None, color=_FORECAST, lw=1.8, label="forecast, p50")
    for index, (start, minutes) in enumerate(picture.windows):
        label = ("best window", "other windows")[index] if index < 2 else None
        axes.axvspan(
            _day(start), _day(start + minutes), color=_WINDOW, alpha=0.35 if index else 0.85, lw=0.7, label=label
        )
    axes.axvline(_day(picture.now), color=_NOW, lw=1.2, label="now")


def _style(axes: Axes) -> None:
    axes.grid(color=_LINE, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.tick_params(length=0, labelcolor=_MUTED, labelsize=9)


def _short(title: str) -> str:
    """An id may have 255 characters, and any."""
    shown = "".join(character if character.isprintable() else "�" for character in title)
    return shown if len(shown) <= _TITLE_CHARS else f"{shown[: _TITLE_CHARS - 1]}…"


def _top(picture: Picture) -> float:
    """Highest load in the picture and a little room, 5 % at least; a gap has no height."""
    loads = np.concatenate([picture.history, picture.p90])
    return 1.08 * float(np.fmax.reduce(loads, initial=5.0))


def _hours(start: Minute, count: int) -> list[float]:
    return [_day(start + HOUR_MIN * k) for k in range(count + 1)]


def _day(minute: Minute) -> float:
    """Matplotlib's days."""
    return float(mdates.date2num(datetime.fromtimestamp(minute * 60, UTC)))
