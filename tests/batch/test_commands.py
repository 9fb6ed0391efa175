"""What training asks of the stores: the past of each VM, from each block where it was kept, and what came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from batch.commands import asked_from
from models.fleet import SLOTS, Life, Placement, Vm
from models.forecast import HOURS, STARTS
from models.minutes import DAY_MIN, HOUR_MIN
from stream.stores.history import read_history
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU, BlockRow
from tests.models.given import END
from tests.stream.fakes import stores_in

ORIGIN = END - HOURS * HOUR_MIN
DAYS = 4
VMS = [
    Vm(Life(f"vm-{k}", END - 30 * DAY_MIN), (Placement(f"vm-{k}", END - 30 * DAY_MIN, 0, "h", 2.0, k % 2, k),))
    for k in range(6)
]


def load(slot: int, start: int) -> float:
    """VM k runs at 10 * k + 10 percent and one point more for each hour of the day; 44 more at the full hour."""
    return 10.0 * slot + 10 + start // HOUR_MIN % 24 + (44.0 if start % HOUR_MIN == 0 else -4.0)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    opened = stores_in(tmp_path)
    for block in (0, 1):
        for start in range(END - DAYS * DAY_MIN, END, 5):
            mean = np.full(SLOTS, np.nan, np.float32)
            mean[block:6:2] = [load(slot, start) for slot in range(block, 6, 2)]
            count = np.where(np.isnan(mean), 0, 5).astype(np.uint8)
            opened.series.put(METRIC_CPU, [BlockRow(5, block, start, 0, 1, mean, count)])
        for start in range(END - DAYS * DAY_MIN, END, HOUR_MIN):
            mean = np.full(SLOTS, np.nan, np.float32)
            mean[block:6:2] = [10.0 * slot + 10 + start // HOUR_MIN % 24 for slot in range(block, 6, 2)]
            count = np.where(np.isnan(mean), 0, 60).astype(np.uint8)
            opened.series.put(METRIC_CPU, [BlockRow(60, block, start, 0, 1, mean, count)])
    yield opened
    opened.close()


def test_a_question_is_of_what_was_known_at_its_origin_and_told_what_came(stores: Stores) -> None:
    history = read_history(stores.series, VMS, END, DAYS * 24)
    asked = asked_from(stores.series, VMS, history, ORIGIN)
    assert asked.history.end == ORIGIN
    assert asked.steps.shape == (6, 14 * 288)
    assert asked.came.shape == (6, STARTS)
    assert asked.hours.shape == (6, HOURS)
    for vm in range(6):
        assert asked.came[vm, 13] == load(vm, ORIGIN + 65)
        assert asked.steps[vm, -1] == load(vm, ORIGIN - 5)
        assert asked.hours[vm, 3] == 10 * vm + 10 + (ORIGIN // HOUR_MIN + 3) % 24
        assert asked.history.mean[vm, -1] == 10 * vm + 10 + (ORIGIN // HOUR_MIN - 1) % 24
    assert np.isnan(asked.steps[:, : -3 * 288]).all()


def test_the_day_profile_is_the_one_of_the_origin_not_of_now(stores: Stores) -> None:
    history = read_history(stores.series, VMS, END, DAYS * 24)
    asked = asked_from(stores.series, VMS, history, ORIGIN)
    hours_seen = (DAYS * 24 - HOURS) // 24
    least = 44 * (1 - 0.75**hours_seen)
    assert asked.history.scale.min() == pytest.approx(least, rel=0.01)
    assert asked.history.shape[0, ::12].tolist() == [127] * 24
