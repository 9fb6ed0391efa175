"""Who owns a minute, in plain objects, by looking at every one of them: what the fleet in columns is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from models.fleet import FOREVER, SLOTS, Placement, Vm, VmRecord
from models.minutes import Minute

FLAP = 10


@dataclass
class Known:
    """A VM: its placements (of two lives at most), how it is described, and whether its newest place was reported."""

    places: list[Placement] = field(default_factory=list)
    cluster: str = ""
    reported: bool = True


class Model:
    """The rules, one VM at a time. Partition p has the blocks 100 p, 100 p + 1, …"""

    def __init__(self, parts: Sequence[int]) -> None:
        self.vms: dict[str, Known] = {}
        self._parts = parts
        self._let: dict[int, int] = {}

    def life(self, vm_id: str) -> list[Placement]:
        known = self.vms.get(vm_id, Known()).places
        return [p for p in known if p.created_at == max(q.created_at for q in known)]

    def owner(self, vm_id: str, minute: Minute) -> Placement | None:
        life = self.life(vm_id)
        if not life:
            return None
        former = [p for p in self.vms[vm_id].places if p not in life]
        pool = former if former and minute < min(life[0].created_at, life[0].from_minute) else life
        begun = [p for p in pool if p.from_minute <= minute]
        return begun[-1] if begun else pool[0]

    def report(self, part: int, vm_id: str, host: str, minutes: Sequence[int]) -> None:
        if vm_id not in self.vms:
            self._put(vm_id, Placement(vm_id, minutes[0], minutes[0], host, None, *self._free(part)), reported=True)
            return
        first = self.life(vm_id)[0]
        one_life = len(self.life(vm_id)) == len(self.vms[vm_id].places)
        ahead = 1 if len(self.life(vm_id)) == 1 and first.host == host else FLAP
        if one_life and not self._here(part, host, first) and minutes[0] <= first.from_minute - ahead:
            self._report(part, vm_id, host, minutes[0], first.vcpus)
        while found := self._due(part, vm_id, host, minutes):
            self._report(part, vm_id, host, *found)
        if self._here(part, host, self.life(vm_id)[-1]):
            self.vms[vm_id].reported = True

    def _due(self, part: int, vm_id: str, host: str, minutes: Sequence[int]) -> tuple[Minute, float | None] | None:
        life = self.life(vm_id)
        for at, place in enumerate(life):
            end = life[at + 1].from_minute if at + 1 < len(life) else FOREVER
            reported = self.vms[vm_id].reported or at + 1 < len(life)
            after = [m for m in minutes if m >= self._switch(life[: at + 1], host, reported=reported)]
            if not self._here(part, host, place) and after and after[0] < end:
                return after[0], place.vcpus
        return None

    def restart(self, part: int, vm_id: str, host: str, minute: Minute) -> None:
        vcpus = self.life(vm_id)[-1].vcpus
        self._put(vm_id, Placement(vm_id, minute, minute, host, vcpus, *self._free(part)), reported=True)

    def apply(self, part: int, record: VmRecord) -> None:
        life, vm_id = self.life(record.vm_id), record.vm_id
        if not life or (record.created_at is not None and record.created_at > life[0].created_at):
            born = record.from_minute if record.created_at is None else record.created_at
            place = Placement(vm_id, born, record.from_minute, record.host, record.vcpus, *self._free(part))
            self._put(vm_id, place, reported=False)
        else:
            self._correct(part, record)
        self.vms[vm_id].cluster = record.cluster

    def learn(self, vm: Vm, *, pending: bool) -> bool:
        """Whether what we know better is to be told again."""
        known = self.vms.setdefault(vm.life.vm_id, Known())
        newest, told, again = known.places[-1] if known.places else None, vm.placements[-1], False
        for place in vm.placements:
            mine = [p for p in known.places if self._ours(p) and (p.created_at, p.from_minute) == _when(place)]
            if not mine or place.row > mine[0].row:
                self._put(vm.life.vm_id, place, reported=True)
            else:
                again = True
                if mine[0].host == place.host and mine[0].vcpus is None:
                    self._put(vm.life.vm_id, replace(mine[0], vcpus=place.vcpus), reported=True)
        newer = newest is None or told.created_at > newest.created_at
        if newer or (known.places[-1] == told and not self._ours(told) and not (pending or again)):
            known.cluster = vm.life.cluster
        return again

    def _correct(self, part: int, record: VmRecord) -> None:
        vm_id, minute, host, vcpus = record.vm_id, record.from_minute, record.host, record.vcpus
        life = self.life(vm_id)
        begun = [p for p in life if p.from_minute <= minute]
        owner = begun[-1] if begun else life[0]
        later = life[len(begun) :]
        if owner.host == host and owner.vcpus is None and vcpus is not None:
            for place in life:
                if place.host == host and place.vcpus is None:
                    self._put(vm_id, replace(place, vcpus=vcpus), reported=False)
            return
        if owner.host == host and (vcpus is None or vcpus == owner.vcpus):
            return
        size = owner.vcpus if vcpus is None else vcpus
        beside = owner if owner.host == host else later[0] if later and later[0].host == host else None
        spot = self._spot(part, vm_id) if beside is None else (beside.block, beside.slot)
        self._put(vm_id, Placement(vm_id, owner.created_at, minute, host, size, *spot), reported=False)
        while begun and later and later[0].host == host and later[0].vcpus == owner.vcpus:
            self._put(vm_id, replace(later.pop(0), vcpus=size), reported=False)

    def _switch(self, life: Sequence[Placement], host: str, *, reported: bool) -> Minute:
        last = life[-1]
        stay = [p for p in life if all(q.host == last.host for q in life[life.index(p) :])]  # on the last one's host
        if last.host != host:
            return stay[0].from_minute + FLAP
        if not reported:
            return last.from_minute
        changed = [q.from_minute for p, q in pairwise(stay) if p.row != q.row]
        return max(changed[-1] + FLAP, last.from_minute + 1) if changed else last.from_minute + 1

    def _report(self, part: int, vm_id: str, host: str, minute: Minute, vcpus: float | None) -> None:
        born = self.life(vm_id)[0].created_at
        self._put(vm_id, Placement(vm_id, born, minute, host, vcpus, *self._spot(part, vm_id)), reported=True)

    def _here(self, part: int, host: str, place: Placement) -> bool:
        return place.host == host and place.block // 100 == part

    def _spot(self, part: int, vm_id: str) -> tuple[int, int]:
        here = [(p.block, p.slot) for p in self.life(vm_id) if p.block // 100 == part]
        return here[0] if here else self._free(part)

    def _free(self, part: int) -> tuple[int, int]:
        block, slot = divmod(self._let.setdefault(part, 0), SLOTS)
        self._let[part] += 1
        return 100 * part + block, slot

    def _put(self, vm_id: str, place: Placement, *, reported: bool) -> None:
        known = self.vms.setdefault(vm_id, Known())
        before = known.places[-1] if known.places else None
        rest = [p for p in known.places if (p.created_at, p.from_minute) != (place.created_at, place.from_minute)]
        places = sorted([*rest, place], key=lambda p: (p.created_at, p.from_minute))
        lives = sorted({p.created_at for p in places})[-2:]
        known.places = [p for p in places if p.created_at in lives]
        if before is None or before.row != known.places[-1].row:
            known.reported = reported

    def _ours(self, place: Placement) -> bool:
        return place.block // 100 in self._parts


def _when(place: Placement) -> tuple[Minute, Minute]:
    return place.created_at, place.from_minute
