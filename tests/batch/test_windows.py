"""How sure chosen windows are: ratios of what came, of known loads and a known forecast."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from batch.windows import calibrate_windows
from models.calibration import LENGTHS_MIN, confidence
from models.fleet import SLOTS, Life, Placement, Vm
from models.forecast import HOURS, History, Prediction, Rung
from models.minutes import DAY_MIN
from stream.stores.history import read_history
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU, BlockRow
from tests.stream.fakes import stores_in

END = 1440 * 20_000
ORIGIN = END - 26 * 60
VMS = [Vm(Life(f"vm-{k}", END - 30 * DAY_MIN), (Placement(f"vm-{k}", 0, 0, "h", None, 0, k),)) for k in range(80)]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """Slot k runs at k percent, all the time."""
    opened = stores_in(tmp_path)
    mean = np.arange(SLOTS, dtype=np.float32) % 100
    for step_min in (5, 60):
        count = np.full(SLOTS, step_min, dtype=np.uint8)
        starts = range(END - 8 * DAY_MIN - 26 * 60, END, step_min)
        opened.series.put(METRIC_CPU, [BlockRow(step_min, 0, start, 0, 1, mean, count) for start in starts])
    yield opened
    opened.close()


class Low:
    """Says `short` points less than what will come, with a bound 10 points above."""

    name, rung = "low", Rung.CHAMPION

    def __init__(self, short: float) -> None:
        self._short = np.float32(short)

    def predict(self, history: History) -> Prediction:
        p50 = np.repeat(history.mean[:, -1:] - self._short, HOURS, axis=1)
        return Prediction(p50, p50, p50 + np.float32(10))


@pytest.mark.parametrize(("short", "sure"), [(0.0, True), (15.0, False)])
def test_a_forecast_is_as_sure_as_it_was_right(stores: Stores, short: float, *, sure: bool) -> None:
    history = read_history(stores.series, VMS, END, 24 * 8)
    table = calibrate_windows(stores.series, VMS, Low(short), history, [ORIGIN])
    assert table is not None
    assert table.lengths_min == LENGTHS_MIN
    for minutes in LENGTHS_MIN:
        said = float(confidence(table, 50.0, 60.0, 60.0, minutes))  # up to the bound itself
        assert (said > 0.9) == sure, said
        assert (said < 0.1) == (not sure), said


def test_too_few_windows_say_nothing(stores: Stores) -> None:
    history = read_history(stores.series, VMS[:10], END, 24 * 8)
    assert calibrate_windows(stores.series, VMS[:10], Low(0.0), history, [ORIGIN]) is None
