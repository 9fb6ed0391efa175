"""The fleet in columns, the tables of its keys and what they say is lost, against plain objects, over random days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fleet import Life, Placement, Vm, VmRecord
from stream.keys import KeyTable, LastHours
from stream.placing import Fleet, Tenure
from stream.samples import Key
from stream.slots import Slots
from tests.stream.fleet_model import Known, Model

PARTS = (0, 3)
FOREIGN = 7  # the partition of another process
PROBES = range(-10, 130)
VMS, HOSTS = ["a", "b"], ["h0", "h1"]

vm_ids, hosts, parts = st.sampled_from(VMS), st.sampled_from(HOSTS), st.sampled_from(PARTS)
minutes = st.sampled_from([0, 1, 5, 10, 11, 15, 20, 21, 25, 30, 31, 40, 50, 60, 61])  # often 10 apart, or the same
sizes = st.sampled_from([None, 2.0, 4.0])
reports = st.tuples(st.just("report"), parts, vm_ids, hosts, st.lists(minutes, min_size=1, max_size=4).map(sorted))
records = st.tuples(
    st.just("apply"),
    parts,
    st.builds(
        VmRecord, vm_ids, hosts, minutes, st.one_of(st.none(), minutes), sizes, st.none(), st.sampled_from(["", "c"])
    ),
)
restarts = st.tuples(st.just("restart"), parts, vm_ids, hosts, st.integers(62, 120))
learned = st.tuples(
    st.just("learn"),
    vm_ids,
    minutes,
    st.lists(st.tuples(minutes, hosts, sizes), min_size=1, max_size=2, unique_by=lambda p: p[0]).map(
        lambda places: sorted(places, key=lambda p: p[0])
    ),
)
saves = st.tuples(st.just("save"), st.integers(1, 2))
Op = tuple[object, ...]


def slots_of(part: int) -> Slots:
    blocks = count(100 * part)
    return Slots([], [], lambda: next(blocks))


def fleet_of(parts: Sequence[int]) -> Fleet:
    fleet = Fleet((), 1)
    for part in parts:
        fleet.own(part, slots_of(part))
    return fleet


def vm_of(vm_id: str, created_at: int, places: Sequence[tuple[int, str, float | None]], slot: int) -> Vm:
    life = Life(vm_id, created_at, cluster="learned")
    return Vm(
        life, tuple(Placement(vm_id, created_at, m, host, vcpus, 100 * FOREIGN, slot) for m, host, vcpus in places)
    )


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
        self.fleet, self.model = fleet_of(PARTS), Model()
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
            case ("learn", str(vm_id), int(created_at), list(places)):
                vm = vm_of(vm_id, created_at, places, next(self._slot))
                before, first = owners(self.model, vm_id), self._first(vm_id)
                self.model.learn(vm, pending=vm_id in self.pending)
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

    def _row(self, part: int, vm_id: str, host: str, minute: int) -> int | None:
        owner = self.model.owner(vm_id, minute)
        return owner.row if owner and owner.host == host and owner.block // 100 == part else None


def row_of(tenures: Sequence[Tenure], minute: int) -> int | None:
    rows = [t.row for t in tenures if t.start <= minute < t.end]
    assert len(rows) < 2
    return rows[0] if rows else None


@settings(deadline=None, max_examples=400)
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


class Tables:
    """The key tables of two partitions over one fleet, and the cells that a ring would hold: who was taken for them."""

    def __init__(self) -> None:
        self.fleet = fleet_of(())
        self.slots = {part: slots_of(part) for part in PARTS}
        self.tables: dict[int, KeyTable] = {}
        self.cells: dict[tuple[int, int, int], Key] = {}  # (part, local row, minute)
        for part, slots in self.slots.items():
            self.fleet.own(part, slots)
            self.tables[part] = KeyTable(part, self.fleet, slots, LastHours())

    def tell(self, op: Op) -> None:
        match op:
            case ("batch", int(part), list(samples)):
                self._take(part, samples)
            case ("apply", int(part), VmRecord() as record):
                self.fleet.apply(part, record)
            case ("learn", str(vm_id), int(created_at), list(places)):
                self.fleet.learn(vm_of(vm_id, created_at, places, 0))
        self._take_back()
        for (part, row, minute), key in self.cells.items():
            assert row == self._owned(part, key, minute)

    def _take(self, part: int, samples: Sequence[tuple[int, int]]) -> None:
        key = np.array([k for k, _ in samples], dtype=np.int32)
        minute = np.array([m for _, m in samples], dtype=np.int64)
        rows = self.tables[part].rows(KEYS, key, minute, 0).tolist()
        self._take_back()
        for (k, m), row in zip(samples, rows, strict=True):
            assert row == self._owned(part, KEYS[k], m)
            if row >= 0:
                self.cells[part, row, m] = KEYS[k]
                size = self._owner(KEYS[k].vm_id, m).vcpus
                (vcpus,) = self.tables[part].vcpus(np.array([row], dtype=np.int32), np.array([m])).tolist()
                assert (None if np.isnan(vcpus) else vcpus) == size

    def _take_back(self) -> None:
        for part, table in self.tables.items():
            for row, span in table.lost():
                gone = [cell for cell in self.cells if cell[:2] == (part, row) and span.start <= cell[2] < span.end]
                for cell in gone:
                    del self.cells[cell]

    def _owner(self, vm_id: str, minute: int) -> Placement:
        columns = self.fleet._columns
        vm = columns.find(vm_id)
        model = Model()
        model.vms[vm_id] = Known(list(columns.placements(vm, columns.stays(vm))))
        owner = model.owner(vm_id, minute)
        assert owner is not None
        return owner

    def _owned(self, part: int, key: Key, minute: int) -> int:
        """The partition's own row of the sample, where the key's host has its minute."""
        owner = self._owner(key.vm_id, minute)
        here = owner.host == key.host and self.slots[part].owns(owner.block)
        return self.slots[part].local(owner.row) if here else -1


KEYS = [Key(vm_id, host) for vm_id in VMS for host in HOSTS]
batches = st.tuples(
    st.just("batch"),
    parts,
    st.lists(st.tuples(st.integers(0, len(KEYS) - 1), st.integers(0, 59)), min_size=1, max_size=8),
)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.one_of(batches, batches, batches, records, learned), max_size=20))
def test_a_table_of_keys_never_goes_stale_and_says_what_is_lost(ops: list[Op]) -> None:
    tables = Tables()
    for op in ops:
        tables.tell(op)
