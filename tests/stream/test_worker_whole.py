"""Whole workers as processes on a real broker: what goes in by Kafka or HTTP, and what is in the stores afterwards."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from models.minutes import Clock, Span
from stream.broker_topics import Out, Writer
from stream.clock import write_clock
from stream.dead import decode_dead
from stream.events import HourClosed, ModelReleased, encode_event
from stream.kafka import Connection, topics_of
from stream.kafka_tools import Record, ensure_topics, own_topics, read_topic, samples_topic
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import METRIC_CPU, Migration
from tests.services import Kafka, broker
from tests.stream.remote_write import MS, packed, series
from tests.stream.small_fleet import BORN, DAY, END, NOW, fill
from tests.stream.worker_processes import Process, started, until, write_config, zhuge

pytestmark = pytest.mark.slow  # a process of Faust's takes seconds to begin
HOST_REPORTS = '[sources.hosts]\ntopic = "{topic}"\nformat = "host-json"\nunit = "{unit}"\n'
ALL_TIME = Span(0, 10**8)


@pytest.fixture
def connection(kafka: Kafka) -> Connection:
    return Connection((kafka.bootstrap,))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of stores as `--data` lays them out, with the small fleet, its clock standing at 12:07."""
    folder = tmp_path / "data"
    folder.mkdir()
    stores = fill(folder)
    write_clock(stores.control, Clock(0.0, float(NOW), 0.0))
    stores.close()
    (folder / "fleet.sqlite").rename(folder / "zhuge.sqlite")
    return folder


@pytest.fixture
def stores(data: Path) -> Iterator[Stores]:
    url = f"sqlite:{data / 'zhuge.sqlite'}"
    opened = open_stores(url, url, url)
    yield opened
    opened.close()


def send(connection: Connection, topic: str, values: Sequence[bytes | None], key: bytes | None = b"key") -> None:
    async def sent() -> None:
        writer = Writer(connection)
        await writer.start()
        await writer.write([Out(topic, key, value) for value in values])
        await writer.stop()

    asyncio.run(sent())


def records(connection: Connection, topic: str, count: int) -> list[Record]:
    """What the topic holds, once it is so much."""

    def enough() -> list[Record]:
        found = list(read_topic(connection, topic))
        return found if len(found) >= count else []

    return until(enough)


def count_of(process: Process, name: str, value: float) -> None:
    until(lambda: process.metrics().get(name, 0.0) >= value)


def test_a_forecast_worker_attends_to_events(
    connection: Connection, prefix: str, data: Path, stores: Stores, tmp_path: Path
) -> None:
    topics = topics_of(prefix)
    moved = Migration(DAY, END - 100, "pre-copy", "host-a", "host-b", 12.5, 37.25, "done")
    ensure_topics(connection, own_topics(topics))
    send(connection, topics.outcomes, [encode_event(moved), b"no\x1bjson", encode_event(moved), None])
    write_clock(stores.control, Clock(0.0, float(NOW + 60), 0.0))
    config = write_config(tmp_path, connection.brokers[0], prefix)
    with started(zhuge(data, config, "worker", "forecast"), tmp_path) as process:
        health = until(lambda: found if len((found := process.well())["partitions"]) == 3 else None)
        assert health["partitions"][topics.models] == [0]
        send(connection, topics.hours, [encode_event(HourClosed(END, 0, (0, 1))), b"{}"])
        send(connection, topics.models, [encode_event(ModelReleased(7))])
        count_of(process, 'zhuge_forecast_runs_total{result="ok"}', 1)
        count_of(process, f'zhuge_events_total{{result="handled",topic="{topics.hours}"}}', 1)
        count_of(process, f'zhuge_events_total{{result="handled",topic="{topics.outcomes}"}}', 2)
        count_of(process, f'zhuge_events_total{{result="handled",topic="{topics.models}"}}', 1)
        letters = [
            decode_dead(record.key, record.value or b"") for record in records(connection, topics.events_dead, 3)
        ]
        code, took_s = process.stop()
        assert code == 130
        assert took_s < 8
        process.lines()
    assert {row.first_minute for row in stores.forecasts.latest()} == {END + 60}
    assert [(known.created_at, known.migration.start) for known in stores.outcomes.read(ALL_TIME)] == [
        (BORN, END - 100)
    ]
    assert sorted((letter.topic, letter.value) for letter in letters if letter.value) == [
        (topics.hours, b"{}"),
        (topics.outcomes, b"no\x1bjson"),
    ]
    assert {letter.reason for letter in letters} == {"bad_event"}


def test_hours_that_closed_while_no_worker_ran_are_forecast_without_an_event(
    connection: Connection, prefix: str, data: Path, stores: Stores, tmp_path: Path
) -> None:
    assert stores.control.apply([("watermark/0", 0, json.dumps({"minute": END + 63}))])
    write_clock(stores.control, Clock(0.0, float(END + 64), 0.0))
    config = write_config(tmp_path, connection.brokers[0], prefix)
    with started(zhuge(data, config, "worker", "forecast"), tmp_path):
        until(lambda: {row.first_minute for row in stores.forecasts.latest()} == {END + 60})


def reports(minutes: range) -> list[bytes]:
    """A report a minute of one host with two VMs."""
    return [
        json.dumps({"host": "h-1", "ts": minute * 60, "vm": ["vm-a", "vm-b"], "cpu": [10.0, 20.0]}).encode()
        for minute in minutes
    ]


