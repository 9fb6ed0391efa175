"""The synthetic fleet as a trace: the same minutes every time, bit for bit, in whatever pieces they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np

from models.errors import BadInput
from models.fleet import FOREVER, VmRecord
from models.minutes import DAY_MIN, Minute, Span, ceil_to, floor_to
from stream.samples import Key, Samples
from stream.synthetic_fleet import Floats, Ints, make_fleet
from stream.synthetic_load import day_load

DEMO_NOW: Minute = 29_552_400  # Tuesday 2026-03-10T12:00Z: New York's spring change (8 March) lies in the history
LATE_SHARE = 1e-4  # of the samples; as many again come twice
LATE_MIN = (2, 20)
DAYS_KEPT = 3
STRAGGLERS = 4  # a stream of random numbers, beside those of `stream.synthetic_load`


@dataclass(frozen=True, slots=True)
class _Stragglers:
    """Samples that arrive after their minute, in order of arrival: int64[n], int64[n], int64[n], float32[n]."""

    arrival: Ints
    minute: Ints
    key: Ints
    value: Floats


@dataclass(frozen=True, slots=True)
class _Day:
    """What comes within its minute, float32[1440, keys] with NaN = nothing, and what comes later."""

    on_time: Floats
    stragglers: _Stragglers


class SyntheticTrace:
    """`vms` VMs with `days` of past behind DEMO_NOW, and endless beyond it for a live replay.

    `kinds`: each VM's kind, one of `stream.synthetic_fleet.KINDS`. A VM that moves has a key for each host.
    The only state is a cache of the last days made.
    """

    def __init__(self, vms: int = 2000, days: int = 16, seed: int = 7, parts: int = 2) -> None:
        _check("vms", vms, 1, 100_000)
        _check("days", days, 1, 366)
        _check("seed", seed, 0, 2**32)
        _check("parts", parts, 1, 1024)
        self.name = f"synthetic:vms={vms},days={days},seed={seed}"
        self.unit = "percent"
        self.interval_min = 1
        self.parts = parts
        self.now = DEMO_NOW
        self.span = Span(DEMO_NOW - days * DAY_MIN, FOREVER)
        fleet = make_fleet(vms, seed, Span(self.span.start, DEMO_NOW))
        self.kinds = dict(zip(fleet.ids, fleet.kinds, strict=True))
        self.keys = [Key(fleet.ids[stay.vm], stay.host) for stay in fleet.stays]
        self._seed, self._load, self._inventory = seed, fleet.load, fleet.inventory
        self._vm = np.array([stay.vm for stay in fleet.stays])
        self._first = np.array([stay.span.start for stay in fleet.stays])
        self._end = np.array([stay.span.end for stay in fleet.stays])
        # A host reports once a minute, at a second of its own.
        self._second = np.array([crc32(stay.host.encode()) % 60 for stay in fleet.stays])
        self._part = np.array([_part_of(stay.host, parts) for stay in fleet.stays])
        self._keys_of = [np.flatnonzero(self._part == part) for part in range(parts)]
        self._day = lru_cache(maxsize=DAYS_KEPT)(self._make_day)

    def samples(self, part: int, span: Span) -> Samples:
        """What arrives at `part` within `span`, minute by minute; in each, what is late or comes again stands last."""
        start, end = max(span.start, self.span.start), min(span.end, self.span.end)
        midnights = range(floor_to(start, DAY_MIN), ceil_to(end, DAY_MIN), DAY_MIN)
        pieces = [self._piece(part, Span(max(start, m), min(end, m + DAY_MIN))) for m in midnights]
        if not pieces:
            return Samples(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float32))
        return Samples(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))

    def records(self, part: int, span: Span) -> tuple[VmRecord, ...]:
        """The inventory records that arrive at their host's `part` within `span`, by arrival.

        A VM older than the trace is told of at its first minute, with its real birth.
        """
        return tuple(
            record
            for arrival, record in self._inventory
            if span.start <= arrival < span.end and _part_of(record.host, self.parts) == part
        )

    def _piece(self, part: int, span: Span) -> Samples:
        """`samples` of a span within one day."""
        day, first = divmod(span.start, DAY_MIN)
        today, keys = self._day(day), self._keys_of[part]
        there = today.on_time[first : first + span.end - span.start][:, keys]
        line, column = np.nonzero(~np.isnan(there))
        minute, key, value = line + span.start, keys[column], there[line, column]
        late = [self._late(today.stragglers, part, span)]
        if first < LATE_MIN[1]:
            late.insert(0, self._late(self._day(day - 1).stragglers, part, span))
        order = np.argsort(np.concatenate([minute, *(s.arrival for s in late)]), kind="stable")
        minute = np.concatenate([minute, *(s.minute for s in late)])[order]
        key = np.concatenate([key, *(s.key for s in late)])[order]
        value = np.concatenate([value, *(s.value for s in late)])[order]
        return Samples(key.astype(np.int32), minute * 60 + self._second[key], value)

    def _late(self, stragglers: _Stragglers, part: int, span: Span) -> _Stragglers:
        arrival, key = stragglers.arrival, stragglers.key
        here = (arrival >= span.start) & (arrival < span.end) & (self._part[key] == part)
        return _Stragglers(arrival[here], stragglers.minute[here], key[here], stragglers.value[here])

    def _make_day(self, day: int) -> _Day:
        start = day * DAY_MIN
        values = day_load(self._load, self._seed, day)[:, self._vm]
        partly = np.flatnonzero((self._first > start) | (self._end < start + DAY_MIN))
        minutes = start + np.arange(DAY_MIN)[:, None]
        there = (minutes >= self._first[partly]) & (minutes < self._end[partly])
        values[:, partly] = np.where(there, values[:, partly], np.float32(np.nan))
        return _Day(values, _take_stragglers(values, start, np.random.default_rng((self._seed, day, STRAGGLERS))))


def _take_stragglers(values: Floats, start: Minute, rng: np.random.Generator) -> _Stragglers:
    """Draw the samples that come late, which leave `values` (float32[1440, keys]), and those that come twice."""
    count = round(values.size * LATE_SHARE)
    cells = rng.choice(values.size, 2 * count, replace=False)
    delay = rng.integers(LATE_MIN[0], LATE_MIN[1] + 1, 2 * count)
    line, key = np.divmod(cells, values.shape[1])
    value = values[line, key]
    values[line[:count], key[:count]] = np.nan
    arrival = start + line + delay
    order = np.argsort(arrival, kind="stable")
    order = order[~np.isnan(value[order])]
    return _Stragglers(arrival[order], start + line[order], key[order], value[order])


def _part_of(host: str, parts: int) -> int:
    """As a broker would: a host's reports always go to the same partition."""
    return crc32(host.encode()) % parts


def _check(name: str, got: int, least: int, most: int) -> None:
    if not least <= got <= most:
        expected = f"a whole number from {least:,} to {most:,}"
        raise BadInput(f"synthetic fleet, {name}", expected=expected, got=f"{got:,}", remedy=f"Give another {name}.")
