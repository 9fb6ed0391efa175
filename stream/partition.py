"""One partition of the sample log: its ring, its watermark, and which spans are due to be written.

A span is written when the watermark is `close_delay_min` past its end, and again when a later sample touched it, as
long as its whole hour is still open: `reopen_for_min` longer. Older samples are counted and left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.aggregate import CHUNK_COLUMNS, Aggregate, aggregate
from models.errors import BadInput
from models.fleet import SLOTS
from models.minutes import HOUR_MIN, STEP_MIN, Minute, Span, ceil_to, floor_to
from stream.keys import KeyTable
from stream.placing import Slots
from stream.ring import RING_MIN, Ring
from stream.samples import Key, Samples
from stream.stores.protocols import BlockRow

HIGHEST_PCT = 655.0  # what uint16 in 0.01 % can hold, with room to spare: nothing real is above


@dataclass(frozen=True, slots=True)
class Rules:
    """When spans close and what is too late or too early. BadInput where the ring could not keep the promise.

    `profile_alpha` is the weight of the newest day in the day profile.
    """

    close_delay_min: int = 3
    reopen_for_min: int = 30
    max_ahead_min: int = 5
    profile_alpha: float = 0.25

    def __post_init__(self) -> None:
        if HOUR_MIN + self.close_delay_min + self.reopen_for_min >= RING_MIN:
            raise BadInput(
                "ingest.close_delay_min and ingest.reopen_for_min",
                expected=f"at most {RING_MIN - HOUR_MIN - 1} minutes together, as the ring holds {RING_MIN}",
                got=f"{self.close_delay_min} and {self.reopen_for_min}",
                remedy="Make one of them smaller.",
            )

    def oldest_open_hour(self, watermark: Minute) -> Minute:
        """Start of the oldest hour that a late sample may still re-open."""
        return ceil_to(watermark - HOUR_MIN - self.close_delay_min - self.reopen_for_min, HOUR_MIN)


class _Piece(NamedTuple):
    """Samples of one hour, in columns: key int32[n], minute int64[n], second uint8[n], value float32[n]."""

    hour: Minute
    key: npt.NDArray[np.int32]
    minute: npt.NDArray[np.int64]
    second: npt.NDArray[np.uint8]
    value: npt.NDArray[np.float32]


class ClosedHour(NamedTuple):
    """An hour of one block as it is first written: mean float32[SLOTS] and its twelve 5-minute means [12, SLOTS]."""

    block: int
    start: Minute
    hour: Aggregate
    steps: npt.NDArray[np.float32]


@dataclass(slots=True)
class Due:
    """What is to be written: block rows, and the hours that were closed for the first time."""

    rows: list[BlockRow] = field(default_factory=list)
    hours: list[ClosedHour] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Writer:
    """Whose rows these are: the partition and the epoch under which this process writes it."""

    part: int
    epoch: int


class Partition:
    """Ring, watermark and dirty spans of one partition.

    `floor`: the oldest hour that this process has, or will have, replayed whole; older ones are never written again.
    """

    def __init__(self, writer: Writer, rules: Rules, slots: Slots, table: KeyTable, floor: Minute | None) -> None:
        self.watermark: Minute | None = None
        self.counts: Counter[str] = Counter()
        self._writer, self._rules, self._slots, self._table = writer, rules, slots, table
        self._floor = floor
        self._ring = Ring()
        self._dirty: dict[tuple[int, Minute], set[int] | None] = {}  # None: every block
        self._closed: set[tuple[int, Minute]] = set()
        self._first_offset: dict[Minute, int] = {}

    def take(self, keys: Sequence[Key], samples: Samples, offset: int, latest: Minute, *, loud: bool) -> Due:
        """Put n samples, read at `offset`, into the ring; returns what became due by it.

        Samples after minute `latest` are refused. `loud`: count what is refused; a replay counts nothing twice.
        """
        due = Due()
        minute: npt.NDArray[np.int64] = samples.ts_s // 60
        good = self._possible(samples.value, minute, latest, loud=loud)
        if not good.all():
            samples = samples.where(good)
            minute = minute[good]
        second = (samples.ts_s - minute * 60).astype(np.uint8)
        for hour, chosen in _by_hour(minute):
            piece = _Piece(hour, samples.key[chosen], minute[chosen], second[chosen], samples.value[chosen])
            self._take_hour(keys, piece, offset, due, loud=loud)
        return due

    def tick(self, now: Minute) -> Due:
        """The source has nothing more before `now`: an idle partition follows the clock."""
        due = Due()
        if self.watermark is not None and now > self.watermark:
            self._advance(now, due)
        return due

    def replay_from(self, next_offset: int) -> tuple[int, Minute]:
        """Where a successor must read on, and the oldest hour that is whole if it does."""
        watermark = 0 if self.watermark is None else self.watermark
        floor = self._oldest(watermark)
        self._first_offset = {hour: first for hour, first in self._first_offset.items() if hour >= floor}
        return min(self._first_offset.values(), default=next_offset), floor

    @property
    def ring_bytes(self) -> int:
        """Memory of the ring."""
        return self._ring.size_bytes

    def _oldest(self, watermark: Minute) -> Minute:
        oldest = self._rules.oldest_open_hour(watermark)
        return oldest if self._floor is None else max(oldest, self._floor)

    def _possible(
        self, value: npt.NDArray[np.float32], minute: npt.NDArray[np.int64], latest: Minute, *, loud: bool
    ) -> npt.NDArray[np.bool_]:
        sane = (value >= 0) & (value <= HIGHEST_PCT)  # false for NaN
        timely = minute <= latest
        if loud:
            self.counts["impossible"] += int(np.count_nonzero(~sane))
            self.counts["ahead"] += int(np.count_nonzero(sane & ~timely))
            self.counts["over_100"] += int(np.count_nonzero(sane & timely & (value > 100)))
        return sane & timely

    def _take_hour(self, keys: Sequence[Key], piece: _Piece, offset: int, due: Due, *, loud: bool) -> None:
        hour, last = piece.hour, int(piece.minute.max())
        if self.watermark is not None and hour < self._oldest(self.watermark):
            self.counts["late"] += len(piece.minute) if loud else 0
            return
        if self._floor is not None and hour < self._floor:
            return  # stored by the predecessor, who had the whole hour
        if self.watermark is None or last > self.watermark:
            self._advance(last, due)
        row = self._table.rows(keys, piece.key, piece.minute, hour)
        self._ring.grow(len(self._slots.blocks) * SLOTS)
        owned = row >= 0
        if loud:
            self.counts["accepted"] += int(np.count_nonzero(owned))
            self.counts["superseded"] += int(np.count_nonzero(~owned))
        if not owned.all():
            row = row[owned]
            piece = _Piece(hour, piece.key[owned], piece.minute[owned], piece.second[owned], piece.value[owned])
        if len(row):
            self._ring.write(piece.minute, row, piece.second, piece.value)
            self._touch(piece.minute, row, hour)
            self._first_offset[hour] = min(offset, self._first_offset.get(hour, offset))

    def _touch(self, minute: npt.NDArray[np.int64], row: npt.NDArray[np.int32], hour: Minute) -> None:
        first, last = (int(m - hour) // STEP_MIN for m in (minute.min(), minute.max()))
        step = None if first == last else (minute - hour) // STEP_MIN
        there = [first] if step is None else np.flatnonzero(np.bincount(step)).tolist()
        for span in [*((STEP_MIN, hour + k * STEP_MIN) for k in there), (HOUR_MIN, hour)]:
            if span not in self._closed:
                self._dirty[span] = None
                continue
            blocks = self._dirty.setdefault(span, set())
            if blocks is not None:
                whole = step is None or span[0] == HOUR_MIN
                inside = row if whole else row[step == (span[1] - hour) // STEP_MIN]
                blocks.update(np.unique(inside // SLOTS).tolist())

    def _advance(self, watermark: Minute, due: Due) -> None:
        """Close what the new watermark closes, before the ring moves on and forgets it."""
        limit = watermark - self._rules.close_delay_min
        ends = sorted((start + step_min, step_min) for step_min, start in self._dirty if start + step_min <= limit)
        for end, step_min in ends:
            span = (step_min, end - step_min)
            self._ring.advance(end - 1)  # no further: a span that ends later may need what lies behind
            self._close(*span, self._dirty.pop(span), due)
        oldest = self._oldest(watermark)
        self._closed = {span for span in self._closed if span[1] >= oldest}
        self.watermark = watermark
        self._ring.advance(watermark)

    def _close(self, step_min: int, start: Minute, blocks: set[int] | None, due: Due) -> None:
        span = Span(start, start + step_min)
        known = range(self._ring.rows // SLOTS) if blocks is None else sorted(blocks)
        for first, count in _runs(known):
            made = aggregate(self._ring.span(span, slice(first * SLOTS, (first + count) * SLOTS)))
            for k in range(count):
                columns = slice(k * SLOTS, (k + 1) * SLOTS)
                whole = Aggregate(made.whole.mean[columns], made.whole.count[columns])
                if not whole.count.any():
                    continue
                block, writer = self._slots.blocks[first + k], self._writer
                due.rows.append(BlockRow(step_min, block, start, writer.part, writer.epoch, *whole))
                if step_min == HOUR_MIN and blocks is None:
                    due.hours.append(ClosedHour(block, start, whole, made.steps.mean[:, columns]))
        self._closed.add((step_min, start))


def _runs(blocks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring blocks as (first, how many), cut so that their columns fill one chunk of the aggregate."""
    longest = max(1, CHUNK_COLUMNS // SLOTS)
    start = 0
    for end in range(1, len(blocks) + 1):
        if end == len(blocks) or blocks[end] != blocks[end - 1] + 1 or end - start == longest:
            yield blocks[start], end - start
            start = end


def _by_hour(minute: npt.NDArray[np.int64]) -> Iterator[tuple[Minute, npt.NDArray[np.intp] | slice]]:
    """Which samples lie in which hour, hour by hour: the watermark must not pass an hour before its samples."""
    if not len(minute):
        return
    first, last = floor_to(int(minute.min()), HOUR_MIN), floor_to(int(minute.max()), HOUR_MIN)
    if first == last:
        yield first, slice(None)
        return
    hours = minute - minute % HOUR_MIN
    for hour in np.unique(hours):
        yield int(hour), np.flatnonzero(hours == hour)
