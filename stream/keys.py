"""A partition's table from a source's keys to rows, so that a million samples are placed without a million look-ups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.fleet import FOREVER, SLOTS
from models.minutes import Minute, Span
from stream.columns import extended
from stream.parts import Change
from stream.placing import SILENCE_MIN, Fleet, Tenure
from stream.samples import Key
from stream.slots import Slots
from stream.stays import ALWAYS

_UNKNOWN = -1


class LastHours:
    """The newest stored hour with a sample of each block's slots, shared by the partitions of one process."""

    def __init__(self) -> None:
        self._hours: dict[int, npt.NDArray[np.int32]] = {}

    def of(self, block: int) -> npt.NDArray[np.int32]:
        """int32[SLOTS] of one block, ALWAYS (-2**31) where there was none."""
        if block not in self._hours:
            self._hours[block] = np.full(SLOTS, ALWAYS, dtype=np.int32)
        return self._hours[block]

    def see(self, block: int, hour: Minute, count: npt.NDArray[np.uint8]) -> None:
        """An hour of a block was stored with these counts."""
        hours = self.of(block)
        np.maximum(hours, hour, out=hours, where=count > 0)


class KeyTable:
    """key → (local row, tenure) of one partition.

    The keys that the table has a row for form a chain a row, so that a change of the row's owner finds them.
    """

    def __init__(self, part: int, fleet: Fleet, slots: Slots, last_hours: LastHours) -> None:
        self._part, self._fleet, self._slots, self._last_hours = part, fleet, slots, last_hours
        self._keys = self._rows = 0
        # By key; `_next` is the next key of the same row.
        self._row, self._start, self._end, self._next = (np.zeros(0, dtype=np.int32) for _ in range(4))
        # By row: its newest key, and the number of its VM.
        self._first, self._vm = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
        self._silent = np.zeros(0, dtype=np.bool_)
        self._silent_hour: Minute | None = None
        self._lost: list[tuple[int, Span]] = []
        self._stale = False
        # The latest start and the earliest end of all tenures: a batch between them needs no look at each key's own.
        self._bounds: tuple[Minute, Minute] | None = None
        fleet.watch(part, self._change)

    def rows(
        self, keys: Sequence[Key], key: npt.NDArray[np.int32], minute: npt.NDArray[np.int64], hour: Minute
    ) -> npt.NDArray[np.int32]:
        """Local row of each sample, int32[n]; -1 where another placement owns its minute.

        All minutes lie in the hour that begins at `hour`.
        """
        self._grow(len(keys))
        if hour != self._silent_hour:
            self._find_silent(hour)
        while True:
            self._stale = False
            row = self._place(keys, key, minute)
            if not self._stale:  # else a host that reports later in this very batch has taken a VM over: once more
                return row

    def vcpus(self, row: npt.NDArray[np.int32], minute: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Size of the VM in each row that `rows` gave, at its minute: float32[n], NaN where nobody has told it."""
        return self._fleet.vcpus(self._vm[row], minute)

    def lost(self) -> list[tuple[int, Span]]:
        """Local rows and minutes that have gone to another placement since the last call.

        What was taken for them before is to be taken back: it is asked for after `rows`, before samples are written.
        """
        lost, self._lost = self._lost, []
        return lost

    def moved(self, since: Minute) -> npt.NDArray[np.int32]:
        """Local rows of VMs of which minutes from `since` on have not always had the owner that they have now."""
        return self._fleet.moved(self._part, since)

    def _change(self, change: Change) -> None:
        """The owner of these rows is about to change: look their keys up again."""
        for row in map(self._slots.local, change.rows):
            key = self._first.item(row) if row < self._rows else _UNKNOWN
            while key != _UNKNOWN:
                self._row[key] = _UNKNOWN
                key = self._next.item(key)
                self._stale, self._bounds = True, None
            if row < self._rows:
                self._first[row] = _UNKNOWN
        self._lost += [(self._slots.local(lost.row), lost.span) for lost in change.lost]

    def _place(
        self, keys: Sequence[Key], key: npt.NDArray[np.int32], minute: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int32]:
        row = self._row[key]
        doubtful = row < 0
        if self._bounds is None:
            known = np.flatnonzero(self._row[: self._keys] >= 0)
            latest, earliest = self._start[known].max(initial=ALWAYS), self._end[known].min(initial=FOREVER)
            self._bounds = (int(latest), int(earliest))
        if minute.min() < self._bounds[0] or minute.max() >= self._bounds[1]:
            doubtful |= (minute < self._start[key]) | (minute >= self._end[key])
        if self._silent.any():
            doubtful |= self._silent[np.minimum(row, len(self._silent) - 1)]
        if doubtful.any():
            self._look_up(keys, key, minute, np.flatnonzero(doubtful), row)
        return row

    def _grow(self, keys: int) -> None:
        used, self._keys = self._keys, max(keys, self._keys)
        if self._keys > used:
            columns = (self._row, self._start, self._end, self._next)
            self._row, self._start, self._end, self._next = (extended(c, used, keys, _UNKNOWN) for c in columns)

    def _grow_rows(self) -> None:
        used, self._rows = self._rows, len(self._slots.blocks) * SLOTS
        if self._rows > used:
            self._first, self._vm = (extended(c, used, self._rows, _UNKNOWN) for c in (self._first, self._vm))

    def _find_silent(self, hour: Minute) -> None:
        last = [self._last_hours.of(block) for block in self._slots.blocks]
        hours = np.concatenate(last) if last else np.zeros(0, dtype=np.int32)
        self._silent = (hours < hour - SILENCE_MIN) & (hours > ALWAYS)
        self._silent_hour = hour

    def _look_up(
        self,
        keys: Sequence[Key],
        key: npt.NDArray[np.int32],
        minute: npt.NDArray[np.int64],
        where: npt.NDArray[np.intp],
        row: npt.NDArray[np.int32],
    ) -> None:
        """Place the samples at `where`, key by key, and write their rows into `row`."""
        order = where[np.lexsort((minute[where], key[where]))]
        begin = np.flatnonzero(np.diff(key[order], prepend=_UNKNOWN))
        asked, number = key[order[begin]], np.diff(begin, append=len(order))
        settled = self._settle(keys, asked)
        simple = order[np.repeat(settled, number)]
        row[simple] = self._row[key[simple]]
        for index, first, count in zip(*(a[~settled].tolist() for a in (asked, begin, number)), strict=True):
            samples = order[first : first + count]
            minutes = minute[samples]
            row[samples] = _UNKNOWN
            for tenure in self._tenures(keys[index], index, minutes.tolist()):
                inside = (minutes >= tenure.start) & (minutes < tenure.end)
                row[samples[inside]] = self._slots.local(tenure.row)

    def _settle(self, keys: Sequence[Key], asked: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Put those keys into the table, all at once, whose VM has always been there; bool[n], which ones."""
        self._grow_rows()
        settled = np.zeros(len(asked), dtype=np.bool_)
        unknown = np.flatnonzero(self._row[asked] < 0)
        vm, row = self._fleet.settled(self._part, [keys[index] for index in asked[unknown].tolist()])
        silent = np.append(self._silent, False)
        there = np.flatnonzero((row >= 0) & ~silent[np.minimum(row, len(silent) - 1)])
        there = there[np.unique(row[there], return_index=True)[1]]  # a source may have a key twice
        if len(there):
            settled[unknown[there]] = True
            key, row = asked[unknown[there]], row[there]
            self._row[key], self._start[key], self._end[key] = row, ALWAYS, FOREVER
            self._next[key], self._first[row], self._vm[row] = self._first[row], key, vm[there]
            self._bounds = None
        return settled

    def _tenures(self, key: Key, index: int, minutes: list[int]) -> list[Tenure]:
        """What the fleet says of a key that reports at these minutes; its newest tenure is kept in the table."""
        if self._silent_since(key.vm_id, minutes[0]):
            self._fleet.restart(self._part, key.vm_id, key.host, minutes[0])
        tenures = self._fleet.report(self._part, key.vm_id, key.host, minutes)
        self._grow_rows()
        for tenure in tenures:
            self._vm[self._slots.local(tenure.row)] = self._fleet.ids.find(key.vm_id)
        if tenures:
            newest = tenures[-1]
            row = self._slots.local(newest.row)
            if self._row.item(index) != row:  # else it is in the row's chain already
                self._row[index], self._next[index], self._first[row] = row, self._first.item(row), index
            self._start[index], self._end[index] = newest.start, newest.end
            self._bounds = None
        return tenures

    def _silent_since(self, vm_id: str, minute: Minute) -> bool:
        rows = (divmod(row, SLOTS) for row in self._fleet.rows(vm_id))
        last = max((int(self._last_hours.of(block)[slot]) for block, slot in rows), default=ALWAYS)
        return last > ALWAYS and minute - last > SILENCE_MIN
