"""Outlooks for the VMs of a question: read where it reaches beyond 24 hours, once for each group of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from models.forecast import HOURS
from models.minutes import DAY_MIN, Span
from models.weekday import OUTLOOK_HOURS
from stream.api_deps import subjects
from stream.outlooks import with_outlooks
from stream.question import Question
from stream.stores.open import Stores
from stream.stores.protocols import Cells
from tests.stream.small_fleet import DAY, EMPTY, END, GAPPY, IDLE, IDS, MOVED, NOW, fill

LATER = Question(deadline=NOW + 3 * DAY_MIN)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    stores = fill(tmp_path_factory.mktemp("fleet"))
    yield stores
    stores.close()


class Counting:
    """A Series that notes which blocks were read."""

    def __init__(self, stores: Stores) -> None:
        self._series = stores.series
        self.blocks: list[int] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the series has)
        return getattr(self._series, name)

    def read(self, metric: str, step_min: int, blocks: Sequence[int], span: Span) -> Cells:
        self.blocks += blocks
        assert span.end == END
        return self._series.read(metric, step_min, blocks, span)


def test_nothing_is_read_for_the_next_24_hours(stores: Stores) -> None:
    series, found = Counting(stores), subjects(stores, IDS)
    for question in (Question(), Question(deadline=NOW + DAY_MIN)):
        assert with_outlooks(series, found, question, NOW) == found
    assert series.blocks == []


def test_a_block_is_read_once_for_all_its_vms(stores: Stores) -> None:
    series = Counting(stores)
    got = with_outlooks(series, subjects(stores, [*IDS, "nobody", DAY]), LATER, NOW)
    assert series.blocks == [0, 1]
    assert [subject.vm_id for subject in got] == [*IDS, "nobody", DAY]
    assert {subject.vm_id for subject in got if subject.outlook is None} == {EMPTY, "nobody"}


def test_each_vm_gets_its_own_usual_week(stores: Stores) -> None:
    got = {
        subject.vm_id: subject.outlook for subject in with_outlooks(stores.series, subjects(stores, IDS), LATER, NOW)
    }
    day, idle, gappy, moved = (got[vm_id] for vm_id in (DAY, IDLE, GAPPY, MOVED))
    assert day is not None
    assert idle is not None
    assert gappy is not None
    assert moved is not None
    first_hour = (END // 60 + HOURS) % 24
    np.testing.assert_allclose(day.mean, 10 + (first_hour + np.arange(OUTLOOK_HOURS)) % 24, atol=0.01)
    assert (idle.mean == 0).all()
    assert (idle.p90 == 0).all()
    np.testing.assert_allclose(gappy.mean, 5, atol=0.01)
    np.testing.assert_allclose(moved.mean, 20 + IDS.index(MOVED), atol=0.01)
