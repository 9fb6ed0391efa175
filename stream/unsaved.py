"""Which VMs have changed and are not in the catalogue yet, and what the catalogue has of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from models.fleet import Life, Placement, Vm
from stream.fleet_columns import FleetColumns
from stream.stays import Stay, merged, newest_life


class Changes(NamedTuple):
    """Lives and placements that were made or altered and are not in the catalogue yet."""

    lives: list[Life]
    placements: list[Placement]


class Unsaved:
    """The changed VMs, in the order in which they changed first; costs nothing for those that have not."""

    def __init__(self, columns: FleetColumns) -> None:
        self._columns = columns
        self._saved: dict[int, tuple[Stay, ...]] = {}  # each changed VM's stays as the catalogue has them
        self._ended: list[Vm] = []  # lives that another has followed before they were in the catalogue
        self._given: tuple[list[int], int] = ([], 0)

    def __contains__(self, vm: int) -> bool:
        return vm in self._saved

    def touch(self, vm: int) -> None:
        """The VM is about to change."""
        if vm not in self._saved:
            self._saved[vm] = self._columns.stays(vm)

    def end(self, vm: int) -> None:
        """Another life of the VM is about to begin."""
        if vm in self._saved and (stays := newest_life(self._columns.stays(vm))):
            life = self._columns.life(vm, stays[-1].created_at)
            self._ended.append(Vm(life, self._columns.placements(vm, stays)))

    def learned(self, vm: int, stays: tuple[Stay, ...]) -> None:
        """The catalogue has these stays of the VM."""
        if vm in self._saved:
            self._saved[vm] = merged(self._saved[vm], stays)

    def changes(self, limit: int | None) -> Changes:
        """What is to be saved of at most `limit` of the VMs."""
        given, changes = list(islice(self._saved, limit)), Changes([], [])
        self._given = (given, len(self._ended))
        for vm in given:
            stays = newest_life(self._columns.stays(vm))
            changes.lives.append(self._columns.life(vm, stays[-1].created_at))
            changes.placements.extend(self._columns.placements(vm, stays))
        changes.lives.extend(vm.life for vm in self._ended)
        changes.placements.extend(placement for vm in self._ended for placement in vm.placements)
        return changes

    def saved(self) -> None:
        """What `changes` gave last is in the catalogue."""
        given, ended = self._given
        for vm in given:
            self._saved.pop(vm, None)
        del self._ended[:ended]
        self._given = ([], 0)

    def undo(self, owns: Callable[[int], bool]) -> dict[int, tuple[Stay, ...]]:
        """The stays that changed VMs have without what was made in certain blocks; what is in the catalogue stays."""
        self._ended = [vm for vm in self._ended if not any(owns(placement.block) for placement in vm.placements)]
        undone = {}
        for vm, saved in self._saved.items():
            stays = self._columns.stays(vm)
            if any(owns(stay.block) for stay in stays):
                kept = [stay for stay in stays if not owns(stay.block)]
                undone[vm] = merged([stay for stay in saved if owns(stay.block)], kept)
        self._given = ([], 0)
        for vm, stays in undone.items():
            if not stays:
                del self._saved[vm]
        return undone
