"""Yesterday of the small fleet: forecasts that were logged at FIRST, and the 5-minute means that came since.

Each VM's load is `small_fleet.load_pct`, flat within the hour; the forecasts have it right, with a P90 2 points above,
but for BUSY, whose P90 is 1 point too low. Every window of 10 minutes was chosen at 06:05, the first that could be.
"""

from __future__ import annotations

import numpy as np

from models.calibration import DEFAULT
from models.fleet import SLOTS
from models.forecast import FORECAST_DTYPE, HOURS, NO_START, Reason, Rung
from models.minutes import HOUR_MIN, STEP_MIN, parse_iso
from stream.judging import Measure, judge_due
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU, BlockRow, ForecastRow
from tests.stream.small_fleet import BORN, BUSY, EMPTY, GAPPY, IDS, MOVED, MOVED_AT, NOW, load_pct

FIRST = parse_iso("2026-03-09T06:00Z")
MADE_AT = FIRST + 4
SETTLED_AFTER_MIN = 33
DUE = MADE_AT + 24 * HOUR_MIN + SETTLED_AFTER_MIN
MODEL = "set-00000003"
CHOSEN_STEP = 1
MEASURE = Measure(lambda _model: DEFAULT, 80.0, 10)


def log_yesterday(stores: Stores, first: int = FIRST) -> None:
    """Store the 26 hours from `first` on as they came, and the forecasts that were made of them."""
    rows = [_row(block, start) for block in (0, 1) for start in range(first, first + HOURS * HOUR_MIN, STEP_MIN)]
    stores.series.put(METRIC_CPU, rows)
    stores.forecasts.put([_forecast(block, first) for block in (0, 1)], log=True)


def judge_yesterday(stores: Stores) -> int:
    """Judge what is due at NOW."""
    return judge_due(stores, MEASURE, NOW, SETTLED_AFTER_MIN)


def _slots(block: int) -> dict[int, str]:
    return {7: MOVED} if block else {slot: vm_id for slot, vm_id in enumerate(IDS) if vm_id != MOVED}


def _row(block: int, start: int) -> BlockRow:
    mean = np.full(SLOTS, np.nan, dtype=np.float32)
    for slot, vm_id in _slots(block).items():
        if vm_id != MOVED or start >= MOVED_AT:
            mean[slot] = load_pct(vm_id, start)
    return BlockRow(STEP_MIN, block, start, 0, 1, mean, np.where(np.isnan(mean), 0, 5).astype(np.uint8))


def _forecast(block: int, first: int) -> ForecastRow:
    records = np.zeros(SLOTS, dtype=FORECAST_DTYPE)
    records["reason"], records["best"] = Reason.UNKNOWN, NO_START
    for slot, vm_id in _slots(block).items():
        hours = np.nan_to_num([load_pct(vm_id, first + k * HOUR_MIN) for k in range(HOURS)], nan=5.0)
        record = records[slot : slot + 1]
        record["mean"], record["p50"] = 100 * hours, 100 * hours
        record["p90"] = 100 * hours + (-100 if vm_id == BUSY else 200)
        record["rung"], record["reason"], record["best"] = Rung.CHAMPION, Reason.NONE, CHOSEN_STEP
        record["created_at"] = BORN
        if vm_id == EMPTY:
            record["rung"], record["reason"], record["best"] = Rung.REFUSED, Reason.NO_DATA, NO_START
        if vm_id == GAPPY:
            record["rung"], record["reason"] = Rung.HOUR_OF_DAY, Reason.GAPS
    return ForecastRow(block, first, first + 4, MODEL, records)
