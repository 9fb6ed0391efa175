"""What the workers made, held against the oracle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from models.fleet import Vm
from models.minutes import HOUR_MIN, STEP_MIN, Minute, Span, ceil_to, floor_to
from stream.dead import decode_dead
from stream.stores.history import read_steps
from stream.stores.open import Stores
from stream.stores.protocols import BlockRow, Cells, Changed, ProfileRow, Series
from tests.faults.oracle import (
    Cell,
    Logged,
    Mean,
    Owner,
    Place,
    Refused,
    Wrong,
    percents,
    rates,
    true_cells,
    wrong_acknowledged,
    wrong_cells,
    wrong_letters,
)
from tests.faults.oracle import Cells as OfVms
from tests.faults.script import Message
from tests.faults.world import BEGIN, World


class Made(NamedTuple):
    """What the workers have made of the log: every aggregate, and the letters by key, as compaction leaves them."""

    cells: OfVms
    dead: Sequence[Refused]
    late: Sequence[Refused]


class Wanted:
    """What must be there in the end, from a log that has ended."""

    def __init__(
        self, log: Sequence[Logged], sent: Mapping[bytes | None, Message], owner: Owner, *, counters: bool = False
    ) -> None:
        self.messages = len(log)
        self._log, self._sent = log, sent
        self._cells = true_cells((rates if counters else percents)(log, sent), owner)
        self._message_at = {place: sent[value] for place, value in log}

    def wrong(self, made: Made, acknowledged: Sequence[Logged]) -> list[Wrong]:
        """What is not as it must be."""
        dead = [Refused(place, message.dead) for place, message in self._message_at.items() if message.dead]
        late = [Refused(place, message.late) for place, message in self._message_at.items() if message.late]
        return [
            *wrong_acknowledged(self._log, acknowledged, self._sent),
            *wrong_cells(self._cells, made.cells),
            *wrong_letters(dead, made.dead, self._minute_of),
            *wrong_letters(late, made.late, self._minute_of),
        ]

    def _minute_of(self, place: Place) -> Minute:
        return self._message_at[place].minute if place in self._message_at else BEGIN


def wanted(world: World) -> Wanted:
    """From the log as it is now; the feed has ended."""
    log = [Logged(Place(r.partition, r.offset), r.value) for r in world.feed.log()]
    return Wanted(log, world.feed.sent, world.fleet.host_of, counters=world.fleet.counters)


def made(world: World) -> Made:
    """As it is now."""
    cells = found_cells(world.stores, Span(BEGIN, world.minute))
    return Made(cells, _letters(world, world.topics.dead), _letters(world, world.topics.late))


def _letters(world: World, topic: str) -> list[Refused]:
    records = {record.key: record.value for record in world.feed.log(topic) if record.value is not None}
    letters = [decode_dead(key, value) for key, value in records.items()]
    return [Refused(Place(letter.partition, letter.offset), letter.reason) for letter in letters]


def found_cells(stores: Stores, span: Span) -> OfVms:
    """Every stored aggregate, as the reader of history gives it; an older life of an id has its own name."""
    series, found = _Remembering(stores.series), {}
    newest = {vm.life.vm_id: vm.life.created_at for vm in stores.catalogue.lives()}
    for vm in stores.catalogue.lives():
        old = "" if newest[vm.life.vm_id] == vm.life.created_at else f" created at {vm.life.created_at}"
        for step_min in (STEP_MIN, HOUR_MIN):
            for cell, mean in _of_vm(series, vm, step_min, span):
                found[cell._replace(vm=cell.vm + old)] = mean
    return found


def _of_vm(series: Series, vm: Vm, step_min: int, span: Span) -> Iterator[tuple[Cell, Mean]]:
    span = Span(floor_to(span.start, step_min), ceil_to(span.end, step_min))
    mean, count = read_steps(series, vm, step_min, span)
    for index in np.flatnonzero((count > 0) | ~np.isnan(mean)).tolist():
        cell = Cell(vm.life.vm_id, step_min, span.start + index * step_min)
        yield cell, Mean(float(mean[index]), int(count[index]))


class _Remembering:
    """A Series that reads each block once: the reader of history asks for a whole block a VM."""

    def __init__(self, series: Series) -> None:
        self._series = series
        self._read: dict[tuple[str, int, tuple[int, ...], Span], Cells] = {}

    def read(self, metric: str, step_min: int, blocks: Sequence[int], span: Span) -> Cells:
        key = (metric, step_min, tuple(blocks), span)
        if key not in self._read:
            self._read[key] = self._series.read(metric, step_min, blocks, span)
        return self._read[key]

    def put(self, metric: str, rows: Sequence[BlockRow], profiles: Sequence[ProfileRow] = ()) -> int:
        raise NotImplementedError

    def changed(self, metric: str, step_min: int, after_rev: int) -> list[Changed]:
        raise NotImplementedError

    def profiles(self, metric: str, blocks: Sequence[int], hour_of_day: int | None = None) -> list[ProfileRow]:
        raise NotImplementedError
