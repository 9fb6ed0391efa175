"""Topics full of samples for the benchmarks. Loading is not measured: whole batches are encoded here, and sent as such.

Every VM reports once a minute, its host at a second of its own. `closed` adds a last message a partition, so far ahead
that it closes everything before it: then all that was loaded can be told to have been stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from aiokafka import AIOKafkaProducer

from models.minutes import HOUR_MIN, Minute
from stream.kafka import Connection
from stream.kafka_tools import ensure_topics, partition_of, samples_topic

VMS_A_HOST = 25
PARTITIONS = 4
START: Minute = 29_552_400 + 40  # 20 minutes before a full hour, long ago
HOSTS_A_BATCH = 40  # of Arrow: 1,000 rows a message
FACES = 4  # different values that a VM has, one a minute, in turn
BATCH_BYTES = 900_000  # a broker takes 1 MiB
UNDER_WAY = 64  # batches sent and not yet acknowledged


@dataclass(frozen=True, slots=True)
class Load:
    """What a topic holds: `minutes` of `vms` VMs in a wire format. `poisoned`: a bad message follows each good one."""

    topic: str
    form: str
    vms: int
    minutes: int
    poisoned: bool = False
    first: Minute = START

    @property
    def hosts(self) -> int:
        return self.vms // VMS_A_HOST

    @property
    def samples(self) -> int:
        """Good ones, without those that close."""
        return self.vms * self.minutes

    @property
    def closing(self) -> Minute:
        """Every span before it is over, whatever the delay."""
        return (self.first + self.minutes) // HOUR_MIN * HOUR_MIN + HOUR_MIN + 15


class Loaded(NamedTuple):
    """What lies in the topic, and how many messages that is."""

    load: Load
    messages: int


class Row(NamedTuple):
    """One message as it will be."""

    key: bytes | None
    value: bytes
    ts_s: int


Rows = Callable[[Minute, Sequence[int]], Iterator[Row]]  # of a minute and the hosts of a partition, by their second


class Fleet(NamedTuple):
    """Who reports: names as JSON, the second of each host, and its values' JSON as `cpu[face][host]`."""

    names: list[bytes]
    vms: list[list[str]]
    second: list[int]
    cpu: list[list[list[float]]]


def fleet_of(load: Load) -> Fleet:
    rng = np.random.default_rng(1)
    count = load.hosts
    cpu = np.minimum(np.round(rng.gamma(2.0, 10.0, (FACES, count, VMS_A_HOST)), 2), 100.0)
    return Fleet(
        [b"host-%05d" % host for host in range(count)],
        [[f"vm-{host * VMS_A_HOST + k:07d}" for k in range(VMS_A_HOST)] for host in range(count)],
        rng.integers(0, 60, count).tolist(),
        cpu.tolist(),
    )


def fill(connection: Connection, load: Load) -> Loaded:
    """Make the topic and load it. StoreError where the broker is not there."""
    ensure_topics(connection, [samples_topic(load.topic, PARTITIONS)])
    return Loaded(load, asyncio.run(_send(connection, load, range(load.first, load.first + load.minutes), whole=True)))


def closed(connection: Connection, loaded: Loaded) -> Loaded:
    """One message more a partition, after which everything before it is stored."""
    more = asyncio.run(_send(connection, loaded.load, range(loaded.load.closing, loaded.load.closing + 1), whole=False))
    return Loaded(loaded.load, loaded.messages + more)


def grown(connection: Connection, loaded: Loaded) -> Loaded:
    """One minute more."""
    load = replace(loaded.load, minutes=loaded.load.minutes + 1)
    end = loaded.load.first + load.minutes
    return Loaded(load, loaded.messages + asyncio.run(_send(connection, load, range(end - 1, end), whole=True)))


async def _send(connection: Connection, load: Load, minutes: range, *, whole: bool) -> int:
    """Messages sent: of every host in these minutes, or just one message a partition."""
    fleet = fleet_of(load)
    rows = _rows_of(load, fleet)
    order = np.argsort(fleet.second, kind="stable").tolist()
    partitions = [partition_of(name, PARTITIONS) for name in fleet.names]
    mine = [[host for host in order if partitions[host] == partition] for partition in range(PARTITIONS)]
    options = {"max_batch_size": BATCH_BYTES, "max_request_size": 2 * BATCH_BYTES}
    async with AIOKafkaProducer(bootstrap_servers=list(connection.brokers), **options) as producer:
        pump = _Pump(producer, load.topic)
        for minute in minutes:
            for partition, hosts in enumerate(mine):
                await pump.send(partition, rows(minute, hosts) if whole else islice(rows(minute, hosts[:1]), 1))
        await pump.finish()
    return pump.sent


