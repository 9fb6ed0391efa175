"""One partition of the sample log: its ring, its watermark, and which spans are due to be written.

A span is written when the watermark is `close_delay_min` past its end, and again when a later sample touched it, as
long as its whole hour is still open: `reopen_for_min` longer. Older samples are counted and left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from models.aggregate import CHUNK_COLUMNS, Aggregate, aggregate
from models.fleet import SLOTS
from models.minutes import HOUR_MIN, STEP_MIN, Minute, Span, floor_to
from stream.columns import extended
from stream.due import ClosedHour, Due, Refused, Rules, Writer
from stream.keys import KeyTable
from stream.pieces import Piece, pieces_of
from stream.ring import Ring
from stream.samples import Batch, Refusal
from stream.slots import Slots
from stream.stays import ALWAYS
from stream.stores.protocols import BlockRow

HIGHEST_PCT = 655.0  # what uint16 in 0.01 % can hold, with room to spare: nothing real is above
MOST_VCPUS = 4_096  # so much of one core nobody uses


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
        self._corrects = np.zeros(0, dtype=np.bool_)  # by row: what is written of it replaces what was
        self._first_offset: dict[Minute, int] = {}
        self._grow()
        self._corrects[table.moved(ALWAYS if floor is None else floor)] = True

    def take(self, batch: Batch, latest: Minute | npt.NDArray[np.int64], *, loud: bool) -> Due:
        """Put a batch into the ring; returns what became due by it, and what was refused.

        Samples after minute `latest` (one for all, or int64[n]) are refused. `loud`: count what is refused; a replay
        counts nothing twice.
        """
        due, samples = Due(), batch.samples
        minute: npt.NDArray[np.int64] = samples.ts_s // 60
        index = self._acceptable(samples.value, minute, latest, due)
        for piece in pieces_of(samples, minute, index):
            self._take_hour(batch, piece, due, loud=loud)
        due.refused = [refused for refused in due.refused if loud and len(refused.samples)]
        for why, refused in due.refused:
            self.counts[why] += len(refused)
        return due

    def settle(self) -> None:
        """Give up minutes that have got another owner by what has been heard of late: empty their cells, and write the
        spans again that were written with them. What a predecessor wrote may hold them too.
        """
        self._grow()
        for row, span in self._table.lost():
            self._corrects[row] = True
            for minute in self._ring.clear(row, span):
                for step_min in (STEP_MIN, HOUR_MIN):
                    written = (step_min, floor_to(minute, step_min))
                    if written in self._closed:
                        blocks = self._dirty.setdefault(written, set())
                        if blocks is not None:
                            blocks.add(row // SLOTS)

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

    def _acceptable(
        self,
        value: npt.NDArray[np.float32],
        minute: npt.NDArray[np.int64],
        latest: Minute | npt.NDArray[np.int64],
        due: Due,
    ) -> npt.NDArray[np.intp]:
        """Indices of the samples that can be, and are not of the future."""
        highest = HIGHEST_PCT * (MOST_VCPUS if self._writer.per_core else 1)
        sane = (value >= 0) & (value <= highest)  # false for NaN
        timely = minute <= latest
        good = sane & timely
        if good.all():
            return np.arange(len(value))
        due.refused.append(Refused(Refusal.IMPOSSIBLE, np.flatnonzero(~sane)))
        due.refused.append(Refused(Refusal.AHEAD, np.flatnonzero(sane & ~timely)))
        return np.flatnonzero(good)

    def _take_hour(self, batch: Batch, piece: Piece, due: Due, *, loud: bool) -> None:
        hour, last = piece.hour, int(piece.minute.max())
        oldest = self._floor if self.watermark is None else self._oldest(self.watermark)
        if oldest is not None and hour < oldest:  # of a replay: stored by the predecessor, who had the whole hour
            due.refused.append(Refused(Refusal.LATE, piece.at))
            return
        if self.watermark is None or last > self.watermark:
            self._advance(last, due)
        row = self._table.rows(batch.keys, piece.key, piece.minute, hour)
        self.settle()
        owned = row >= 0
        if loud:
            self.counts["superseded"] += int(np.count_nonzero(~owned))
        if not owned.all():
            row, piece = row[owned], piece.where(owned)
        if self._writer.per_core:
            row, piece = self._of_allocation(row, piece, due)
        if len(row):
            repeated = self._ring.write(piece.minute, row, piece.second, piece.value)
            if loud:
                self.counts["accepted"] += len(row)
                self.counts["repeated"] += repeated
                self.counts["over_100"] += int(np.count_nonzero(piece.value > 100))
            self._touch(piece.minute, row, hour, loud=loud)
            first = batch.offset if batch.since is None else int(batch.since[piece.at].min())
            self._first_offset[hour] = min(first, self._first_offset.get(hour, first))

    def _of_allocation(self, row: npt.NDArray[np.int32], piece: Piece, due: Due) -> tuple[npt.NDArray[np.int32], Piece]:
        """Percent of one core made percent of what the VM had at that time."""
        value = piece.value / self._table.vcpus(row, piece.minute)
        unknown, beyond = np.isnan(value), value > HIGHEST_PCT
        due.refused.append(Refused(Refusal.NO_VCPUS, piece.at[unknown]))
        due.refused.append(Refused(Refusal.IMPOSSIBLE, piece.at[beyond]))
        good = ~(unknown | beyond)
        return row[good], piece._replace(value=value).where(good)

    def _grow(self) -> None:
        used, rows = self._ring.rows, len(self._slots.blocks) * SLOTS
        if rows > used:
            self._corrects = extended(self._corrects, used, rows, self._writer.corrects)
            self._ring.grow(rows)

    def _touch(self, minute: npt.NDArray[np.int64], row: npt.NDArray[np.int32], hour: Minute, *, loud: bool) -> None:
        first, last = (int(m - hour) // STEP_MIN for m in (minute.min(), minute.max()))
        step = None if first == last else (minute - hour) // STEP_MIN
        there = [first] if step is None else np.flatnonzero(np.bincount(step)).tolist()
        for span in [*((STEP_MIN, hour + k * STEP_MIN) for k in there), (HOUR_MIN, hour)]:
            if span not in self._closed:
                self._dirty[span] = None
                continue
            if loud and span not in self._dirty:
                self.counts["reopened"] += 1
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
                block, writer = self._slots.blocks[first + k], self._writer
                corrects = self._corrects[(first + k) * SLOTS : (first + k + 1) * SLOTS].copy()
                if not (whole.count.any() or corrects.any()):
                    continue
                due.rows.append(BlockRow(step_min, block, start, writer.part, writer.epoch, *whole, corrects))
                if step_min == HOUR_MIN and blocks is None:
                    due.hours.append(ClosedHour(writer.part, block, start, whole, made.steps.mean[:, columns]))
        self._closed.add((step_min, start))


def _runs(blocks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring blocks as (first, how many), cut so that their columns fill one chunk of the aggregate."""
    longest = max(1, CHUNK_COLUMNS // SLOTS)
    start = 0
    for end in range(1, len(blocks) + 1):
        if end == len(blocks) or blocks[end] != blocks[end - 1] + 1 or end - start == longest:
            yield blocks[start], end - start
            start = end
