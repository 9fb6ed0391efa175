"""What must be stored, computed from the log alone by the shortest reading of the rules, and what is wrong in the end.

The rules: of a minute the sample of the latest second counts, of two in one second the larger; five minutes and an hour
are the means of their minutes; a minute belongs to the host on which the VM was; a bad message is in the dead letters
and one that came too late in the late topic, each once by key; and what is in neither is in an aggregate.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from models.minutes import HOUR_MIN, STEP_MIN, Minute
from tests.faults.script import VCPUS, Message

HIGHEST_PCT = 655  # more is impossible: its message has a dead letter, the samples beside it are taken
TOLERANCE_PCT = 0.006  # means are stored in 0.01 %, those of two placements are merged from two such


class Place(NamedTuple):
    """Where a message lies in the source's topic."""

    partition: int
    offset: int


class Logged(NamedTuple):
    """A message that the broker has."""

    place: Place
    value: bytes | None


class Sample(NamedTuple):
    """What a host said of a VM. `value`: in the unit of its source, or in percent."""

    vm: str
    host: str
    ts_s: int
    value: float


class Cell(NamedTuple):
    """One aggregate: of a VM, over `step_min` minutes from `start` on."""

    vm: str
    step_min: int
    start: Minute


class Mean(NamedTuple):
    """In percent, over so many minutes; `minutes` is never 0."""

    percent: float
    minutes: int


class Refused(NamedTuple):
    """A letter in one of our topics: the message it is about, and why it is there."""

    place: Place
    reason: str


class Wrong(NamedTuple):
    """Something that is not as it must be. `minute`: of the fleet, to know which fault was on; `doubled`, else lost."""

    minute: Minute
    doubled: bool
    what: str


Cells = dict[Cell, Mean]
Owner = Callable[[str, Minute], str]  # (vm, minute) -> host


def percents(log: Iterable[Logged], sent: Mapping[bytes | None, Message]) -> Iterator[Sample]:
    """The samples of the log's good messages, of a source that says percent."""
    for _, value in log:
        if value is not None and sent[value].taken:
            report = json.loads(value)
            for vm, percent in zip(report["vm"], report["cpu"], strict=True):
                yield Sample(vm, report["host"], report["ts"], percent)


def rates(log: Iterable[Logged], sent: Mapping[bytes | None, Message]) -> Iterator[Sample]:
    """The same of a source that counts core seconds: what a VM did between two reports of one host, at their middle."""
    last: dict[tuple[int, str, str], Sample] = {}
    for place, value in sorted(log):
        for now in percents([Logged(place, value)], sent):
            key = (place.partition, now.vm, now.host)
            then, last[key] = last.get(key), now
            if then is not None:
                took_s = now.ts_s - then.ts_s
                percent = 100 * (now.value - then.value) / took_s / VCPUS
                yield Sample(now.vm, now.host, then.ts_s + took_s // 2, percent)


def true_cells(samples: Iterable[Sample], owner: Owner) -> Cells:
    """The aggregates that the samples make."""
    best: dict[tuple[str, Minute], tuple[int, float]] = {}
    for vm, host, ts_s, percent in samples:
        minute, second = divmod(ts_s, 60)
        if 0 <= percent <= HIGHEST_PCT and owner(vm, minute) == host:
            best[vm, minute] = max(best.get((vm, minute), (-1, 0.0)), (second, percent))
    minutes: dict[Cell, list[float]] = {}
    for (vm, minute), (_, percent) in best.items():
        for step_min in (STEP_MIN, HOUR_MIN):
            minutes.setdefault(Cell(vm, step_min, minute - minute % step_min), []).append(percent)
    return {cell: Mean(float(np.mean(values)), len(values)) for cell, values in minutes.items()}


def wrong_cells(truth: Cells, found: Cells) -> Iterator[Wrong]:
    """Lost: fewer minutes than there were; doubled: more, or as many with another mean."""
    for cell in sorted(truth.keys() | found.keys()):
        must, has = truth.get(cell), found.get(cell)
        if must is None or has is None:
            yield Wrong(cell.start, must is None, f"{cell}: expected {must}, got {has}")
        elif must.minutes != has.minutes or not abs(must.percent - has.percent) <= TOLERANCE_PCT:
            yield Wrong(cell.start, has.minutes >= must.minutes, f"{cell}: expected {must}, got {has}")


def wrong_letters(
    due: Iterable[Refused], found: Iterable[Refused], minute_of: Callable[[Place], Minute]
) -> Iterator[Wrong]:
    """Lost: a letter that is due and not there; doubled: one that is not due, or there twice by its key.

    `found` comes by key: of a key that a killed worker wrote twice, compaction keeps one.
    """
    must, has = Counter(due), Counter(found)
    for letter in sorted((must - has).elements()):
        yield Wrong(minute_of(letter.place), False, f"expected, and not there: {letter}")
    for letter in sorted((has - must).elements()):
        yield Wrong(minute_of(letter.place), True, f"there, and not expected: {letter}")


def wrong_acknowledged(
    log: Iterable[Logged], acknowledged: Iterable[Logged], sent: Mapping[bytes | None, Message]
) -> Iterator[Wrong]:
    """Lost: what the broker acknowledged and does not have. That would be the broker's fault, not ours."""
    there = dict(log)
    for place, value in acknowledged:
        if place not in there or there[place] != value:
            yield Wrong(sent[value].minute, False, f"acknowledged, and not in the broker's log: {place}")
