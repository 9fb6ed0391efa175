"""The minute ring: the last 128 minutes of every row of a partition, minute-major, and the rule by which cells change.

A cell holds the sample of the latest second within its minute; ties go to the larger value. That rule commutes and
repeats harmlessly, so neither order nor duplicates change what the ring holds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.minutes import Minute, Span

RING_MIN = 128
_NEVER = np.uint8(0)  # the seconds of a minute are kept as 1 to 60


class Ring:
    """float32[128, rows] with the second of each cell beside it; holds the minutes (head - 128, head]."""

    def __init__(self, rows: int = 0) -> None:
        self.head: Minute | None = None
        self._rows = rows
        self._value = np.full((RING_MIN, rows), np.nan, dtype=np.float32)
        self._second = np.zeros((RING_MIN, rows), dtype=np.uint8)

    @property
    def rows(self) -> int:
        """Rows that the ring has room for."""
        return self._rows

    @property
    def size_bytes(self) -> int:
        """Memory of the cells."""
        return self._value.nbytes + self._second.nbytes

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows in all; what is there stays."""
        if rows <= self._rows:
            return
        value = np.full((RING_MIN, rows), np.nan, dtype=np.float32)
        second = np.zeros((RING_MIN, rows), dtype=np.uint8)
        value[:, : self._rows], second[:, : self._rows] = self._value, self._second
        self._value, self._second, self._rows = value, second, rows

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
    ) -> None:
        """Write n samples: minute int64[n] within the ring, row int32[n], second uint8[n] (0 to 59), value float32[n].

        ValueError for a minute outside the ring; NaN must have been refused before.
        """
        if not len(minute):
            return
        head = -1 if self.head is None else self.head
        first, last = int(minute.min()), int(minute.max())
        if self.head is None or first <= head - RING_MIN or last > head:
            raise ValueError(f"minutes {first} to {last} are outside of the ring that ends at {self.head}")
        stamp = second + np.uint8(1)
        if first == last:
            line = first % RING_MIN
            _write_cells(self._value[line], self._second[line], row, stamp, value)
        else:
            cell = (minute % RING_MIN) * self._rows + row
            _write_cells(self._value.reshape(-1), self._second.reshape(-1), cell, stamp, value)

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


def _write_cells(
    cells: npt.NDArray[np.float32],
    stamps: npt.NDArray[np.uint8],
    cell: npt.NDArray[np.integer],
    stamp: npt.NDArray[np.uint8],
    value: npt.NDArray[np.float32],
) -> None:
    # Where a cell is named twice, numpy keeps one of the two; those who should have won try again, so it ends with
    # the largest (second, value) of all, and mostly after one round.
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
            return
