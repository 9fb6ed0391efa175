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
from matplotlib.figure import Figure

from models.errors import StoreError
from models.minutes import HOUR_MIN, Minute

mpl.use("Agg")
Doubles = npt.NDArray[np.float64]
_BLUE, _ORANGE, _GREEN, _GREY = "#2563a8", "#c2570c", "#15803d", "#57606a"


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
    """The picture as PNG."""
    figure = Figure(figsize=(12, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    hours = _times(picture.history_start, len(picture.history) + 1)
    axes.stairs(picture.history, mdates.date2num(hours), color=_BLUE, lw=1.1, label="hourly mean")
    if len(picture.p50):
        ahead = mdates.date2num(_times(picture.forecast_start, len(picture.p50) + 1))
        axes.stairs(picture.p90, ahead, baseline=picture.p50, fill=True, color=_ORANGE, alpha=0.25, label="up to P90")
        axes.stairs(picture.p50, ahead, color=_ORANGE, lw=1.6, label="median forecast")
    for index, (start, minutes) in enumerate(picture.windows):
        label = "best window" if index == 0 else ("other windows" if index == 1 else None)
        edges = _time(start), _time(start + minutes)
        axes.axvspan(*mdates.date2num(edges), color=_GREEN, alpha=0.9 if index == 0 else 0.35, lw=1.5, label=label)
    axes.axvline(float(mdates.date2num(_time(picture.now))), color=_GREY, lw=1, ls="--", label="now")
    axes.xaxis.set_major_locator(mdates.DayLocator())
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
    axes.set(ylabel="CPU, % of the allocation", ylim=(0, None))
    axes.set_title(picture.title, loc="left", fontsize=11, weight="bold")
    axes.set_title(picture.note, loc="right", fontsize=9, color=_GREY)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", ncols=6, fontsize=8, frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def save(png: bytes, path: Path) -> None:
    """Write the file whole or not at all. StoreError where it cannot be written."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".png")
        with os.fdopen(handle, "wb") as file:
            file.write(png)
        Path(name).replace(path)
    except OSError as error:
        raise StoreError(
            f"picture {path}", expected="a file that can be written", got=str(error), remedy="Name another with --out."
        ) from error


def _time(minute: Minute) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def _times(start: Minute, count: int) -> list[datetime]:
    return [_time(start + HOUR_MIN * k) for k in range(count)]
