"""Forecasts on SQLite: a block's records are one blob, of which a VM's record is read alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from models.fleet import SLOTS
from models.forecast import FORECAST_DTYPE
from models.minutes import Minute, Span
from stream.stores.protocols import ForecastRow, OneForecast
from stream.stores.sqlite import Database

_PUT_LATEST = """INSERT INTO forecast_latest (block, first_minute, made_at, model, records) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (block) DO UPDATE SET first_minute = excluded.first_minute, made_at = excluded.made_at,
    model = excluded.model, records = excluded.records
    WHERE (excluded.first_minute, excluded.made_at) >= (forecast_latest.first_minute, forecast_latest.made_at)"""
_PUT_LOG = """INSERT INTO forecast_log (block, first_minute, made_at, model, records) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (first_minute, block, model) DO UPDATE SET made_at = excluded.made_at, records = excluded.records
    WHERE excluded.made_at >= forecast_log.made_at"""
_HEAD = "SELECT first_minute, made_at, model FROM forecast_latest WHERE block = ?"
_LATEST = "SELECT block, first_minute, made_at, model, records FROM forecast_latest ORDER BY block"
_LOGGED = """SELECT block, first_minute, made_at, model, records FROM forecast_log
    WHERE first_minute >= ? AND first_minute < ? ORDER BY first_minute, block, model"""
_LOGGED_OF = """SELECT block, first_minute, made_at, model, records FROM forecast_log
    WHERE first_minute >= ? AND first_minute < ? AND block IN (SELECT value FROM json_each(?))
    ORDER BY first_minute, block, model"""


class SqliteForecasts:
    """`protocols.Forecasts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, rows: Sequence[ForecastRow], *, log: bool) -> None:
        """See the protocol."""
        values = [(row.block, row.first_minute, row.made_at, row.model, _blob(row)) for row in rows]
        with self._database.write() as connection:
            connection.executemany(_PUT_LATEST, values)
            if log:
                connection.executemany(_PUT_LOG, values)

    def get(self, places: Sequence[tuple[int, int]]) -> list[OneForecast | None]:
        """See the protocol."""
        by_block: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for i, (block, slot) in enumerate(places):
            if not 0 <= slot < SLOTS:
                raise ValueError(f"slot of a forecast: expected 0 to {SLOTS - 1}, got {slot}")
            by_block[block].append((slot, i))
        answers: list[OneForecast | None] = [None] * len(places)
        with self._database.read() as connection:
            for block, slots in by_block.items():
                head = connection.execute(_HEAD, (block,)).fetchone()
                if head is None:
                    continue
                first_minute, made_at, model = head
                with connection.blobopen("forecast_latest", "records", block, readonly=True) as blob:
                    for slot, i in slots:
                        blob.seek(slot * FORECAST_DTYPE.itemsize)
                        record = np.frombuffer(blob.read(FORECAST_DTYPE.itemsize), FORECAST_DTYPE)[0]
                        answers[i] = OneForecast(first_minute, made_at, model, record)
        return answers

    def latest(self) -> Iterator[ForecastRow]:
        """See the protocol."""
        with self._database.read() as connection:
            for row in connection.execute(_LATEST):
                yield _row(*row)

    def logged(self, span: Span, blocks: Sequence[int] | None = None) -> Iterator[ForecastRow]:
        """See the protocol."""
        query, values = (_LOGGED, span) if blocks is None else (_LOGGED_OF, (*span, json.dumps(list(blocks))))
        with self._database.read() as connection:
            for row in connection.execute(query, values):
                yield _row(*row)


def _blob(row: ForecastRow) -> bytes:
    if row.records.shape != (SLOTS,) or row.records.dtype != FORECAST_DTYPE:
        got = f"{row.records.shape} of {row.records.dtype}"
        raise ValueError(f"records of a forecast: expected {SLOTS} of FORECAST_DTYPE, got {got}")
    return row.records.tobytes()


def _row(block: int, first_minute: Minute, made_at: Minute, model: str, records: bytes) -> ForecastRow:
    return ForecastRow(block, first_minute, made_at, model, np.frombuffer(records, FORECAST_DTYPE))
