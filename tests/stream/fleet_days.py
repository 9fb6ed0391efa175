"""Fleets for the tests of placing, and random days of two VMs and two hosts: what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from hypothesis import strategies as st

from models.fleet import SLOTS, Life, Placement, Vm, VmRecord
from stream.placing import Fleet
from stream.slots import Slots

PARTS = (0, 3)
FOREIGN = (1, 7)  # partitions of other processes
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
    st.sampled_from(FOREIGN),
    vm_ids,
    st.one_of(st.none(), minutes),  # None: of the life that is known
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


def vm_of(vm_id: str, created_at: int, places: Sequence[tuple[int, str, float | None]], row: int) -> Vm:
    life = Life(vm_id, created_at, cluster="learned")
    block, slot = divmod(row, SLOTS)
    return Vm(life, tuple(Placement(vm_id, created_at, m, host, vcpus, block, slot) for m, host, vcpus in places))


def make(parts: int = 2) -> tuple[Fleet, list[Slots]]:
    claimed: list[int] = []

    def claim() -> int:
        claimed.append(len(claimed))
        return claimed[-1]

    slots = [Slots([], [], claim) for _ in range(parts)]
    return Fleet([], 5, slots), slots


def placed(fleet: Fleet, vm_id: str) -> list[tuple[str, int, float | None, int]]:
    return [(p.host, p.from_minute, p.vcpus, p.row) for p in fleet.placements(vm_id)]
