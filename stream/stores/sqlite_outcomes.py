"""Migrations that happened, on SQLite. The life of each is found beside it, in the table of lives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any

from models.minutes import Span
from stream.stores.protocols import KnownMigration, Migration
from stream.stores.sqlite import Database

# The newest life that had begun by then; else the first, whose own first samples may come after its first migration.
_LIFE = """SELECT coalesce((SELECT max(created_at) FROM life WHERE vm_id = ?1 AND created_at <= ?2),
    (SELECT min(created_at) FROM life WHERE vm_id = ?1))"""
_PUT = """INSERT INTO outcome
    (created_at, vm_id, start, method, source, target, length_s, downtime_ms, result, reason)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (vm_id, start) DO UPDATE SET created_at = excluded.created_at, method = excluded.method,
    source = excluded.source, target = excluded.target, length_s = excluded.length_s,
    downtime_ms = excluded.downtime_ms, result = excluded.result, reason = excluded.reason"""
_READ = "SELECT created_at, vm_id, start, method, source, target, length_s, downtime_ms, result, reason FROM outcome"
_IN_SPAN = f"{_READ} WHERE start >= ? AND start < ? ORDER BY start, vm_id"
_OF_VM = f"{_READ} WHERE vm_id = ? ORDER BY start"


class SqliteOutcomes:
    """`protocols.Outcomes`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, migrations: Sequence[Migration]) -> list[str]:
        """See the protocol."""
        unknown = []
        with self._database.write() as connection:
            for migration in migrations:
                (created_at,) = connection.execute(_LIFE, (migration.vm_id, migration.start)).fetchone()
                if created_at is None:
                    unknown.append(migration.vm_id)
                else:
                    connection.execute(_PUT, (created_at, *astuple(migration)))
        return unknown

    def read(self, span: Span) -> list[KnownMigration]:
        """See the protocol."""
        with self._database.read() as connection:
            return _known(connection.execute(_IN_SPAN, span))

    def of(self, vm_id: str) -> list[KnownMigration]:
        """See the protocol."""
        with self._database.read() as connection:
            return _known(connection.execute(_OF_VM, (vm_id,)))


def _known(rows: Iterable[tuple[Any, ...]]) -> list[KnownMigration]:
    return [KnownMigration(created_at, Migration(*row)) for created_at, *row in rows]
