"""Lives and placements: who a VM is, and where in the arrays its minutes lie.

A life is (vm_id, created_at): a reused id is another life. A placement says from which minute on a life sits on a
host, with how many vcpus, and in which block and slot its samples are kept; `row = block * SLOTS + slot`. The newest
placement by event time owns a minute.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.minutes import Minute

SLOTS = 2_500  # mean and count of one block row (7.5 kB) stay inside an InnoDB page
MAX_ID_CHARS = 255
FOREVER: Minute = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Policy:
    """What a customer or operator asks for a VM.

    `blackout` are local hours like `22:00-06:00` or `mon-fri 08:00-18:00` in `timezone` (IANA name); `max_load_pct`
    overrides the settings' default; `opt_out` means never migrate.
    """

    timezone: str = "UTC"
    blackout: tuple[str, ...] = ()
    max_load_pct: float | None = None
    opt_out: bool = False


@dataclass(frozen=True, slots=True)
class Life:
    """One life of a VM id, from `created_at` on. `interval_min` is what its source declares (1 to 60)."""

    vm_id: str
    created_at: Minute
    cluster: str = ""
    memory_mb: int | None = None
    interval_min: int = 1
    policy: Policy = Policy()


@dataclass(frozen=True, slots=True)
class Placement:
    """Life (vm_id, created_at) sits on `host` from `from_minute` on; its samples go to (block, slot)."""

    vm_id: str
    created_at: Minute
    from_minute: Minute
    host: str
    vcpus: float | None
    block: int
    slot: int

    @property
    def row(self) -> int:
        """Global row: block * SLOTS + slot."""
        return self.block * SLOTS + self.slot


@dataclass(frozen=True, slots=True)
class Vm:
    """A life with its placements, sorted by from_minute (never empty)."""

    life: Life
    placements: tuple[Placement, ...]

    @property
    def current(self) -> Placement:
        """The newest placement."""
        return self.placements[-1]

    def regime_start(self) -> Minute:
        """First minute of the current size: a change of vcpus starts a new regime, a move to another host does not."""
        start = self.placements[-1].from_minute
        for placement in reversed(self.placements):
            if placement.vcpus != self.placements[-1].vcpus:
                return start
            start = placement.from_minute
        return min(start, self.life.created_at)


@dataclass(frozen=True, slots=True)
class VmRecord:
    """One inventory record: from `from_minute` on the VM is so. `created_at` None: the same life goes on."""

    vm_id: str
    host: str
    from_minute: Minute
    created_at: Minute | None = None
    vcpus: float | None = None
    memory_mb: int | None = None
    cluster: str = ""
    policy: Policy = Policy()


def owner_at(placements: Sequence[Placement], minute: Minute) -> Placement | None:
    """The placement that owns `minute`: the newest that began at or before it; None before the first."""
    index = bisect_right([p.from_minute for p in placements], minute)
    return placements[index - 1] if index else None


def tenures(placements: Sequence[Placement]) -> list[tuple[Placement, Minute]]:
    """Each placement with the minute (exclusive) at which the next one takes over; FOREVER for the last."""
    ends = [p.from_minute for p in placements[1:]] + [FOREVER]
    return list(zip(placements, ends, strict=True))


def newest_lives(vms: Iterable[Vm]) -> list[Vm]:
    """The newest life of each id, in the order in which the ids first come."""
    newest: dict[str, Vm] = {}
    for vm in vms:
        known = newest.get(vm.life.vm_id)
        if known is None or vm.life.created_at > known.life.created_at:
            newest[vm.life.vm_id] = vm
    return list(newest.values())
