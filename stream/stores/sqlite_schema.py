"""The tables of a SQLite store. One file may serve as CStore, control store and store of answers at once."""

from __future__ import annotations

import re
from string import Template

from models.errors import BadInput
from models.fleet import SLOTS
from models.minutes import HOUR_MIN, STEP_MIN
from stream.stores.protocols import METRIC_CPU

APPLICATION_ID = 0x5A687567  # "Zhug": what tells our files from other SQLite files
SCHEMA_VERSION = 2  # 2: migrations that happened

# Rowid tables: measured, WITHOUT ROWID took five times as long for an hour's tick, with rows of 7.5 kB in its tree.
_BLOCKS = Template(
    f"""CREATE TABLE IF NOT EXISTS $table (
    block INTEGER NOT NULL, start INTEGER NOT NULL, part INTEGER NOT NULL, epoch INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    mean BLOB NOT NULL CHECK (length(mean) = {2 * SLOTS}), count BLOB NOT NULL CHECK (length(count) = {SLOTS}),
    PRIMARY KEY (block, start))"""
)
_REVS = Template("CREATE UNIQUE INDEX IF NOT EXISTS ${table}_rev ON $table (rev, block, start)")

# Tall rows for a person with SQL. A slot's rows are a VM's from its placement on, until the VM is placed anew or the
# slot is: a step in which a VM goes to another slot has a row of each, one in which it stays there a single one.
_READABLE = Template(
    """CREATE VIEW IF NOT EXISTS ${table}_readable AS
    SELECT vm_id, created_at, datetime(start * 60, 'unixepoch') AS time, $mean AS mean, $count AS count
    FROM placement AS p JOIN $table AS b USING (block)
    WHERE substr(b.count, slot + 1, 1) <> x'00' AND start + $step_min > from_minute AND NOT EXISTS (
        SELECT 1 FROM placement AS later WHERE later.from_minute > p.from_minute AND (
            later.block = p.block AND later.slot = p.slot AND later.from_minute < b.start + $step_min
            OR later.vm_id = p.vm_id AND later.created_at = p.created_at AND later.from_minute <= b.start))"""
)

_FIXED = (
    """CREATE TABLE profile (
    metric TEXT NOT NULL, block INTEGER NOT NULL, hour_of_day INTEGER NOT NULL, through INTEGER NOT NULL,
    shape BLOB NOT NULL, scale BLOB NOT NULL,
    PRIMARY KEY (metric, block, hour_of_day))""",
    """CREATE TABLE life (
    vm_id TEXT NOT NULL, created_at INTEGER NOT NULL, cluster TEXT NOT NULL, memory_mb INTEGER,
    interval_min INTEGER NOT NULL, policy TEXT NOT NULL,
    PRIMARY KEY (vm_id, created_at)) WITHOUT ROWID""",
    """CREATE TABLE placement (
    vm_id TEXT NOT NULL, created_at INTEGER NOT NULL, from_minute INTEGER NOT NULL, host TEXT NOT NULL, vcpus REAL,
    block INTEGER NOT NULL, slot INTEGER NOT NULL,
    PRIMARY KEY (vm_id, created_at, from_minute),
    UNIQUE (block, slot, from_minute),
    FOREIGN KEY (vm_id, created_at) REFERENCES life (vm_id, created_at)) WITHOUT ROWID""",
    """CREATE TABLE forecast_latest (
    block INTEGER PRIMARY KEY, first_minute INTEGER NOT NULL, made_at INTEGER NOT NULL, model TEXT NOT NULL,
    records BLOB NOT NULL)""",
    """CREATE TABLE forecast_log (
    first_minute INTEGER NOT NULL, block INTEGER NOT NULL, model TEXT NOT NULL, made_at INTEGER NOT NULL,
    records BLOB NOT NULL,
    PRIMARY KEY (first_minute, block, model))""",
    # At any minute an id has one life, so (vm_id, start) is (life, start), whatever is learned of its lives later.
    """CREATE TABLE outcome (
    vm_id TEXT NOT NULL, start INTEGER NOT NULL, created_at INTEGER NOT NULL, method TEXT NOT NULL,
    source TEXT NOT NULL, target TEXT NOT NULL, length_s REAL NOT NULL, downtime_ms REAL, result TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (vm_id, start)) WITHOUT ROWID""",
    "CREATE INDEX outcome_start ON outcome (start, vm_id)",
    """CREATE TABLE control (key TEXT PRIMARY KEY, version INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID""",
)


def table_of(metric: str, step_min: int) -> str:
    """`cpu_5m` or `cpu_1h`. BadInput where the metric's name is not [a-z_]+, ValueError where the step is neither."""
    if re.fullmatch("[a-z_]+", metric) is None:
        raise BadInput("metric", expected="a name of a-z and _", got=repr(metric), remedy="The built-in one is cpu.")
    if step_min not in (STEP_MIN, HOUR_MIN):
        raise ValueError(f"step of an aggregate: expected 5 or 60 minutes, got {step_min}")
    return f"{metric}_5m" if step_min == STEP_MIN else f"{metric}_1h"


def metric_tables(metric: str) -> list[str]:
    """What creates a metric's tables where they are not there yet."""
    mean = f"({_byte('b.mean', '2 * slot + 1')} + 256 * {_byte('b.mean', '2 * slot + 2')}) / 100.0"
    words = {"mean": mean, "count": _byte("b.count", "slot + 1")}
    return [
        ddl.substitute(words, table=table_of(metric, step_min), step_min=step_min)
        for step_min in (STEP_MIN, HOUR_MIN)
        for ddl in (_BLOCKS, _REVS, _READABLE)
    ]


def _byte(blob: str, at: str) -> str:
    """SQL for the number in one byte of a blob: SQLite has no ord(), so it is read from its two hex digits."""
    high, low = (f"instr('123456789ABCDEF', substr(hex(substr({blob}, {at}, 1)), {digit}, 1))" for digit in (1, 2))
    return f"(16 * {high} + {low})"


SCHEMA = (*_FIXED, *metric_tables(METRIC_CPU))