def test_an_ingest_worker_takes_samples_and_tells_of_the_hour(
    connection: Connection, prefix: str, tmp_path: Path
) -> None:
    topics, topic = topics_of(prefix), f"{prefix}cpu"
    ensure_topics(connection, [samples_topic(topic, 2), *own_topics(topics)])
    hour = int(time.time()) // 3600 * 60 - 120
    send(connection, topic, [*reports(range(hour, hour + 70)), b"poison\n"], key=b"h-1")
    more = HOST_REPORTS.format(topic=topic, unit="percent")
    config = write_config(tmp_path, connection.brokers[0], prefix, more)
    with started(zhuge(tmp_path / "data", config, "worker", "ingest", "--port", "0"), tmp_path) as process:
        starts = [json.loads(event.value or b"")["start"] for event in records(connection, topics.hours, 1)]
        assert starts[0] == hour  # the next one, of ten minutes, closes by the clock
        assert set(starts) <= {hour, hour + 60}
        (letter,) = records(connection, topics.dead, 1)
        assert decode_dead(letter.key, letter.value or b"").value == b"poison\n"
        count_of(process, 'zhuge_samples_total{result="accepted"}', 140)
        health = until(lambda: found if len((found := process.well())["partitions"]) == 2 else None)
        assert any(part["watermark"] for part in health["partitions"].values())
        assert process.metrics()["zhuge_messages_total"] == 71
        assert process.metrics()["zhuge_batch_messages_count"] >= 1
        code, took_s = process.stop()
        assert code == 130
        assert took_s < 8
        process.lines()
    url = f"sqlite:{tmp_path / 'data' / 'zhuge.sqlite'}"
    stored = open_stores(url, url, url)
    cells = stored.series.read(METRIC_CPU, 60, [0], Span(hour, hour + 60))
    stored.close()
    assert sorted(cells.mean[0][cells.count[0] == 60].tolist()) == [10.0, 20.0]


def test_a_receiver_writes_to_its_source(connection: Connection, prefix: str, tmp_path: Path) -> None:
    topic = f"{prefix}cpu"
    ensure_topics(connection, [samples_topic(topic, 1)])
    receive = '[receive]\nmetric = "cpu_seconds_total"\nport = 0\n'
    more = receive + HOST_REPORTS.format(topic=topic, unit="core_seconds")
    config = write_config(tmp_path, connection.brokers[0], prefix, more)
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    with started(zhuge(tmp_path / "data", config, "worker", "receive"), tmp_path) as process:
        url = process.url()
        body = packed(series("vm-a", "h-1", (1.5, MS), (2.5, MS + 60_000)))
        assert httpx.post(f"{url}/api/v1/write", content=body, headers=headers).status_code == 204
        assert httpx.post(f"{url}/api/v1/write", content=b"x", headers=headers).status_code == 400
        assert process.health()[0] == 200
        assert process.metrics()['zhuge_received_total{what="samples"}'] == 2
        written = records(connection, topic, 1)
        assert {record.key for record in written} == {b"h-1"}
        assert process.stop(signal.SIGTERM)[0] == 130
        process.lines()


def test_a_broker_that_dies_and_comes_back_costs_no_event_and_holds_up_no_end(
    data: Path, stores: Stores, tmp_path: Path
) -> None:
    with broker(tmp_path / "broker") as own:
        connection, topics = Connection((own.bootstrap,)), topics_of("x.")
        config = write_config(tmp_path, own.bootstrap, "x.")
        moved = Migration(DAY, END - 100, "pre-copy", "host-a", "host-b", 12.5, 37.25, "done")
        with started(zhuge(data, config, "worker", "forecast"), tmp_path) as process:
            until(lambda: len(process.well()["partitions"]) == 3)
            own.kill()
            until(lambda: process.health()[0] == 503)
            own.start()
            send(connection, topics.outcomes, [encode_event(moved)])
            until(lambda: stores.outcomes.of(DAY))
            process.well()
            own.kill()
            until(lambda: process.health()[0] == 503)
            code, took_s = process.stop()
            assert code == 130
            assert took_s < 15
            assert len(process.lines()) < 200  # Faust and aiokafka say forty a second


def test_a_worker_killed_with_events_in_its_hands_loses_none(
    connection: Connection, prefix: str, data: Path, stores: Stores, tmp_path: Path
) -> None:
    topics = topics_of(prefix)
    ensure_topics(connection, own_topics(topics))
    config = write_config(tmp_path, connection.brokers[0], prefix)
    command = zhuge(data, config, "worker", "forecast")
    moves = [Migration(DAY, END - n, "cold", "host-a", "host-b", 1.0, None, "done") for n in range(200)]
    with started(command, tmp_path) as first, started(command, tmp_path) as second:
        until(lambda: first.well()["partitions"] and second.well()["partitions"])
        with closing(sqlite3.connect(data / "zhuge.sqlite", isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")  # so that every event waits for the store
            send(connection, topics.outcomes, [encode_event(move) for move in moves], key=None)
            retried = f'zhuge_events_total{{result="retried",topic="{topics.outcomes}"}}'
            count_of(first, retried, 1)
            count_of(second, retried, 1)
            first.process.kill()
            lock.execute("ROLLBACK")
        until(lambda: len(stores.outcomes.of(DAY)) == len(moves))
        assert second.stop()[0] == 130
    assert list(read_topic(connection, topics.events_dead)) == []
