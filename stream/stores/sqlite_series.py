"""Series on SQLite: block rows of each metric in tables of its own, and the day profiles."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

import numpy as np

from models.fleet import SLOTS
from models.minutes import HOUR_MIN, STEP_MIN, Minute, Span
from stream.stores.blocks import CODE, GAP, Packed, decode_into, merge_fuller, pack
from stream.stores.protocols import BlockRow, Cells, Changed, ProfileRow
from stream.stores.sqlite import Connection, Database
from stream.stores.sqlite_schema import metric_tables, table_of

HOUR_STEPS = HOUR_MIN // STEP_MIN

_LAST_REV = Template("SELECT coalesce(max(rev), 0) FROM $table")
_STORED = Template("SELECT epoch, rev, mean, count FROM $table WHERE block = ? AND start = ?")
_UPSERT = Template(
    """INSERT INTO $table (block, start, part, epoch, rev, mean, count) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (block, start) DO UPDATE SET
    part = excluded.part, epoch = excluded.epoch, rev = excluded.rev, mean = excluded.mean, count = excluded.count"""
)
_SCAN = Template(
    "SELECT start, rev, mean, count FROM $table WHERE block = ? AND start >= ? AND start < ? ORDER BY start"
)
_CHANGED = Template("SELECT rev, block, start FROM $table WHERE rev > ? ORDER BY rev")
_PUT_PROFILE = """INSERT INTO profile (metric, block, hour_of_day, through, shape, scale) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (metric, block, hour_of_day) DO UPDATE SET
    through = excluded.through, shape = excluded.shape, scale = excluded.scale
    WHERE excluded.through > profile.through"""
_PROFILES = """SELECT block, hour_of_day, through, shape, scale FROM profile WHERE metric = ? AND block = ?
    AND hour_of_day BETWEEN ? AND ? ORDER BY hour_of_day"""


class SqliteSeries:
    """`protocols.Series`. `rev` is max(epoch << 32, the table's highest) + 1.

    So it grows whatever the epochs of the parts that write: rev >> 32 is the highest epoch that changed the table, at
    least the row's own, and n goes on from the row before or begins at 1 with a new highest epoch. It is kept nowhere
    else than in the rows themselves, whose highest rev the index gives at once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, metric: str, rows: Sequence[BlockRow], profiles: Sequence[ProfileRow] = ()) -> int:
        """See the protocol; ValueError where a row breaks what it promises, BadInput for a metric of another name."""
        packed: dict[str, list[tuple[BlockRow, Packed]]] = {}
        for row in rows:
            packed.setdefault(table_of(metric, row.step_min), []).append((row, pack(row)))
        profile_values = [_profile_values(metric, profile) for profile in profiles]
        with self._database.write() as connection:
            for statement in metric_tables(metric):
                connection.execute(statement)
            connection.executemany(_PUT_PROFILE, profile_values)
            return max((_put_rows(connection, table, some) for table, some in packed.items()), default=0)

    def read(self, metric: str, step_min: int, blocks: Sequence[int], span: Span) -> Cells:
        """See the protocol; ValueError where `span` is not whole steps."""
        table = table_of(metric, step_min)
        steps, rest = divmod(span.end - span.start, step_min)
        if rest or span.start % step_min or steps < 0:
            raise ValueError(f"span to read: expected whole steps of {step_min} minutes, got {span}")
        mean = np.empty((steps, len(blocks) * SLOTS), np.float32)
        count = np.zeros(mean.shape, np.uint8)
        codes = np.empty((steps, SLOTS), CODE)
        highest = 0
        with self._database.read() as connection:  # one snapshot: with a rev from another one, corrections get lost
            scan = _SCAN.substitute(table=table) if _exists(connection, table) else None
            for i, block in enumerate(blocks):
                columns = slice(i * SLOTS, (i + 1) * SLOTS)
                codes.fill(GAP)
                found = connection.execute(scan, (block, span.start, span.end)) if scan else ()
                for start, rev, row_mean, row_count in found:
                    step = (start - span.start) // step_min
                    codes[step] = np.frombuffer(row_mean, CODE)
                    count[step, columns] = np.frombuffer(row_count, np.uint8)
                    highest = max(highest, rev)
                decode_into(codes, mean[:, columns])
        return Cells(mean, count, highest)

    def changed(self, metric: str, step_min: int, after_rev: int) -> list[Changed]:
        """See the protocol."""
        table = table_of(metric, step_min)
        with self._database.read() as connection:
            if not _exists(connection, table):
                return []
            found = connection.execute(_CHANGED.substitute(table=table), (after_rev,))
            return [Changed(*row) for row in found]

    def profiles(self, metric: str, blocks: Sequence[int], hour_of_day: int | None = None) -> list[ProfileRow]:
        """See the protocol."""
        first, last = (0, 23) if hour_of_day is None else (hour_of_day, hour_of_day)
        with self._database.read() as connection:
            return [
                _profile(*row)
                for block in sorted(set(blocks))
                for row in connection.execute(_PROFILES, (metric, block, first, last))
            ]


def _exists(connection: Connection, table: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def _put_rows(connection: Connection, table: str, rows: Sequence[tuple[BlockRow, Packed]]) -> int:
    """Merge the rows into the table; the highest rev now in force for them, 0 where there are none."""
    stored, upsert = _STORED.substitute(table=table), _UPSERT.substitute(table=table)
    last = int(connection.execute(_LAST_REV.substitute(table=table)).fetchone()[0])
    highest = 0
    for row, new in rows:
        rev, merged, write = max(row.epoch << 32, last) + 1, new, True
        found = connection.execute(stored, (row.block, row.start)).fetchone()
        if found is not None:
            rev, merged, write = _merged(row, new, rev, found)
        if write:
            values = (row.block, row.start, row.part, row.epoch, rev, merged.mean.tobytes(), merged.count.tobytes())
            connection.execute(upsert, values)
        last, highest = max(last, rev), max(highest, rev)
    return highest


def _merged(
    row: BlockRow, new: Packed, next_rev: int, found: tuple[int, int, bytes, bytes]
) -> tuple[int, Packed, bool]:
    """(rev, row, whether to write it) of a row that is stored already."""
    old_epoch, old_rev, mean, count = found
    old = Packed(np.frombuffer(mean, CODE), np.frombuffer(count, np.uint8))
    if row.epoch < old_epoch:
        return old_rev, old, False
    merged = merge_fuller(old, new, row.corrects)
    if np.array_equal(old.mean, merged.mean) and np.array_equal(old.count, merged.count):
        return old_rev, old, row.epoch > old_epoch  # a new writer signs it, so that the old one cannot come back
    return next_rev, merged, True


def _profile_values(metric: str, row: ProfileRow) -> tuple[str, int, int, int, bytes, bytes]:
    if row.shape.shape != (HOUR_STEPS, SLOTS) or row.shape.dtype != np.int8 or row.scale.shape != (SLOTS,):
        got = f"{row.shape.dtype}{row.shape.shape} and {row.scale.shape}"
        raise ValueError(f"profile: expected int8({HOUR_STEPS}, {SLOTS}) and ({SLOTS},), got {got}")
    return metric, row.block, row.hour_of_day, row.through, row.shape.tobytes(), row.scale.astype("<f4").tobytes()


def _profile(block: int, hour_of_day: int, through: Minute, shape: bytes, scale: bytes) -> ProfileRow:
    shapes = np.frombuffer(shape, np.int8).reshape(HOUR_STEPS, SLOTS)
    return ProfileRow(block, hour_of_day, through, shapes, np.frombuffer(scale, "<f4"))