class _Pump:
    """Rows into batches, a few of which are under way at once."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self.sent = 0
        self._producer, self._topic = producer, topic
        self._under_way: list[Any] = []

    async def send(self, partition: int, rows: Iterable[Row]) -> None:
        batch = self._producer.create_batch()
        append, count = batch.append, 0
        for key, value, ts_s in rows:
            if append(key=key, value=value, timestamp=ts_s * 1000) is None:
                await self._go(partition, batch)
                batch = self._producer.create_batch()
                append = batch.append
                append(key=key, value=value, timestamp=ts_s * 1000)
            count += 1
        self.sent += count
        if batch.record_count():
            await self._go(partition, batch)

    async def finish(self) -> None:
        await asyncio.gather(*self._under_way)

    async def _go(self, partition: int, batch: object) -> None:
        self._under_way.append(await self._producer.send_batch(batch, self._topic, partition=partition))
        if len(self._under_way) >= UNDER_WAY:
            await asyncio.gather(*self._under_way)
            self._under_way.clear()


def _rows_of(load: Load, fleet: Fleet) -> Rows:
    match load.form:
        case "json":
            return partial(_singles, fleet)
        case "host-json":
            heads = [
                b'{"host":"%s","vm":%s,"ts":' % (name, msgspec.json.encode(vms))
                for name, vms in zip(fleet.names, fleet.vms, strict=True)
            ]
            tails = [[b',"cpu":%s}' % msgspec.json.encode(row) for row in face] for face in fleet.cpu]
            good = partial(_reports, fleet, heads, tails)
            return partial(_half_bad, good) if load.poisoned else good
        case "arrow":
            return partial(_batches, fleet)
    raise ValueError(f"form: expected json, host-json or arrow, got {load.form!r}")


def _reports(
    fleet: Fleet, heads: list[bytes], tails: list[list[bytes]], minute: Minute, hosts: Sequence[int]
) -> Iterator[Row]:
    face = tails[minute % FACES]
    for host in hosts:
        ts_s = minute * 60 + fleet.second[host]
        yield Row(fleet.names[host], heads[host] + b"%d" % ts_s + face[host], ts_s)


def _half_bad(good: Rows, minute: Minute, hosts: Sequence[int]) -> Iterator[Row]:
    """After each good report a bad one, as broken collectors send them: cut off, mistyped, uneven, not JSON at all."""
    for index, row in enumerate(good(minute, hosts)):
        yield row
        match index % 4:
            case 0:
                bad = row.value[: len(row.value) // 2]
            case 1:
                bad = row.value.replace(b'"cpu":[', b'"cpu":["n/a",', 1)
            case 2:
                bad = row.value.replace(b'"cpu":[', b'"cpu":[0.0,', 1)
            case _:
                bad = b"\xff\xfe" + row.value
        yield Row(row.key, bad, row.ts_s)


def _singles(fleet: Fleet, minute: Minute, hosts: Sequence[int]) -> Iterator[Row]:
    face = fleet.cpu[minute % FACES]
    for host in hosts:
        ts_s, name = minute * 60 + fleet.second[host], fleet.names[host]
        middle = b'","host":"%s","ts":%d,"cpu":' % (name, ts_s)
        for vm_id, value in zip(fleet.vms[host], face[host], strict=True):
            yield Row(name, b'{"vm":"%s%s%.2f}' % (vm_id.encode(), middle, value), ts_s)


def _batches(fleet: Fleet, minute: Minute, hosts: Sequence[int]) -> Iterator[Row]:
    face = fleet.cpu[minute % FACES]
    for first in range(0, len(hosts), HOSTS_A_BATCH):
        some = hosts[first : first + HOSTS_A_BATCH]
        seconds = np.array([minute * 60 + fleet.second[host] for host in some], dtype=np.int64)
        columns = {
            "vm": pa.array([vm_id for host in some for vm_id in fleet.vms[host]]),
            "host": pa.array([fleet.names[host].decode() for host in some for _ in range(VMS_A_HOST)]),
            "ts": pa.array(np.repeat(seconds, VMS_A_HOST)),
            "cpu": pa.array([value for host in some for value in face[host]], pa.float32()),
        }
        batch = pa.record_batch(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield Row(None, sink.getvalue().to_pybytes(), int(seconds[0]))
