"""A small fleet in stores of its own, each VM's numbers known: what the API's, the page's and the client's tests ask.

Now is 12:07, data go to 12:00 (END). A history of 14 days and a forecast from END on, in hours.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI

from models.calibration import DEFAULT, Calibration
from models.fleet import SLOTS, Life, Placement, Policy
from models.forecast import FORECAST_DTYPE, HOURS, NO_START, Reason, Rung
from models.minutes import DAY_MIN, HOUR_MIN, Clock, parse_iso
from models.quiet import allowed_starts, default_starts, quietness
from stream.answer import Limits
from stream.api import Deps, create_app
from stream.clock import write_clock
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import METRIC_CPU, BlockRow, ForecastRow

NOW = parse_iso("2026-03-10T12:07Z")
END = parse_iso("2026-03-10T12:00Z")
BORN = END - 30 * DAY_MIN
HISTORY_HOURS = 14 * 24
MODEL = "set-000003"
DAY, IDLE, GAPPY, BUSY, EMPTY, OLD, MOVED = "vm-day", "vm-idle", "vm-gap", "vm-busy", "vm-none", "vm-old", "vm-moved"
ODD = (
    "a", "a/window", "window", "a/b/forecast", "vm 5", "köln/🚀 100%?#&+", ".", "..", "../vm-day", "%2F", "%41",
    "x" * 255, "'; DROP TABLE life;--", "<b>vm</b>", "new\nline", "\u0000", "/", "//", "🚀",
)  # fmt: skip
IDS = (DAY, IDLE, GAPPY, BUSY, EMPTY, OLD, MOVED, *ODD)
MOVED_AT = END - 2 * DAY_MIN


def load_pct(vm_id: str, minute: int) -> float:
    """The load of the hour that begins at `minute`; NaN = gap."""
    hour = minute // HOUR_MIN % 24
    match vm_id:
        case "vm-day":
            return 10.0 + hour
        case "vm-idle":
            return 0.0
        case "vm-gap":
            return float("nan") if hour in (3, 4) else 5.0
        case "vm-busy":
            return 95.0
        case "vm-none":
            return float("nan")
        case _:
            return 20.0 + IDS.index(vm_id)


def fill(folder: Path) -> Stores:
    """The stores with the fleet in them; its clock stands at NOW when the wall says 0 and runs in real time."""
    url = f"sqlite:{folder / 'fleet.sqlite'}"
    stores = open_stores(url, url, url)
    policy = Policy("Asia/Kathmandu", ("23:00-01:00",), None)
    lives = [Life(vm_id, BORN, "c1", 8192, policy=policy if vm_id == DAY else Policy()) for vm_id in IDS]
    placements = [Placement(vm_id, BORN, BORN, f"host-{slot}", 2.0, 0, slot) for slot, vm_id in enumerate(IDS)]
    placements.append(Placement(MOVED, BORN, MOVED_AT, "host-new", 2.0, 1, 7))
    stores.catalogue.put(lives, placements)
    stores.series.put(METRIC_CPU, [_row(block, hour) for block in (0, 1) for hour in _hours(block)])
    stores.forecasts.put([_forecast(0), _forecast(1)], log=False)
    write_clock(stores.control, Clock(1.0, float(NOW), 0.0))
    return stores


def app_of(stores: Stores, minutes_later: int = 0, calibration: Calibration = DEFAULT) -> FastAPI:
    """The app, its wall clock standing `minutes_later` minutes after NOW."""
    return create_app(Deps(stores, Limits(), lambda _model: calibration, lambda: 60.0 * minutes_later))


def _hours(block: int) -> range:
    return range(MOVED_AT if block else END - HISTORY_HOURS * HOUR_MIN, END, HOUR_MIN)


def _slots(block: int) -> dict[int, str]:
    return {7: MOVED} if block else dict(enumerate(IDS))


def _row(block: int, hour: int) -> BlockRow:
    mean = np.full(SLOTS, np.nan, dtype=np.float32)
    for slot, vm_id in _slots(block).items():
        if vm_id != MOVED or (hour >= MOVED_AT) == (block == 1):
            mean[slot] = load_pct(vm_id, hour)
    return BlockRow(60, block, hour, 0, 1, mean, np.where(np.isnan(mean), 0, 60).astype(np.uint8))


def _forecast(block: int) -> ForecastRow:
    records = np.zeros(SLOTS, dtype=FORECAST_DTYPE)
    records["reason"], records["best"] = Reason.UNKNOWN, NO_START
    for slot, vm_id in _slots(block).items():
        hours = np.nan_to_num([load_pct(vm_id, END + k * HOUR_MIN) for k in range(HOURS)], nan=5.0).astype(np.float32)
        record = records[slot : slot + 1]
        record["mean"], record["p50"], record["p90"] = 100 * hours, 100 * hours, 100 * hours + 200
        record["quiet"] = quietness(hours[None], np.zeros((1, 12), dtype=np.float32))
        record["best"] = default_starts(record["quiet"], allowed_starts(END, "UTC", (), 2), 2, 2, 290)
        record["data_through"], record["created_at"], record["coverage"] = END, BORN, 190
        record["rung"], record["reason"] = Rung.CHAMPION, Reason.NONE
        if vm_id == EMPTY:
            record["rung"], record["reason"], record["best"] = Rung.REFUSED, Reason.NO_DATA, NO_START
        if vm_id == OLD:
            record["data_through"] = END - 1000
        if vm_id == GAPPY:
            record["rung"], record["reason"] = Rung.HOUR_OF_DAY, Reason.GAPS
    if block == 0:
        records[IDS.index(MOVED)] = np.zeros(1, dtype=FORECAST_DTYPE)[0]
        records["reason"][IDS.index(MOVED)] = Reason.UNKNOWN
    return ForecastRow(block, END, END + 4, MODEL, records)


def ask(app: FastAPI, path: str, method: str = "GET", **content: Any) -> httpx.Response:  # noqa: ANN401 (httpx's own)
    """The answer of `app` to one request, no socket between; a bug in it is a 500, as it is for a caller."""

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **content)

    return asyncio.run(once())
