"""The minute ring: the last 128 minutes of every row of a partition, minute-major, and the rule by which cells change.

A cell holds the sample of the latest second within its minute; ties go to the larger value. That rule commutes and
repeats harmlessly, so neither order nor duplicates change what the ring holds.
"""

from __future__ import annotations

import mmap
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from models.minutes import Minute, Span

RING_MIN = 128
_NEVER = np.uint8(0)  # the seconds of a minute are kept as 1 to 60
_LINE_CELLS = mmap.PAGESIZE  # a line's room is a multiple of it: then lines begin with pages, of floats and of bytes

T = TypeVar("T", np.float32, np.uint8)


class Ring:
    """float32[128, rows] with the second of each cell beside it; holds the minutes (head - 128, head].

    A line has room for more rows than are in use, so that growing is rare; of that room no memory is taken before it is
    used: the cells lie in pages of their own, and a page that nobody has touched is none.
    """

    def __init__(self, rows: int = 0) -> None:
        self.head: Minute | None = None
        self._values, self._stamps = _Lines(0, np.float32), _Lines(0, np.uint8)
        self._use(0)
        self.grow(rows)

    @property
    def rows(self) -> int:
        """Rows that are in use."""
        return int(self._value.shape[1])

    @property
    def size_bytes(self) -> int:
        """Memory of the cells in use."""
        return self._value.nbytes + self._second.nbytes

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows in all; what is there stays."""
        used, room = self.rows, self._values.cells.shape[1]
        if rows <= used:
            return
        if rows > room:
            room = -(-max(rows, 2 * room) // _LINE_CELLS) * _LINE_CELLS
            self._values, self._stamps = self._values.moved(room, used), self._stamps.moved(room, used)
        self._use(rows)
        self._value[:, used:] = np.nan  # the new cells are 0, and 0 is _NEVER

    def _use(self, rows: int) -> None:
        self._value, self._second = self._values.cells[:, :rows], self._stamps.cells[:, :rows]

    def clear(self, row: int, span: Span) -> list[Minute]:
        """Empty the cells of `row` in `span`, as far as the ring has them; returns the minutes that held a sample."""
        if self.head is None or row >= self.rows:
            return []
        minutes = np.arange(max(span.start, self.head - RING_MIN + 1), min(span.end, self.head + 1))
        held = minutes[self._second[minutes % RING_MIN, row] != _NEVER]
        self._value[held % RING_MIN, row] = np.nan
        self._second[held % RING_MIN, row] = _NEVER
        return [int(minute) for minute in held]

    def advance(self, minute: Minute) -> None:
        """Move the head to `minute`; the lines that come round again are emptied."""
        if self.head is None:
            self.head = minute
            return
        for m in range(max(self.head + 1, minute - RING_MIN + 1), minute + 1):
            self._value[m % RING_MIN] = np.nan
            self._second[m % RING_MIN] = _NEVER
        self.head = max(self.head, minute)

    def write(
        self,
        minute: npt.NDArray[np.int64],
        row: npt.NDArray[np.int32],
        second: npt.NDArray[np.uint8],
        value: npt.NDArray[np.float32],
    ) -> int:
        """Write n samples: minute int64[n] within the ring, row int32[n], second uint8[n] (0 to 59), value float32[n].

        Returns how many of them found their minute with a sample in it already: repeated, or a second one of it.
        ValueError for a minute outside the ring; NaN must have been refused before.
        """
        if not len(minute):
            return 0
        head = -1 if self.head is None else self.head
        first, last = int(minute.min()), int(minute.max())
        if self.head is None or first <= head - RING_MIN or last > head:
            raise ValueError(f"minutes {first} to {last} are outside of the ring that ends at {self.head}")
        stamp = second + np.uint8(1)
        if first == last:
            line = first % RING_MIN
            return _write_cells(self._value[line], self._second[line], row, stamp, value)
        cells, stamps = self._values.cells, self._stamps.cells
        cell = (minute % RING_MIN) * cells.shape[1] + row
        return _write_cells(cells.reshape(-1), stamps.reshape(-1), cell, stamp, value)

    def span(self, span: Span, columns: slice) -> npt.NDArray[np.float32]:
        """The minutes of `span` in order, float32[minutes, columns], NaN = gap. ValueError unless wholly in the ring.

        A view where the span lies in one piece, else a copy: ask for a part of the columns at a time.
        """
        head = -1 if self.head is None else self.head
        if span.start <= head - RING_MIN or span.end > head + 1:
            raise ValueError(f"{span} is outside of the ring that ends at {self.head}")
        first = span.start % RING_MIN
        length = span.end - span.start
        if first + length <= RING_MIN:
            return self._value[first : first + length, columns]
        rest = first + length - RING_MIN
        return np.concatenate((self._value[first:, columns], self._value[:rest, columns]))


class _Lines(Generic[T]):
    """`cells` [128, room] of zeros, in pages that take memory when they are first touched.

    Not numpy's own memory: that may be of 2 MB pages, of which a line with a few rows would touch a whole one.
    """

    def __init__(self, room: int, dtype: type[T]) -> None:
        self._line_bytes = room * np.dtype(dtype).itemsize
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._pages = mmap.mmap(-1, max(RING_MIN * self._line_bytes, 1), flags=flags)
        flat = np.frombuffer(self._pages, dtype=dtype, count=RING_MIN * room)
        self.cells: npt.NDArray[T] = flat.reshape(RING_MIN, room)

    def moved(self, room: int, rows: int) -> _Lines[T]:
        """The first `rows` rows in lines of `room`. Each line's old pages are given back as soon as it is copied, so
        that the cells are never held twice; what reads these lines afterwards finds zeros."""
        longer = _Lines(room, self.cells.dtype.type)
        for line in range(RING_MIN if rows else 0):
            longer.cells[line, :rows] = self.cells[line, :rows]
            self._pages.madvise(mmap.MADV_DONTNEED, line * self._line_bytes, self._line_bytes)
        return longer


def _write_cells(
    cells: npt.NDArray[np.float32],
    stamps: npt.NDArray[np.uint8],
    cell: npt.NDArray[np.integer],
    stamp: npt.NDArray[np.uint8],
    value: npt.NDArray[np.float32],
) -> int:
    # Where a cell is named twice, numpy keeps one of the two; those who should have won try again, so it ends with
    # the largest (second, value) of all, and mostly after one round.
    filled = int(np.count_nonzero(stamps[cell]))
    while True:
        held = stamps[cell]
        wins = stamp > held
        ties = stamp == held
        if ties.any():
            wins |= ties & (value > cells[cell])
        if wins.all():
            stamps[cell], cells[cell] = stamp, value
        elif wins.any():
            cell, stamp, value = cell[wins], stamp[wins], value[wins]
            stamps[cell], cells[cell] = stamp, value
        else:
            return filled
