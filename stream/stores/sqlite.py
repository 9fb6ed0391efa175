"""A SQLite file used from several threads: WAL, synchronous=FULL, and errors that a person can act on."""

from __future__ import annotations

import sqlite3
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.errors import StoreError
from stream.stores.sqlite_schema import APPLICATION_ID, SCHEMA, SCHEMA_VERSION

Connection = sqlite3.Connection
Conflict = sqlite3.IntegrityError

BUSY_TIMEOUT_S = 5.0
PAGE_BYTES = 8192  # one block row fits a page: measured, the fastest of 4 to 32 KiB for put and scan
CHECKPOINT_PAGES = 4096  # 32 MiB of log: the commit that carries it into the file takes some 0.1 s
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100


class Database:
    """A pool of connections to one file: a thread takes one for a transaction and puts it back.

    Not one a thread: web servers' threads come and go, and an iterator may be read in one thread and closed in another.
    """

    def __init__(self, path: Path) -> None:
        """Open, or create with its parent folders. StoreError where that fails or the file is not one of ours."""
        self._path = path
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(path)
        except OSError as error:
            raise StoreError(
                f"store {path}",
                expected="a file that can be read and written",
                got=str(error),
                remedy="Give another path, or mend the folder's permissions.",
            ) from error
        with self.read():
            pass

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot of the file: what others commit meanwhile is not seen."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The file's one writer until the end of the block; an exception leaves nothing behind."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Close what is idle now and the rest as it comes back; later calls raise StoreError."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        try:
            connection = self._take()
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            finally:
                self._put_back(connection)
        except sqlite3.Error as error:
            explained = _explained(error, self._path)
            if explained is None:
                raise
            raise explained from error

    def _take(self) -> Connection:
        with self._lock:
            if self._closed:
                raise StoreError(
                    f"store {self._path}", expected="an open store", got="a closed one", remedy="Open it again."
                )
            if self._idle:
                return self._idle.pop()
        return _connect(self._path)

    def _put_back(self, connection: Connection) -> None:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # a disk that failed may have ended it already
                connection.execute("ROLLBACK")
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def _connect(path: Path) -> Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        if not _is_ours(connection):
            _create(connection)
        _switch_to_wal(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _switch_to_wal(connection: Connection) -> None:
    # Where several processes open a new file at once, SQLite refuses this statement without waiting for the others.
    until_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                raise
            time.sleep(0.005)


def _is_ours(connection: Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID)


def _create(connection: Connection) -> None:
    # In one transaction and before the switch to WAL: a file of ours carries its mark from its first byte on, so
    # `_refuse_foreign` needs no SQLite to see it, and a kill in between leaves an empty file, which is nobody's.
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("BEGIN IMMEDIATE")
    if not _is_ours(connection):  # else another process came first
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _refuse_foreign(path: Path) -> None:
    """StoreError where a file is there that is not ours. Read as bytes: SQLite would recover a foreign file's log."""
    if not path.exists():
        return
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        return
    remedy = "Give another path; the file is left as it is."
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StoreError(f"store {path}", expected="a SQLite file", got="a file of another kind", remedy=remedy)
    version, application_id = struct.unpack_from(">I4xI", header, 60)
    if application_id != APPLICATION_ID:
        got = f"a SQLite file of another program (application_id {application_id})"
        raise StoreError(f"store {path}", expected="a SQLite file of Xiao Zhuge", got=got, remedy=remedy)
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"store {path}",
            expected=f"tables of version {SCHEMA_VERSION}",
            got=f"version {version}",
            remedy="Give another path, or use the release that wrote it; the file is left as it is.",
        )


def _explained(error: sqlite3.Error, path: Path) -> StoreError | None:
    """`error` in words where a person can mend it; None where it is a mistake in our SQL."""
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            expected = f"to get the lock within {BUSY_TIMEOUT_S:g} s"
            remedy = "Another process holds the file: stop it, or try again when it is done."
        case sqlite3.SQLITE_FULL:
            expected, remedy = "room on the disk", "Free some space; nothing was half written."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            expected = "a file that can be read and written, and its folder too"
            remedy = "Give another path, or mend the permissions."
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            expected, remedy = "an undamaged SQLite file", "Put back a copy of it, or give another path."
        case sqlite3.SQLITE_IOERR:
            expected, remedy = "a disk that works", "See that it is not full and not failing; nothing was half written."
        case sqlite3.SQLITE_CONSTRAINT:
            expected, remedy = "rows that keep the table's rules", "Nothing was written."
        case _:
            return None
    return StoreError(f"store {path}", expected=expected, got=str(error), remedy=remedy)
