"""Rows, lives and forecasts as the stores' tests need them, and other processes that use the same store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from models.fleet import SLOTS, Placement
from models.forecast import FORECAST_DTYPE
from models.minutes import Minute
from stream.stores.protocols import BlockRow, ForecastRow, OneForecast, ProfileRow

ROOT = Path(__file__).parents[3]


def block_row(
    values: dict[int, tuple[float, int]],
    *,
    step_min: int = 60,
    block: int = 0,
    start: Minute = 0,
    part: int = 0,
    epoch: int = 1,
) -> BlockRow:
    """A row with (mean, count) in these slots and gaps elsewhere."""
    mean, count = np.full(SLOTS, np.nan, np.float32), np.zeros(SLOTS, np.uint8)
    for slot, (value, number) in values.items():
        mean[slot], count[slot] = value, number
    return BlockRow(step_min, block, start, part, epoch, mean, count)


def full_row(value: float, *, block: int, start: Minute, epoch: int = 1) -> BlockRow:
    """An hour in which every slot has 60 samples with the mean `value`."""
    return BlockRow(60, block, start, 0, epoch, np.full(SLOTS, value, np.float32), np.full(SLOTS, 60, dtype=np.uint8))


def broken_row(*, block: int = 0, start: Minute = 0) -> BlockRow:
    """A row that counts samples where it has none."""
    return BlockRow(60, block, start, 0, 1, np.full(SLOTS, np.nan, np.float32), np.ones(SLOTS, np.uint8))


def profile_row(value: int, *, block: int = 0, hour_of_day: int = 0, through: Minute = 60) -> ProfileRow:
    """A row with `value` in every cell of its shape and value / 4 as every scale."""
    shape = np.full((12, SLOTS), value, np.int8)
    return ProfileRow(block, hour_of_day, through, shape, np.full(SLOTS, value / 4, np.float32))


def placement(
    vm_id: str, slot: int, *, created_at: Minute = 0, from_minute: Minute = 0, block: int = 0, vcpus: float | None = 2.0
) -> Placement:
    return Placement(vm_id, created_at, from_minute, "host", vcpus, block, slot)


def forecast_row(
    block: int, first_minute: Minute, *, made_at: Minute = 0, model: str = "m", offset: int = 0
) -> ForecastRow:
    """A row whose record of slot s has the mean s + offset (in 0.01 %) at every hour."""
    records = np.zeros(SLOTS, FORECAST_DTYPE)
    records["mean"] = (np.arange(SLOTS) + offset)[:, None]
    return ForecastRow(block, first_minute, made_at, model, records)


def first_mean(one: OneForecast | None) -> int:
    assert one is not None
    return int(one.record["mean"][0])


def start_process(code: str, *args: str) -> subprocess.Popen[str]:
    """Another Python process with the repository on its path; it talks by lines on stdin and stdout."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    """Its next line, or "" where it has ended."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
