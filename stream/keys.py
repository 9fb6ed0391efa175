"""A partition's table from a source's keys to rows, so that a million samples are placed without a million look-ups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.fleet import FOREVER, SLOTS
from models.minutes import Minute
from stream.placing import ALWAYS, SILENCE_MIN, Fleet, Slots, Tenure
from stream.samples import Key

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
    """key → (local row, tenure) of one partition."""

    def __init__(self, part: int, fleet: Fleet, slots: Slots, last_hours: LastHours) -> None:
        self._part, self._fleet, self._slots, self._last_hours = part, fleet, slots, last_hours
        self._row = np.zeros(0, dtype=np.int32)
        self._start = np.zeros(0, dtype=np.int32)
        self._end = np.zeros(0, dtype=np.int32)
        self._keys_of: dict[str, set[int]] = {}
        self._silent = np.zeros(0, dtype=np.bool_)
        self._silent_hour: Minute | None = None
        self._stale = False
        # The latest start and the earliest end of all tenures: a batch between them needs no look at each key's own.
        self._bounds: tuple[Minute, Minute] | None = None
        fleet.watch(self._forget)

    def _forget(self, vm_id: str) -> None:
        """The placements of this VM have changed: look its keys up again."""
        self._row[list(self._keys_of.get(vm_id, ()))] = _UNKNOWN
        self._stale, self._bounds = True, None

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

    def _place(
        self, keys: Sequence[Key], key: npt.NDArray[np.int32], minute: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int32]:
        row = self._row[key]
        doubtful = row < 0
        if self._bounds is None:
            known = self._row >= 0
            self._bounds = (int(self._start[known].max(initial=ALWAYS)), int(self._end[known].min(initial=FOREVER)))
        if minute.min() < self._bounds[0] or minute.max() >= self._bounds[1]:
            doubtful |= (minute < self._start[key]) | (minute >= self._end[key])
        if self._silent.any():
            doubtful |= self._silent[np.minimum(row, len(self._silent) - 1)]
        if doubtful.any():
            self._look_up(keys, key, minute, np.flatnonzero(doubtful), row)
        return row

    def _grow(self, keys: int) -> None:
        missing = keys - len(self._row)
        if missing > 0:
            more = np.full(missing, _UNKNOWN, dtype=np.int32)
            self._row, self._start, self._end = (np.concatenate((a, more)) for a in (self._row, self._start, self._end))

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
        for samples in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
            index = int(key[samples[0]])
            minutes = minute[samples]
            row[samples] = _UNKNOWN
            for tenure in self._tenures(keys[index], index, minutes.tolist()):
                inside = (minutes >= tenure.start) & (minutes < tenure.end)
                row[samples[inside]] = self._slots.local(tenure.row)

    def _tenures(self, key: Key, index: int, minutes: list[int]) -> list[Tenure]:
        """What the fleet says of a key that reports at these minutes; its newest tenure is kept in the table."""
        if self._silent_since(key.vm_id, minutes[0]):
            self._fleet.restart(self._part, key.vm_id, key.host, minutes[0])
        tenures = self._fleet.report(self._part, key.vm_id, key.host, minutes)
        self._keys_of.setdefault(key.vm_id, set()).add(index)
        if tenures:
            newest = tenures[-1]
            self._row[index] = self._slots.local(newest.row)
            self._start[index], self._end[index] = newest.start, newest.end
            self._bounds = None
        return tenures

    def _silent_since(self, vm_id: str, minute: Minute) -> bool:
        rows = (divmod(p.row, SLOTS) for p in self._fleet.placements(vm_id))
        last = max((int(self._last_hours.of(block)[slot]) for block, slot in rows), default=ALWAYS)
        return last > ALWAYS and minute - last > SILENCE_MIN
