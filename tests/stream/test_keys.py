"""The table of a partition's keys: never stale, whatever is placed meanwhile, and it says what its rows have lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fleet import FOREVER, SLOTS, Placement, Vm, VmRecord
from models.minutes import Span
from stream.keys import KeyTable, LastHours
from stream.placing import SILENCE_MIN, Fleet
from stream.samples import Key
from stream.slots import Slots
from tests.stream.fleet_days import HOSTS, PARTS, VMS, Op, fleet_of, learned, parts, records, slots_of, vm_of
from tests.stream.fleet_model import Known, Model


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
            case ("learn", int(part), str(vm_id), created_at, list(places)):
                known = self.fleet.placements(vm_id)
                born = created_at if isinstance(created_at, int) else known[0].created_at if known else 0
                self.fleet.learn(vm_of(vm_id, born, places, 100 * part * SLOTS))
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
        model = Model(PARTS)
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


@settings(max_examples=400)
@given(st.lists(st.one_of(batches, batches, batches, records, learned), max_size=20))
def test_a_table_of_keys_never_goes_stale_and_says_what_is_lost(ops: list[Op]) -> None:
    tables = Tables()
    for op in ops:
        tables.tell(op)


def table_of(fleet: Fleet, part: int = 0) -> tuple[KeyTable, LastHours]:
    slots, last_hours = slots_of(part), LastHours()
    fleet.own(part, slots)
    return KeyTable(part, fleet, slots, last_hours), last_hours


def rows(table: KeyTable, keys: Sequence[Key], minute: int, hour: int = 0) -> list[int]:
    """The row of each key at one minute."""
    key = np.arange(len(keys), dtype=np.int32)
    return [int(row) for row in table.rows(keys, key, np.full(len(keys), minute), hour)]


def test_a_fleet_that_is_known_is_found_at_once_and_each_vm_once() -> None:
    keys = [Key(f"vm-{k}", f"h{k % 7}") for k in range(5 * SLOTS)]
    first = fleet_of(())
    placed = rows(table_of(first)[0], keys, 5)
    assert sorted(placed) == list(range(5 * SLOTS))
    vms = [Vm(life, tuple(first.placements(life.vm_id))) for life in first.changes().lives]
    again = Fleet(vms, 1)
    slots = Slots(range(5), placed, lambda: 5)
    again.own(0, slots)
    table = KeyTable(0, again, slots, LastHours())
    assert rows(table, keys, 9) == placed
    assert again.changes() == ([], [])
    assert rows(table, [*keys, Key("new", "h0")], 9)[-1] == 5 * SLOTS


def test_a_key_that_comes_twice_is_forgotten_twice() -> None:
    fleet = fleet_of(())
    table, _ = table_of(fleet)
    twice = [Key("a", "h0"), Key("a", "h0")]
    assert rows(table, twice, 5) == [0, 0]
    fleet.apply(0, VmRecord("a", "h1", 30))
    assert rows(table, twice, 29) == [0, 0]
    assert rows(table, twice, 30) == [-1, -1]


def test_silence_begins_another_life_for_a_key_of_the_table_and_for_a_new_one() -> None:
    fleet, later = fleet_of(()), SILENCE_MIN + 120
    table, last_hours = table_of(fleet)
    assert rows(table, [Key("a", "h0"), Key("b", "h0")], 5) == [0, 1]
    last_hours.see(0, 0, (np.arange(SLOTS) < 2).astype(np.uint8))
    assert rows(table, [Key("a", "h0")], SILENCE_MIN, SILENCE_MIN) == [0]
    keys = [Key("a", "h0"), Key("b", "h0"), Key("b", "h1")]
    assert rows(table, keys, later, later) == [2, 3, -1]
    assert [fleet.placements(vm_id)[0].created_at for vm_id in ("a", "b")] == [later, later]
    assert table.lost() == [(0, Span(later, FOREVER)), (1, Span(later, FOREVER))]
    assert table.lost() == []


def test_sizes_are_those_of_the_samples_time() -> None:
    fleet = fleet_of(())
    table, _ = table_of(fleet)
    fleet.apply(0, VmRecord("a", "h0", 0, vcpus=2))
    fleet.apply(0, VmRecord("a", "h0", 30, vcpus=8))
    fleet.report(0, "b", "h0", [0])
    assert rows(table, [Key("a", "h0"), Key("b", "h0")], 40) == [0, 1]
    row = np.array([0, 0, 0, 1], dtype=np.int32)
    np.testing.assert_array_equal(table.vcpus(row, np.array([-5, 29, 30, 30])), np.array([2, 2, 8, np.nan], np.float32))
    fleet.apply(0, VmRecord("b", "h0", 50, vcpus=0.5))
    assert table.vcpus(row, np.array([0, 0, 0, 0])).tolist() == [2, 2, 2, 0.5]
