"""Who owns a sample: lives and placements as ingest sees them, from inventory records and from hosts' own reports.

Without inventory the first host that reports a VM places it, and a report from another host makes a new placement, at
most once in FLAP_MIN minutes. The newest placement by event time owns a minute; what another host says of that minute
is dropped. A VM that moves to a host of another partition gets a slot there; its history follows its placements.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from models.blackout import parse_rule
from models.fleet import SLOTS, Life, Placement, Vm, VmRecord, owner_at, tenures
from models.minutes import DAY_MIN, Minute, check_timezone

FLAP_MIN = 10
ALWAYS: Minute = -(2**31)
SILENCE_MIN = 7 * DAY_MIN  # a VM that was silent for so long and has no inventory is another life


class Tenure(NamedTuple):
    """Minutes [start, end) of a key are kept in `row`, a global row (block * SLOTS + slot)."""

    row: int
    start: Minute
    end: Minute


class Changes(NamedTuple):
    """Lives and placements that were made or altered and are not in the catalogue yet."""

    lives: list[Life]
    placements: list[Placement]


class Slots:
    """A partition's blocks and their free slots; `claim` gets another block from the control store.

    A row of the partition's own arrays is its block's place in `blocks` * SLOTS + slot.
    """

    def __init__(self, blocks: Sequence[int], used: Iterable[int], claim: Callable[[], int]) -> None:
        self.blocks: list[int] = []
        self._place: dict[int, int] = {}
        self._claim = claim
        self._free: list[int] = []
        taken = set(used)
        for block in reversed(blocks):
            self._free.extend(row for row in _rows_down(block) if row not in taken)
        for block in blocks:
            self._own(block)

    def take(self) -> tuple[int, int]:
        """A free (block, slot)."""
        if not self._free:
            block = self._claim()
            self._own(block)
            self._free.extend(_rows_down(block))
        return divmod(self._free.pop(), SLOTS)

    def owns(self, block: int) -> bool:
        """Whether the block is this partition's."""
        return block in self._place

    def local(self, row: int) -> int:
        """The partition's own row of a global one."""
        block, slot = divmod(row, SLOTS)
        return self._place[block] * SLOTS + slot

    def _own(self, block: int) -> None:
        self._place[block] = len(self.blocks)
        self.blocks.append(block)


def _rows_down(block: int) -> range:
    return range((block + 1) * SLOTS - 1, block * SLOTS - 1, -1)


class Fleet:
    """Every VM's newest life and its placements, shared by the partitions of one process."""

    def __init__(self, vms: Iterable[Vm], slots: Sequence[Slots], interval_min: int) -> None:
        self._lives: dict[str, Life] = {}
        self._placements: dict[str, list[Placement]] = {}
        for vm in vms:
            self._lives[vm.life.vm_id] = vm.life
            self._placements[vm.life.vm_id] = list(vm.placements)
        self._slots = slots
        self._interval_min = interval_min
        self._changed: dict[str, None] = {}
        self._watchers: list[Callable[[str], None]] = []

    def watch(self, changed: Callable[[str], None]) -> None:
        """Call `changed(vm_id)` whenever the placements of a VM change: whoever keeps tenures must ask again."""
        self._watchers.append(changed)

    def placements(self, vm_id: str) -> Sequence[Placement]:
        """The placements of the id's newest life; empty where it has none."""
        return self._placements.get(vm_id, ())

    def changes(self) -> Changes:
        """What is to be put into the catalogue before any row that relies on it."""
        lives = [self._lives[vm_id] for vm_id in self._changed]
        return Changes(lives, [p for vm_id in self._changed for p in self._placements[vm_id]])

    def saved(self) -> None:
        """All changes are in the catalogue."""
        self._changed.clear()

    def restart(self, part: int, vm_id: str, host: str, minute: Minute) -> None:
        """Begin another life of a known `vm_id` at `minute`, with slots of its own."""
        vcpus = self._placements[vm_id][-1].vcpus
        self._begin(part, replace(self._lives[vm_id], created_at=minute), host, minute, vcpus)

    def report(self, part: int, vm_id: str, host: str, minutes: Sequence[int]) -> list[Tenure]:
        """`host`, whose reports come by `part`, reports `vm_id` at these minutes (sorted): its tenures there.

        Makes the life, or a placement, where one is due.
        """
        if vm_id not in self._lives:
            self._begin(part, Life(vm_id, minutes[0], interval_min=self._interval_min), host, minutes[0], None)
        current = self._placements[vm_id][-1]
        if current.host != host:
            moved = bisect_left(minutes, current.from_minute + FLAP_MIN)
            if moved < len(minutes):
                self._place(part, vm_id, host, minutes[moved], current.vcpus)
        return self._tenures(part, vm_id, host)

    def apply(self, part: int, record: VmRecord) -> None:
        """What an inventory record says, from its `from_minute` on. BadInput where its policy cannot be read."""
        check_timezone(record.policy.timezone)
        for rule in record.policy.blackout:
            parse_rule(rule)
        known = self._lives.get(record.vm_id)
        if known is None or (record.created_at is not None and record.created_at > known.created_at):
            created_at = record.from_minute if record.created_at is None else record.created_at
            life = Life(record.vm_id, created_at, interval_min=self._interval_min)
            self._begin(part, _described(life, record), record.host, record.from_minute, record.vcpus)
            return
        life = _described(known, record)
        if life != known:
            self._lives[record.vm_id] = life
            self._changed[record.vm_id] = None
        placements = self._placements[record.vm_id]
        owner = owner_at(placements, record.from_minute) or placements[0]
        if owner.host == record.host and owner.vcpus is None and record.vcpus is not None:
            self._size(record.vm_id, record.host, record.vcpus)
        elif owner.host != record.host or (record.vcpus is not None and owner.vcpus != record.vcpus):
            vcpus = owner.vcpus if record.vcpus is None else record.vcpus
            self._place(part, record.vm_id, record.host, record.from_minute, vcpus)

    def _begin(self, part: int, life: Life, host: str, minute: Minute, vcpus: float | None) -> None:
        self._lives[life.vm_id] = life
        self._placements[life.vm_id] = []
        self._place(part, life.vm_id, host, minute, vcpus)

    def _place(self, part: int, vm_id: str, host: str, minute: Minute, vcpus: float | None) -> None:
        life, placements = self._lives[vm_id], self._placements[vm_id]
        slots = self._slots[part]
        here = next((p for p in placements if slots.owns(p.block)), None)
        block, slot = slots.take() if here is None else (here.block, here.slot)
        placement = Placement(vm_id, life.created_at, minute, host, vcpus, block, slot)
        placements[:] = [p for p in placements if p.from_minute != minute]
        insort(placements, placement, key=lambda p: p.from_minute)
        self._changed[vm_id] = None
        for changed in self._watchers:
            changed(vm_id)

    def _size(self, vm_id: str, host: str, vcpus: float) -> None:
        """The inventory came after the first reports: the size was not known, so it is no resize."""
        placements = self._placements[vm_id]
        placements[:] = [replace(p, vcpus=vcpus) if p.host == host and p.vcpus is None else p for p in placements]
        self._changed[vm_id] = None

    def _tenures(self, part: int, vm_id: str, host: str) -> list[Tenure]:
        return [
            Tenure(placement.row, placement.from_minute if index else ALWAYS, end)
            for index, (placement, end) in enumerate(tenures(self._placements[vm_id]))
            if placement.host == host and self._slots[part].owns(placement.block)
        ]


def _described(life: Life, record: VmRecord) -> Life:
    return replace(life, cluster=record.cluster, memory_mb=record.memory_mb, policy=record.policy)
