"""The day profile: what repeats grows to its full size, what came once does not, and a replay counts no hour twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.aggregate import aggregate
from models.fleet import SLOTS
from models.minutes import DAY_MIN
from stream.due import ClosedHour
from stream.profile import updated_profiles
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU, ProfileRow
from tests.stream.fakes import stores_in

ALPHA = 0.25


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    opened = stores_in(tmp_path)
    yield opened
    opened.close()


def closed(start: int, spike: float) -> ClosedHour:
    """Slot 0: a spike over the first 5 minutes; slot 1: flat; slot 2: nothing came."""
    minutes = np.full((60, SLOTS), np.nan, dtype=np.float32)
    minutes[:, :2] = 10
    minutes[:5, 0] = 10 + spike
    made = aggregate(minutes)
    return ClosedHour(0, 7, start, made.whole, made.steps.mean)


def points(row: ProfileRow, slot: int) -> list[float]:
    found: list[float] = (row.shape[:, slot] * (row.scale[slot] / np.float32(127))).tolist()
    return found


def test_one_hour_counts_for_a_quarter(stores: Stores) -> None:
    (row,) = updated_profiles(stores.series, [closed(3 * 60, 12.0)], ALPHA)
    assert (row.block, row.hour_of_day, row.through) == (7, 3, 4 * 60)
    assert points(row, 0)[0] == pytest.approx(11 * ALPHA, rel=0.01)
    assert points(row, 0)[1] == pytest.approx(-1 * ALPHA, rel=0.05)
    assert points(row, 1) == [0.0] * 12
    assert row.scale[2] == 0.0


def test_what_comes_each_day_grows_to_its_full_size(stores: Stores) -> None:
    days = [closed(day * DAY_MIN, 12.0) for day in range(20)]
    (row,) = updated_profiles(stores.series, days, ALPHA)
    assert points(row, 0)[0] == pytest.approx(11, rel=0.02)


def test_a_replayed_hour_is_not_counted_twice(stores: Stores) -> None:
    rows = updated_profiles(stores.series, [closed(0, 12.0)], ALPHA)
    stores.series.put(METRIC_CPU, [], rows)
    assert updated_profiles(stores.series, [closed(0, 12.0)], ALPHA) == []
    (again,) = updated_profiles(stores.series, [closed(DAY_MIN, 12.0)], ALPHA)
    assert points(again, 0)[0] == pytest.approx(11 * (1 - (1 - ALPHA) ** 2), rel=0.02)
