"""Catalogue on SQLite. Text compares by bytes there, and UTF-8 by bytes is code point order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice, takewhile
from string import Template
from typing import Any

from models.errors import StartOver
from models.fleet import Life, Placement, Policy, Vm
from stream.stores.sqlite import Conflict, Connection, Database

_PUT_LIFE = """INSERT INTO life (vm_id, created_at, cluster, memory_mb, interval_min, policy) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (vm_id, created_at) DO UPDATE SET cluster = excluded.cluster, memory_mb = excluded.memory_mb,
    interval_min = excluded.interval_min, policy = excluded.policy"""
# A slot is one life's for ever: for another life it is NULL, which the table refuses.
_PUT_PLACEMENT = """INSERT INTO placement (vm_id, created_at, from_minute, host, vcpus, block, slot)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, iif(EXISTS (
        SELECT 1 FROM placement WHERE block = ?6 AND slot = ?7 AND (vm_id <> ?1 OR created_at <> ?2)), NULL, ?7))
    ON CONFLICT (vm_id, created_at, from_minute) DO UPDATE SET host = excluded.host, vcpus = excluded.vcpus,
    block = excluded.block, slot = excluded.slot"""
_TENANTS = "SELECT vm_id, created_at FROM placement WHERE block = ? AND slot = ?"

_VMS = Template(
    """SELECT vm_id, created_at, cluster, memory_mb, interval_min, policy, from_minute, host, vcpus, block, slot
    FROM life JOIN placement USING (vm_id, created_at) $which ORDER BY vm_id, created_at, from_minute"""
)
_ALL = _VMS.substitute(which="")
_OF_BLOCKS = _VMS.substitute(
    which="""WHERE (vm_id, created_at) IN (
    SELECT vm_id, created_at FROM placement WHERE block IN (SELECT value FROM json_each(?)))"""
)
_NEWEST = _VMS.substitute(
    which="WHERE vm_id = ? AND created_at = (SELECT max(created_at) FROM placement WHERE vm_id = ?)"
)
_RANGE = _VMS.substitute(which="WHERE vm_id BETWEEN ? AND ?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_IDS = "SELECT DISTINCT vm_id FROM placement WHERE vm_id >= ? AND vm_id > ? ORDER BY vm_id"


class SqliteCatalogue:
    """`protocols.Catalogue`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, lives: Sequence[Life], placements: Sequence[Placement]) -> None:
        """See the protocol."""
        life_rows = (
            (v.vm_id, v.created_at, v.cluster, v.memory_mb, v.interval_min, _policy_text(v.policy)) for v in lives
        )
        placement_rows = ((p.vm_id, p.created_at, p.from_minute, p.host, p.vcpus, p.block, p.slot) for p in placements)
        with self._database.write() as connection:
            connection.executemany(_PUT_LIFE, life_rows)
            try:
                connection.executemany(_PUT_PLACEMENT, placement_rows)
            except Conflict as conflict:
                raise _clash(connection, placements) or conflict from conflict

    def lives(self, blocks: Sequence[int] | None = None) -> list[Vm]:
        """See the protocol."""
        with self._database.read() as connection:
            if blocks is None:
                return list(_vms(connection.execute(_ALL)))
            return list(_vms(connection.execute(_OF_BLOCKS, (json.dumps(list(blocks)),))))

    def find(self, vm_ids: Sequence[str]) -> dict[str, Vm]:
        """See the protocol."""
        with self._database.read() as connection:
            return {vm.life.vm_id: vm for vm in _newest(connection, vm_ids)}

    def page(self, prefix: str, after: str, limit: int) -> list[Vm]:
        """See the protocol."""
        if not _is_text(prefix + after):
            return []
        with self._database.read() as connection:
            ids = (vm_id for (vm_id,) in connection.execute(_IDS, (prefix, after)))
            found = list(islice(takewhile(lambda i: i.startswith(prefix), ids), limit))
            lives = _vms(connection.execute(_RANGE, (found[0], found[-1]))) if found else ()
            return list({vm.life.vm_id: vm for vm in lives}.values())  # of an id's lives the newest is the last


def _newest(connection: Connection, vm_ids: Iterable[str]) -> Iterator[Vm]:
    for vm_id in filter(_is_text, vm_ids):
        yield from _vms(connection.execute(_NEWEST, (vm_id, vm_id)))


def _is_text(vm_id: str) -> bool:
    """False for what JSON lets through and UTF-8 does not, a lone surrogate: no id that is stored can hold one."""
    return _SURROGATE.search(vm_id) is None


def _vms(rows: Iterable[tuple[Any, ...]]) -> Iterator[Vm]:
    """Rows of `_VMS` as VMs. Names of hosts and clusters, of which there are few, are kept once each."""
    names: dict[str, str] = {}
    for (vm_id, created_at, cluster, memory_mb, interval_min, policy), group in groupby(rows, key=lambda row: row[:6]):
        life = Life(vm_id, created_at, names.setdefault(cluster, cluster), memory_mb, interval_min, _policy(policy))
        placements = tuple(
            Placement(vm_id, created_at, start, names.setdefault(host, host), vcpus, block, slot)
            for *_, start, host, vcpus, block, slot in group
        )
        yield Vm(life, placements)


def _clash(connection: Connection, placements: Sequence[Placement]) -> StartOver | None:
    """What to say of the first placement whose slot another life has; None where there is none."""
    for placement in placements:
        mine = (placement.vm_id, placement.created_at)
        for tenant in connection.execute(_TENANTS, (placement.block, placement.slot)):
            if tenant != mine:
                return StartOver(
                    f"placement of {placement.vm_id!r} (created {placement.created_at})",
                    expected=f"block {placement.block}, slot {placement.slot} to be free",
                    got=f"{tenant[0]!r} (created {tenant[1]}) in it",
                    remedy="Two writers gave out one slot: one of them has to read again which are taken.",
                )
    return None


@lru_cache(maxsize=4096)
def _policy_text(policy: Policy) -> str:
    fields = [policy.timezone, policy.blackout, policy.max_load_pct, policy.opt_out]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=4096)
def _policy(text: str) -> Policy:
    timezone, blackout, max_load_pct, opt_out = json.loads(text)
    return Policy(timezone, tuple(blackout), max_load_pct, opt_out)
