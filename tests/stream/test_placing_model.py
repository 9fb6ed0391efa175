"""The fleet in columns against plain objects, over random days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fleet import SLOTS, Placement, VmRecord
from stream.placing import Tenure
from tests.stream.fleet_days import (
    PARTS,
    PROBES,
    VMS,
    Op,
    fleet_of,
    learned,
    records,
    reports,
    restarts,
    saves,
    vm_of,
)
from tests.stream.fleet_model import Known, Model


def owners(model: Model, vm_id: str) -> list[tuple[object, ...] | None]:
    found = (model.owner(vm_id, minute) for minute in PROBES)
    return [None if p is None else (p.host, p.vcpus, p.row) for p in found]


def first_change(model: Model, vm_id: str, before: Sequence[object], first: int | None) -> int | None:
    changed = [m for m, was, now in zip(PROBES, before, owners(model, vm_id), strict=True) if was and was != now]
    if not changed or first is None:
        return None
    return changed[0] if changed[0] > PROBES[0] else min(first, model.vms[vm_id].places[0].from_minute)


class Both:
    """The fleet and the model, told the same."""

    def __init__(self) -> None:
        self.fleet, self.model = fleet_of(PARTS), Model(PARTS)
        self.catalogue: dict[tuple[str, int, int], Placement] = {}
        self.clusters: dict[tuple[str, int], str] = {}
        self.pending: list[str] = []
        self._slot = count()

    def tell(self, op: Op) -> None:
        match op:
            case ("report", int(part), str(vm_id), str(host), list(told)):
                self._touch(vm_id, lambda: self.model.report(part, vm_id, host, told))
                tenures = self.fleet.report(part, vm_id, host, told)
                assert [row_of(tenures, m) for m in PROBES] == [self._row(part, vm_id, host, m) for m in PROBES]
            case ("apply", int(part), VmRecord() as record):
                before, first = owners(self.model, record.vm_id), self._first(record.vm_id)
                self._touch(record.vm_id, lambda: self.model.apply(part, record))
                assert self.fleet.apply(part, record) == first_change(self.model, record.vm_id, before, first)
            case ("restart", int(part), str(vm_id), str(host), int(minute)):
                if self.model.life(vm_id) and self.model.life(vm_id)[0].created_at < minute:
                    self._touch(vm_id, lambda: self.model.restart(part, vm_id, host, minute))
                    self.fleet.restart(part, vm_id, host, minute)
            case ("learn", int(part), str(vm_id), created_at, list(places)):
                vm = vm_of(vm_id, self._born(vm_id, created_at), places, 100 * part * SLOTS + next(self._slot))
                before, first = owners(self.model, vm_id), self._first(vm_id)
                again = self.model.learn(vm, pending=vm_id in self.pending)
                self.pending += [vm_id] if again and vm_id not in self.pending else []
                assert self.fleet.learn(vm) == first_change(self.model, vm_id, before, first)
            case ("save", int(limit)):
                self._save(limit)

    def check(self) -> None:
        """What is asked of the fleet, and that a VM which is not to be saved is saved."""
        for vm_id in VMS:
            life = self.model.life(vm_id)
            assert list(self.fleet.placements(vm_id)) == life
            assert self.fleet.rows(vm_id) == [p.row for p in life]
            number = self.fleet.ids.find(vm_id)
            if life:
                vcpus = self.fleet.vcpus(np.full(len(PROBES), number, np.int32), np.array(PROBES))
                expected = [owner and owner[1] for owner in owners(self.model, vm_id)]
                np.testing.assert_array_equal(vcpus, np.array(expected, dtype=np.float32))
        assert len(self.fleet) == len(self.model.vms)
        for vm_id, known in self.model.vms.items():
            for place in known.places if vm_id not in self.pending else ():
                if place.block // 100 in PARTS:
                    assert self.catalogue[vm_id, place.created_at, place.from_minute] == place

    def _save(self, limit: int) -> None:
        changes = self.fleet.changes(limit)
        assert self.fleet.changes(limit) == changes
        given, self.pending = self.pending[:limit], self.pending[limit:]
        assert [life.vm_id for life in changes.lives[: len(given)]] == given
        for vm_id, life in zip(given, changes.lives, strict=False):
            assert [p for p in changes.placements if (p.vm_id, p.created_at) == (vm_id, life.created_at)] == (
                self.model.life(vm_id)
            )
            assert life.cluster == self.model.vms[vm_id].cluster
        self.catalogue |= {(p.vm_id, p.created_at, p.from_minute): p for p in changes.placements}
        self.fleet.saved()

    def _touch(self, vm_id: str, change: Callable[[], None]) -> None:
        known = self.model.vms.get(vm_id, Known())
        before = (known.places.copy(), known.cluster)
        change()
        known = self.model.vms[vm_id]
        if (known.places, known.cluster) != before and vm_id not in self.pending:
            self.pending.append(vm_id)

    def _first(self, vm_id: str) -> int | None:
        return self.model.vms[vm_id].places[0].from_minute if vm_id in self.model.vms else None

    def _born(self, vm_id: str, created_at: object) -> int:
        life = self.model.life(vm_id)
        return created_at if isinstance(created_at, int) else life[0].created_at if life else 0

    def _row(self, part: int, vm_id: str, host: str, minute: int) -> int | None:
        owner = self.model.owner(vm_id, minute)
        return owner.row if owner and owner.host == host and owner.block // 100 == part else None


def row_of(tenures: Sequence[Tenure], minute: int) -> int | None:
    rows = [t.row for t in tenures if t.start <= minute < t.end]
    assert len(rows) < 2
    return rows[0] if rows else None


@settings(max_examples=400)
@given(st.lists(st.one_of(reports, reports, records, records, restarts, learned, saves), max_size=25))
def test_the_columns_know_what_plain_objects_would(ops: list[Op]) -> None:
    both = Both()
    for op in ops:
        both.tell(op)
        both.check()
    while both.pending:
        both.tell(("save", 1))
        both.check()
    assert both.fleet.changes() == ([], [])
