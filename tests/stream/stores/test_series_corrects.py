"""A row that corrects: minutes of what was written of some of its slots were given to another placement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.fleet import SLOTS
from models.minutes import Span
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU
from tests.stream.stores.given import block_row


def of_slots(*slots: int) -> npt.NDArray[np.bool_]:
    return np.isin(np.arange(SLOTS), slots)


def test_a_row_replaces_the_slots_that_it_corrects_whatever_wrote_them_and_gets_a_new_rev(stores: Stores) -> None:
    first = stores.series.put(METRIC_CPU, [block_row({1: (10, 60), 2: (20, 60)}, epoch=3)])
    fewer = block_row({1: (8, 20), 2: (8, 20)}, epoch=4)
    second = stores.series.put(METRIC_CPU, [replace(fewer, corrects=of_slots(1))])
    cells = stores.series.read(METRIC_CPU, 60, [0], Span(0, 60))
    assert (cells.mean[0, 1:3].tolist(), cells.count[0, 1:3].tolist()) == ([8, 20], [20, 60])
    assert second > first
    third = stores.series.put(METRIC_CPU, [replace(block_row({2: (20, 60)}, epoch=4), corrects=of_slots(1))])
    assert stores.series.read(METRIC_CPU, 60, [0], Span(0, 60)).count[0, 1:3].tolist() == [0, 60]
    assert third > second


def test_a_row_of_an_older_epoch_corrects_nothing(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({1: (10, 60)}, epoch=3)])
    stores.series.put(METRIC_CPU, [replace(block_row({1: (8, 20)}, epoch=2), corrects=of_slots(1))])
    assert stores.series.read(METRIC_CPU, 60, [0], Span(0, 60)).count[0, 1] == 60
