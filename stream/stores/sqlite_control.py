"""Control on SQLite: one immediate transaction is the compare and the set."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from stream.stores.protocols import Versioned
from stream.stores.sqlite import Connection, Database

_GET = "SELECT version, value FROM control WHERE key = ?"
_FROM = "SELECT key, version, value FROM control WHERE key >= ? ORDER BY key"
_SET = """INSERT INTO control (key, version, value) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, value = excluded.value"""
_DELETE = "DELETE FROM control WHERE key = ?"


class SqliteControl:
    """`protocols.Control`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> Versioned | None:
        """See the protocol."""
        with self._database.read() as connection:
            return _get(connection, key)

    def list(self, prefix: str) -> dict[str, Versioned]:
        """See the protocol."""
        with self._database.read() as connection:
            found = takewhile(lambda row: row[0].startswith(prefix), connection.execute(_FROM, (prefix,)))
            return {key: Versioned(version, value) for key, version, value in found}

    def apply(self, changes: Sequence[tuple[str, int, str | None]]) -> bool:
        """See the protocol; ValueError where a key comes twice."""
        if len({key for key, _, _ in changes}) < len(changes):
            raise ValueError("changes of control records: expected each key once, got one twice")
        with self._database.write() as connection:
            for key, expected, _ in changes:
                stored = _get(connection, key)
                if expected != (0 if stored is None else stored.version):
                    return False
            for key, expected, value in changes:
                if value is None:
                    connection.execute(_DELETE, (key,))
                else:
                    connection.execute(_SET, (key, expected + 1, value))
        return True


def _get(connection: Connection, key: str) -> Versioned | None:
    row = connection.execute(_GET, (key,)).fetchone()
    return None if row is None else Versioned(*row)
