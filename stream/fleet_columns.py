"""Every VM's newest life and newest stay in columns, a VM an index: no object is kept for a VM that has never moved.

The earlier stays of a VM that has moved are packed beside the columns.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from math import isnan, nan

import numpy as np
import numpy.typing as npt

from models.fleet import SLOTS, Life, Placement, Policy
from models.minutes import Minute
from stream.columns import Numbered, extended
from stream.stays import Stay, owned

_PACKED = struct.Struct("<iiidi")
_NOWHERE = -1
_AT_ONCE = 1_024  # VMs for which room is made at a time


class FleetColumns:
    """What is known of each VM. A VM is the number of its id; its stays are sorted by life and time."""

    def __init__(self, ids: Numbered[str] | None = None) -> None:
        self.ids: Numbered[str] = Numbered() if ids is None else ids
        self.hosts: Numbered[str] = Numbered()
        self._clusters: Numbered[str] = Numbered()
        self._policies: Numbered[Policy] = Numbered()
        self._used = 0
        self.known = 0
        self.created_at, self.from_minute, self.host, self.row = (np.zeros(0, dtype=np.int32) for _ in range(4))
        self.vcpus = np.zeros(0, dtype=np.float64)
        self.moved, self.reported = np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.bool_)
        self._cluster, self._policy = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
        self._memory_mb, self._interval_min = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8)
        self._earlier: dict[int, bytes] = {}

    def vm(self, vm_id: str) -> int:
        """The number of an id, with room in the columns."""
        vm = self.ids.number(vm_id)
        if vm >= self._used:
            self._extend(vm + _AT_ONCE)
        return vm

    def find(self, vm_id: str) -> int:
        """The number of an id that has a life; -1 where it has none."""
        vm = self.ids.find(vm_id)
        return vm if 0 <= vm < self._used and self.row.item(vm) != _NOWHERE else -1

    def stays(self, vm: int) -> tuple[Stay, ...]:
        """All that is known of where it was; empty where it has no life."""
        if self.row.item(vm) == _NOWHERE:
            return ()
        when = (self.created_at.item(vm), self.from_minute.item(vm))
        newest = _stay(*when, self.host.item(vm), self.vcpus.item(vm), self.row.item(vm))
        if not self.moved.item(vm):
            return (newest,)
        return (*(_stay(*packed) for packed in _PACKED.iter_unpack(self._earlier[vm])), newest)

    def keep(self, vm: int, stays: Sequence[Stay]) -> None:
        """Its stays are these from now on; none: it is forgotten."""
        self.known += bool(stays) - (self.row.item(vm) != _NOWHERE)
        self.moved[vm] = len(stays) > 1
        if len(stays) > 1:
            self._earlier[vm] = b"".join(_PACKED.pack(*s._replace(vcpus=_number(s.vcpus))) for s in stays[:-1])
        else:
            self._earlier.pop(vm, None)
        if not stays:
            self.row[vm] = _NOWHERE
            return
        newest = stays[-1]
        self.created_at[vm], self.from_minute[vm] = newest.created_at, newest.from_minute
        self.host[vm], self.vcpus[vm], self.row[vm] = newest.host, _number(newest.vcpus), newest.row

    def life(self, vm: int, created_at: Minute) -> Life:
        """Its description as that of the life that began at `created_at`."""
        memory_mb = self._memory_mb.item(vm)
        return Life(
            self.ids[vm],
            created_at,
            self._clusters[self._cluster.item(vm)],
            None if memory_mb < 0 else memory_mb,
            self._interval_min.item(vm),
            self._policies[self._policy.item(vm)],
        )

    def describe(self, vm: int, life: Life) -> None:
        """Keep the description."""
        self._cluster[vm] = self._clusters.number(life.cluster)
        self._policy[vm] = self._policies.number(life.policy)
        self._memory_mb[vm] = -1 if life.memory_mb is None else life.memory_mb
        self._interval_min[vm] = life.interval_min

    def placements(self, vm: int, stays: Iterable[Stay]) -> tuple[Placement, ...]:
        """Stays as the catalogue has them."""
        return tuple(
            Placement(self.ids[vm], s.created_at, s.from_minute, self.hosts[s.host], s.vcpus, *divmod(s.row, SLOTS))
            for s in stays
        )

    def stays_of(self, placements: Iterable[Placement]) -> tuple[Stay, ...]:
        """Placements as stays."""
        number = self.hosts.number
        return tuple(Stay(p.created_at, p.from_minute, number(p.host), p.vcpus, p.row) for p in placements)

    def rows_moved(self, since: Minute) -> npt.NDArray[np.int32]:
        """Every row of the VMs whose newest stay is not their first and began at `since` or later."""
        used = slice(self._used)  # what lies beyond is undefined
        vms = np.flatnonzero(self.moved[used] & (self.from_minute[used] >= since))
        return np.array([stay.row for vm in vms.tolist() for stay in self.stays(vm)], dtype=np.int32)

    def unmoved(self, keys: Iterable[tuple[str, str]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Of each (vm id, host) the VM and its row, int32[n]; -1 where that is not all that is known of the VM."""
        numbers = [(self.ids.find(vm_id), self.hosts.find(host)) for vm_id, host in keys]
        vm, host = np.array(numbers, dtype=np.int32).reshape(-1, 2).T
        there = np.flatnonzero((vm >= 0) & (vm < self._used))
        there = there[(self.host[vm[there]] == host[there]) & ~self.moved[vm[there]]]
        row = np.full(len(vm), _NOWHERE, dtype=np.int32)
        row[there] = self.row[vm[there]]
        return vm, row

    def vcpus_at(self, vm: npt.NDArray[np.int32], minute: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Each VM's size at a minute, float32[n]; NaN where it is unknown."""
        vcpus = self.vcpus[vm].astype(np.float32)
        early = np.flatnonzero(self.moved[vm] & (minute < self.from_minute[vm]))
        early = early[np.argsort(vm[early])]
        for at in np.split(early, np.flatnonzero(np.diff(vm[early])) + 1) if len(early) else ():
            tenures = owned(self.stays(int(vm[at[0]])))
            which = np.searchsorted([span.start for span, _ in tenures], minute[at], side="right") - 1
            vcpus[at] = np.array([_number(stay.vcpus) for _, stay in tenures], dtype=np.float32)[which]
        return vcpus

    def _extend(self, size: int) -> None:
        used, self._used = self._used, size
        self.created_at = extended(self.created_at, used, size, 0)
        self.from_minute = extended(self.from_minute, used, size, 0)
        self.host = extended(self.host, used, size, 0)
        self.row = extended(self.row, used, size, _NOWHERE)
        self.vcpus = extended(self.vcpus, used, size, nan)
        self.moved = extended(self.moved, used, size, fill=False)
        self.reported = extended(self.reported, used, size, fill=False)
        self._cluster = extended(self._cluster, used, size, 0)
        self._policy = extended(self._policy, used, size, 0)
        self._memory_mb = extended(self._memory_mb, used, size, -1)
        self._interval_min = extended(self._interval_min, used, size, 0)


def _stay(created_at: Minute, from_minute: Minute, host: int, vcpus: float, row: int) -> Stay:
    return Stay(created_at, from_minute, host, None if isnan(vcpus) else vcpus, row)


def _number(vcpus: float | None) -> float:
    return nan if vcpus is None else vcpus
