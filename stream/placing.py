"""Who owns a sample: lives and placements as ingest sees them, from inventory records and from hosts' own reports.

Without inventory the first host that reports a VM places it, and a report from another host makes a new placement, at
most once in FLAP_MIN minutes. The newest placement by event time owns a minute; what another host says of that minute
is dropped. A VM that moves to a host of another partition gets a slot there; its history follows its placements. So it
does where its host itself begins to report by another partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.fleet import FOREVER, Life, Placement, Vm, VmRecord
from models.minutes import DAY_MIN, Minute
from stream.columns import Numbered
from stream.fleet_columns import FleetColumns
from stream.inventory import check_policy
from stream.parts import Change, Parts
from stream.slots import Slots
from stream.stays import (
    ALWAYS,
    Stay,
    corrected,
    due,
    earliest_change,
    may_precede,
    merged,
    newest_life,
    owned,
    reconciled,
)
from stream.unsaved import Changes, Unsaved

SILENCE_MIN = 7 * DAY_MIN  # a VM that was silent for so long and has no inventory is another life


class Tenure(NamedTuple):
    """Minutes [start, end) of a key are kept in `row`, a global row (block * SLOTS + slot)."""

    row: int
    start: Minute
    end: Minute


class Fleet:
    """Every VM's newest life and its placements, shared by the partitions of one process; for one thread at a time.

    `slots`: those of the partitions 0, 1, …; others come and go by `own` and `disown`. `ids` may be shared.
    """

    def __init__(
        self,
        vms: Iterable[Vm] = (),
        interval_min: int = 1,
        slots: Sequence[Slots] = (),
        ids: Numbered[str] | None = None,
    ) -> None:
        self._columns = FleetColumns(ids)
        self._interval_min = interval_min
        self._parts = Parts(slots)
        self._unsaved = Unsaved(self._columns)
        for vm in vms:
            self.learn(vm)

    def __len__(self) -> int:
        return self._columns.known

    @property
    def ids(self) -> Numbered[str]:
        """The ids of the VMs, to be shared with who else keeps them."""
        return self._columns.ids

    def own(self, part: int, slots: Slots) -> None:
        """`part` is this process's from now on."""
        self._parts.own(part, slots)

    def disown(self, part: int) -> None:
        """`part` is another's. What was placed there and is not in the catalogue yet is undone: its slots are free."""
        for vm, stays in self._unsaved.undo(self._parts.disown(part).owns).items():
            self._set(vm, stays, reported=True)

    def watch(self, part: int, changed: Callable[[Change], None]) -> None:
        """Call `changed` before the owner of one of the part's rows changes: whoever keeps tenures must ask again."""
        self._parts.watch(part, changed)

    def placements(self, vm_id: str) -> Sequence[Placement]:
        """The placements of the id's newest life; empty where it has none."""
        vm = self._columns.find(vm_id)
        return () if vm < 0 else self._columns.placements(vm, newest_life(self._columns.stays(vm)))

    def rows(self, vm_id: str) -> list[int]:
        """The global rows of the id's newest life; empty where it has none."""
        vm = self._columns.find(vm_id)
        return [] if vm < 0 else [stay.row for stay in newest_life(self._columns.stays(vm))]

    def moved(self, part: int, since: Minute) -> npt.NDArray[np.int32]:
        """The partition's own rows of VMs that have begun a life or a stay from `since` on, not their first."""
        local = self._parts.local_rows(part, self._columns.rows_moved(since))
        return local[local >= 0]

    def changes(self, limit: int | None = None) -> Changes:
        """What is to be put into the catalogue before any row that relies on it: of at most `limit` VMs."""
        return self._unsaved.changes(limit)

    def saved(self) -> None:
        """What `changes` gave last is in the catalogue; nothing has changed since it was given."""
        self._unsaved.saved()

    def restart(self, part: int, vm_id: str, host: str, minute: Minute) -> None:
        """Begin another life of a known `vm_id` at `minute`, with slots of its own."""
        columns, vm = self._columns, self._columns.find(vm_id)
        stay = Stay(minute, minute, columns.hosts.number(host), columns.stays(vm)[-1].vcpus, self._parts.row(part))
        self._begin(vm, columns.life(vm, minute), stay, reported=True)

    def report(self, part: int, vm_id: str, host: str, minutes: Sequence[int]) -> list[Tenure]:
        """`host`, whose reports come by `part`, reports `vm_id` at these minutes (sorted): its tenures there.

        Makes the life, or a placement, where one is due.
        """
        columns = self._columns
        vm, number = columns.vm(vm_id), columns.hosts.number(host)
        if not columns.stays(vm):
            stay = Stay(minutes[0], minutes[0], number, None, self._parts.row(part))
            self._begin(vm, Life(vm_id, minutes[0], interval_min=self._interval_min), stay, reported=True)
            return [Tenure(stay.row, ALWAYS, FOREVER)]
        self._follow(part, vm, number, minutes)
        return [
            Tenure(stay.row, span.start, span.end)
            for span, stay in owned(columns.stays(vm))
            if stay.host == number and self._parts.has(part, stay)
        ]

    def settled(
        self, part: int, keys: Iterable[tuple[str, str]]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Of each (vm, host) that reports by `part`: the VM's number and the partition's own row, int32[n].

        The row is -1 where the VM has not been on that host, and in that partition, ever since it is known.
        """
        vm, row = self._columns.unmoved(keys)
        local = self._parts.local_rows(part, row)
        self._columns.reported[vm[local >= 0]] = True
        return vm, local

    def vcpus(self, vm: npt.NDArray[np.int32], minute: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Size of VMs (by number) at a minute each, float32[n]; NaN where nobody has told it."""
        return self._columns.vcpus_at(vm, minute)

    def apply(self, part: int, record: VmRecord) -> Minute | None:
        """What an inventory record says, from its `from_minute` on; its host's reports come by `part`.

        Returns the earliest minute that had an owner and has another one, or one of another size, from then on: what
        was placed there before is to be placed again. BadInput where its policy cannot be read.
        """
        check_policy(record.policy)
        columns = self._columns
        vm, host = columns.vm(record.vm_id), columns.hosts.number(record.host)
        before = columns.stays(vm)
        if not before or (record.created_at is not None and record.created_at > before[-1].created_at):
            created_at = record.from_minute if record.created_at is None else record.created_at
            stay = Stay(created_at, record.from_minute, host, record.vcpus, self._parts.row(part))
            life = Life(record.vm_id, created_at, interval_min=self._interval_min)
            self._begin(vm, _described(life, record), stay, reported=False)
            return earliest_change(before, columns.stays(vm)) if before else None
        life = columns.life(vm, before[-1].created_at)
        if (life.cluster, life.memory_mb, life.policy) != (record.cluster, record.memory_mb, record.policy):
            self._unsaved.touch(vm)
            columns.describe(vm, _described(life, record))
        stays = newest_life(before)
        made = corrected(stays, record.from_minute, host, record.vcpus, lambda: self._parts.row(part, stays))
        if not made:
            return None
        self._make(vm, made, reported=False)
        return earliest_change(before, columns.stays(vm))

    def learn(self, vm: Vm) -> Minute | None:
        """What the catalogue or another process says of a life, its newest or an earlier one: no change of ours.

        A newer life wins; of one life and minute, what is said. Returns the earliest minute that had an owner and has
        another one, or one of another size.
        """
        columns, number = self._columns, self._columns.vm(vm.life.vm_id)
        before, told = columns.stays(number), columns.stays_of(vm.placements)
        newer = not before or told[-1].created_at > before[-1].created_at
        taken, again = (told, False) if newer else reconciled(before, told, self._parts.ours)
        after = merged(before, taken)
        if again:
            self._unsaved.touch(number)
        if newer:
            self._unsaved.end(number)
        if newer or (after[-1] == told[-1] and number not in self._unsaved and not self._parts.ours(after[-1])):
            columns.describe(number, vm.life)
        self._unsaved.learned(number, told)
        if after == before:
            return None
        self._set(number, after, reported=True)
        return earliest_change(before, after) if before else None

    def _follow(self, part: int, vm: int, host: int, minutes: Sequence[int]) -> None:
        """Make the placements that a report of a known VM calls for."""
        columns, stays = self._columns, self._columns.stays(vm)

        def mine(stay: Stay) -> bool:
            return stay.host == host and self._parts.has(part, stay)

        if not mine(stays[0]) and may_precede(stays, host, minutes[0]):
            self._place(part, vm, host, minutes[0], stays[0].vcpus)
        reported = columns.reported.item(vm)
        while found := due(newest_life(columns.stays(vm)), host, minutes, mine, reported=reported):
            self._place(part, vm, host, found[0], found[1].vcpus)
            reported = True
        if mine(columns.stays(vm)[-1]):
            columns.reported[vm] = True

    def _place(self, part: int, vm: int, host: int, minute: Minute, vcpus: float | None) -> None:
        """A stay of the newest life, as a host's report says."""
        life = newest_life(self._columns.stays(vm))
        stay = Stay(life[0].created_at, minute, host, vcpus, self._parts.row(part, life))
        self._make(vm, [stay], reported=True)

    def _begin(self, vm: int, life: Life, stay: Stay, *, reported: bool) -> None:
        """A new life; the one before ends."""
        self._unsaved.end(vm)
        self._unsaved.touch(vm)
        self._columns.describe(vm, life)
        self._make(vm, [stay], reported=reported)

    def _make(self, vm: int, stays: Sequence[Stay], *, reported: bool) -> None:
        """New or altered stays of our own making."""
        self._unsaved.touch(vm)
        self._set(vm, merged(self._columns.stays(vm), stays), reported=reported)

    def _set(self, vm: int, stays: tuple[Stay, ...], *, reported: bool) -> None:
        """`reported`: whether the newest one is more than the inventory's guess, where it is another one."""
        before = self._columns.stays(vm)
        self._parts.tell(before, stays)
        if stays and (not before or before[-1].row != stays[-1].row):
            self._columns.reported[vm] = reported
        self._columns.keep(vm, stays)


def _described(life: Life, record: VmRecord) -> Life:
    return replace(life, cluster=record.cluster, memory_mb=record.memory_mb, policy=record.policy)
