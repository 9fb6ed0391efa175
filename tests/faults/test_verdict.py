"""The fault harness can fail: at a row that was tampered with, a sample too few or too many in the log, and letters.

The rows are written here from the oracle's own cells, so what is read back agrees until something is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.fleet import SLOTS, Life, Placement
from models.minutes import HOUR_MIN, STEP_MIN, Span
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import METRIC_CPU, BlockRow
from tests.faults.oracle import Cells, Logged, Place, Refused, percents, true_cells
from tests.faults.script import Fleet, Message
from tests.faults.verdict import Made, Wanted, found_cells
from tests.faults.world import BEGIN

END = BEGIN + 2 * HOUR_MIN
MOVED, MOVED_AT = "vm-1", BEGIN + 33  # within a step, so that two placements share it
BAD = Message("host-0", b"{bad", END - 1, taken=False, dead="malformed")
OLD = Message("host-0", b"{old", END - 1, taken=False, late="late")


@pytest.fixture
def fleet() -> Fleet:
    fleet = Fleet(vms=11, hosts=2, seed=3)
    fleet.move(MOVED, "host-0", MOVED_AT)
    return fleet


@pytest.fixture
def sent(fleet: Fleet) -> list[Message]:
    return [*(message for minute in range(BEGIN, END) for message in fleet.messages(minute)), BAD, OLD]


@pytest.fixture
def stores(tmp_path: Path, fleet: Fleet, sent: list[Message]) -> Iterator[Stores]:
    stores = open_stores(*[f"sqlite:{tmp_path / 'stores.sqlite'}"] * 3)
    placements = {vm: [Placement(vm, BEGIN, BEGIN, "", None, 0, slot)] for slot, vm in enumerate(fleet.vms)}
    placements[MOVED].append(Placement(MOVED, BEGIN, MOVED_AT, "", None, 1, 0))
    stores.catalogue.put([Life(vm, BEGIN) for vm in placements], [p for some in placements.values() for p in some])
    before = cells_of([m for m in sent if m.minute < MOVED_AT], fleet)
    after = cells_of([m for m in sent if m.minute >= MOVED_AT], fleet)
    whole = cells_of(sent, fleet)
    stay = {cell: mean for cell, mean in whole.items() if cell.vm != MOVED}
    write(stores, 0, placements, stay | {cell: mean for cell, mean in before.items() if cell.vm == MOVED})
    write(stores, 1, placements, {cell: mean for cell, mean in after.items() if cell.vm == MOVED})
    yield stores
    stores.close()


def write(stores: Stores, block: int, placements: dict[str, list[Placement]], cells: Cells, epoch: int = 1) -> None:
    slot_of = {vm: p.slot for vm, some in placements.items() for p in some if p.block == block}
    for step_min, start in sorted({(cell.step_min, cell.start) for cell in cells}):
        row = BlockRow(step_min, block, start, 0, epoch, np.full(SLOTS, np.nan, np.float32), np.zeros(SLOTS, np.uint8))
        for (vm, step, begins), mean in cells.items():
            if (step, begins) == (step_min, start):
                row.mean[slot_of[vm]], row.count[slot_of[vm]] = mean
        stores.series.put(METRIC_CPU, [row])


def cells_of(sent: list[Message], fleet: Fleet) -> Cells:
    return true_cells(percents(log_of(sent), by_value(sent)), fleet.host_of)


def by_value(sent: list[Message]) -> dict[bytes | None, Message]:
    return {message.value: message for message in sent}


def log_of(sent: list[Message]) -> list[Logged]:
    return [Logged(Place(0, offset), message.value) for offset, message in enumerate(sent)]


def judge(stores: Stores, fleet: Fleet, log: list[Logged], sent: list[Message], letters: int = 1) -> tuple[int, int]:
    """(lost, doubled), where each of the two letters is there so many times."""
    places = {value: place for place, value in log}
    dead = [Refused(places[BAD.value], "malformed")] * letters
    late = [Refused(places[OLD.value], "late")] * letters
    made = Made(found_cells(stores, Span(BEGIN, END)), dead, late)
    wrong = Wanted(log, by_value(sent), fleet.host_of).wrong(made, log)
    return sum(not w.doubled for w in wrong), sum(w.doubled for w in wrong)


def test_what_is_stored_is_what_the_log_says(stores: Stores, fleet: Fleet, sent: list[Message]) -> None:
    assert len(found_cells(stores, Span(BEGIN, END))) == 11 * 2 * (12 + 1)
    assert judge(stores, fleet, log_of(sent), sent) == (0, 0)


def test_a_row_that_was_tampered_with_is_seen(stores: Stores, fleet: Fleet, sent: list[Message]) -> None:
    key = (METRIC_CPU, STEP_MIN, [0], Span(BEGIN, BEGIN + STEP_MIN))
    cells = stores.series.read(*key)
    row = BlockRow(STEP_MIN, 0, BEGIN, 0, 2, cells.mean[0].copy(), cells.count[0].copy())
    row.mean[2] += 0.02
    stores.series.put(METRIC_CPU, [row])
    assert judge(stores, fleet, log_of(sent), sent) == (0, 1)
    fewer = np.where(row.count > 0, 4, 0).astype(np.uint8)
    stores.series.put(METRIC_CPU, [replace(row, epoch=3, count=fewer, corrects=np.ones(SLOTS, np.bool_))])
    assert judge(stores, fleet, log_of(sent), sent) == (11, 0)


def test_a_report_too_many_in_the_log_is_lost_and_one_too_few_was_doubled(
    stores: Stores, fleet: Fleet, sent: list[Message]
) -> None:
    report = next(m for m in sent if m.minute == BEGIN + 7 and m.key == "host-0")
    on_it = len(fleet.vms_of("host-0", BEGIN + 7))
    without = [message for message in sent if message is not report]
    assert judge(stores, fleet, log_of(without), sent) == (0, 2 * on_it)
    late = fleet.report("host-0", END + 1)
    more = [*sent, Message("host-0", late.encode(), END + 1)]
    assert judge(stores, fleet, log_of(more), more) == (2 * len(late.vms), 0)


def test_letters_that_are_missing_or_there_twice_are_seen(stores: Stores, fleet: Fleet, sent: list[Message]) -> None:
    assert judge(stores, fleet, log_of(sent), sent, letters=0) == (2, 0)
    assert judge(stores, fleet, log_of(sent), sent, letters=2) == (0, 2)


def test_another_life_of_an_id_does_not_hide_behind_it(stores: Stores, fleet: Fleet, sent: list[Message]) -> None:
    life = Placement("vm-3", BEGIN + 60, BEGIN + 60, "", None, 0, 100)
    stores.catalogue.put([Life("vm-3", BEGIN + 60)], [life])
    assert judge(stores, fleet, log_of(sent), sent) == (26, 26)
