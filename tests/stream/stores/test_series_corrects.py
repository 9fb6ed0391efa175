"""A row that corrects: minutes of what was written were given to another placement."""

from __future__ import annotations

from dataclasses import replace

from models.minutes import Span
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU
from tests.stream.stores.given import block_row


def test_a_row_that_corrects_replaces_what_an_earlier_or_the_same_epoch_wrote_and_gets_a_new_rev(
    stores: Stores,
) -> None:
    first = stores.series.put(METRIC_CPU, [block_row({1: (10, 60), 2: (20, 60)}, epoch=3)])
    second = stores.series.put(METRIC_CPU, [replace(block_row({1: (8, 20), 2: (20, 60)}, epoch=4), corrects=True)])
    cells = stores.series.read(METRIC_CPU, 60, [0], Span(0, 60))
    assert (cells.mean[0, 1:3].tolist(), cells.count[0, 1:3].tolist()) == ([8, 20], [20, 60])
    assert second > first
    third = stores.series.put(METRIC_CPU, [replace(block_row({2: (20, 60)}, epoch=4), corrects=True)])
    assert stores.series.read(METRIC_CPU, 60, [0], Span(0, 60)).count[0, 1] == 0
    assert third > second


def test_a_row_of_an_older_epoch_corrects_nothing(stores: Stores) -> None:
    stores.series.put(METRIC_CPU, [block_row({1: (10, 60)}, epoch=3)])
    stores.series.put(METRIC_CPU, [replace(block_row({1: (8, 20)}, epoch=2), corrects=True)])
    assert stores.series.read(METRIC_CPU, 60, [0], Span(0, 60)).count[0, 1] == 60
