"""A member of the group on a real broker: samples in; aggregates, letters, events and commits out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from models.fleet import VmRecord
from models.minutes import Span
from stream.broker import Membership
from stream.broker_topics import Out, Writer
from stream.dead import decode_dead
from stream.due import Rules
from stream.events import HourClosed, decode_event
from stream.inventory import encode_record
from stream.joining import joined
from stream.kafka import Connection, topics_of
from stream.kafka_tools import ensure_topics, own_topics, partition_of, read_topic, samples_topic
from stream.plumbing import Plumbing, Step
from stream.session import Session
from stream.sources import Declared
from stream.stores.history import read_steps
from stream.stores.open import Stores
from stream.wire_base import Wire
from tests.services import Kafka
from tests.stream.fakes import following

START = 60 * 30_000
LIMIT_S = 60
PARTITIONS = 2


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    yield from following(tmp_path)


@pytest.fixture
def plumbing(kafka: Kafka, prefix: str, stores: Stores) -> Plumbing:
    connection = Connection((kafka.bootstrap,))
    topics = topics_of(prefix)
    ensure_topics(connection, [*own_topics(topics), samples_topic(prefix + "samples", PARTITIONS)])
    return Plumbing(
        source=Declared("hosts", prefix + "samples", connection, Wire("host-json")),
        own=connection,
        topics=topics,
        member=Membership(prefix + "group", session_timeout_ms=6_000, metadata_max_age_ms=500),
        stores=stores,
        rules=Rules(),
    )


def report(plumbing: Plumbing, host: str, minute: int, cpu: dict[str, float], second: int = 0) -> Out:
    value = {"host": host, "ts": minute * 60 + second, "vm": [*cpu], "cpu": [*cpu.values()]}
    return message(plumbing, host, json.dumps(value).encode())


def message(plumbing: Plumbing, host: str, value: bytes) -> Out:
    return Out(plumbing.source.topic, host.encode(), value, partition_of(host.encode(), PARTITIONS))


async def send(plumbing: Plumbing, *messages: Out) -> None:
    writer = Writer(plumbing.own)
    await writer.start()
    await writer.write(messages)
    await writer.stop()


@asynccontextmanager
async def session_of(plumbing: Plumbing, steps: list[Step] | None = None) -> AsyncIterator[Session]:
    async with joined(plumbing, (steps if steps is not None else []).append) as session:
        yield session


async def caught_up(session: Session, parts: int = PARTITIONS) -> None:
    """Turn until everything that is in the log was taken, told and committed."""
    while len(session.ingest.parts) < parts or len(session.lag) < parts or any(session.lag.values()):
        await session.turn()
    session.lag.clear()
    while len(session.lag) < parts or any(session.lag.values()):  # and once more, as the broker says now
        await session.turn()
    await session.finish()


def within(work: Callable[[], object]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await work()  # type: ignore[misc]

    asyncio.run(limited())


def steps_of(stores: Stores, vm_id: str, span: Span, step_min: int = 5) -> tuple[list[float], list[int]]:
    mean, count = read_steps(stores.series, stores.catalogue.find([vm_id])[vm_id], step_min, span)
    return mean.tolist(), count.tolist()


def hours_of(plumbing: Plumbing, host: str, cpu: dict[str, float], minutes: range) -> list[Out]:
    return [report(plumbing, host, START + minute, cpu) for minute in minutes]


def test_reports_become_aggregates_events_and_commits(plumbing: Plumbing, stores: Stores) -> None:
    steps: list[Step] = []

    async def work() -> None:
        await send(plumbing, *hours_of(plumbing, "h1", {"a": 10.0, "b": 0.0}, range(64)))
        async with session_of(plumbing, steps) as session:
            await caught_up(session)
            assert session.counts()["accepted"] == 128
            assert session.coverage == 1.0

    within(work)
    assert steps_of(stores, "a", Span(START, START + 60), 60) == ([10], [60])
    assert steps_of(stores, "b", Span(START, START + 10)) == ([0, 0], [5, 5])
    [event] = [
        decode_event(HourClosed, record.value or b"") for record in read_topic(plumbing.own, plumbing.topics.hours)
    ]
    assert (event.start, event.blocks) == (START, (0,))
    assert sum(step.messages for step in steps) == 64
    committed = json.loads((stores.control.get(f"offset/{event.part}") or pytest.fail("no offset")).value)
    assert committed == {"offset": 0, "handled": 64, "floor": START}


def test_bad_messages_and_impossible_samples_are_letters_and_late_ones_go_to_their_topic(
    plumbing: Plumbing, stores: Stores
) -> None:
    async def work() -> None:
        await send(
            plumbing,
            report(plumbing, "h1", START + 300, {"a": 1.0}),
            message(plumbing, "h1", b'{"host": "h1", "ts": '),
            report(plumbing, "h1", START + 301, {"a": -1.0, "b": 2.0}),
            report(plumbing, "h1", START + 302, {"a": 5.0}),
        )
        async with session_of(plumbing) as session:
            await caught_up(session)
            await send(plumbing, report(plumbing, "h1", START, {"a": 3.0}))
            await caught_up(session)
            counts = session.counts()
            assert (counts["accepted"], counts["impossible"], counts["late"]) == (3, 1, 1)
            assert counts["dead_messages_malformed"] == counts["dead_messages_impossible"] == 1

    within(work)
    dead = [decode_dead(r.key, r.value or b"") for r in read_topic(plumbing.own, plumbing.topics.dead)]
    assert [(letter.offset, letter.reason, letter.detail) for letter in dead if letter.reason == "impossible"] == [
        (2, "impossible", "1 of its 2 samples")
    ]
    assert [(letter.offset, letter.value) for letter in dead if letter.reason == "malformed"] == [
        (1, b'{"host": "h1", "ts": ')
    ]
    [late] = [decode_dead(r.key, r.value or b"") for r in read_topic(plumbing.own, plumbing.topics.late)]
    assert (late.offset, late.reason) == (4, "late")


def test_a_successor_replays_in_silence_and_ends_where_one_run_would_have(plumbing: Plumbing, stores: Stores) -> None:
    async def work() -> None:
        await send(plumbing, *hours_of(plumbing, "h1", {"a": 20.0}, range(30)), message(plumbing, "h1", b"poison"))
        async with session_of(plumbing) as first:
            await caught_up(first)
        await send(plumbing, *hours_of(plumbing, "h1", {"a": 40.0}, range(30, 70)), message(plumbing, "h1", b"poison"))
        async with session_of(plumbing) as second:
            await caught_up(second)
            assert second.counts()["accepted"] == 40
            assert second.counts()["dead_messages_malformed"] == 1

    within(work)
    assert steps_of(stores, "a", Span(START, START + 60), 60) == ([30], [60])
    assert len(list(read_topic(plumbing.own, plumbing.topics.dead))) == 2


def test_two_members_share_the_partitions_and_a_vm_that_moves_between_them_has_one_history(
    plumbing: Plumbing, stores: Stores
) -> None:
    hosts = {partition_of(host.encode(), PARTITIONS): host for host in ("h0", "h1", "h2", "h3", "h4")}

    async def work() -> None:
        async with session_of(plumbing) as first, session_of(plumbing) as second:
            while [len(s.ingest.parts) for s in (first, second)] != [1, 1]:
                await asyncio.gather(first.turn(), second.turn())
            await send(plumbing, *hours_of(plumbing, hosts[0], {"a": 10.0, "x": 1.0}, range(40)))
            await asyncio.gather(caught_up(first, 1), caught_up(second, 1))
            await send(
                plumbing,
                *hours_of(plumbing, hosts[1], {"a": 40.0, "y": 1.0}, range(40, 70)),
                *hours_of(plumbing, hosts[0], {"x": 1.0}, range(40, 70)),
            )
            await asyncio.gather(caught_up(first, 1), caught_up(second, 1))

    within(work)
    assert len(stores.catalogue.find(["a"])["a"].placements) == 2
    assert steps_of(stores, "a", Span(START, START + 60), 60) == ([20], [60])
    assert steps_of(stores, "x", Span(START, START + 60), 60) == ([1], [60])


def test_the_inventory_is_read_before_the_first_sample_and_gives_the_size_of_a_vm(
    plumbing: Plumbing, stores: Stores
) -> None:
    cores = replace(plumbing, source=plumbing.source._replace(wire=Wire("host-json", "core_percent")))

    async def work() -> None:
        key, value = encode_record(VmRecord("a", "h1", START, START, vcpus=4, cluster="c1"))
        await send(cores, Out(cores.topics.inventory, key, value))
        await send(cores, *hours_of(cores, "h1", {"a": 200.0, "b": 100.0}, range(70)))
        async with session_of(cores) as session:
            await caught_up(session)
            assert session.counts()["no_vcpus"] == 70

    within(work)
    assert steps_of(stores, "a", Span(START, START + 60), 60) == ([50], [60])
    assert stores.catalogue.find(["a"])["a"].life.cluster == "c1"


def test_an_inventory_record_that_comes_after_its_samples_is_applied_by_replay(
    plumbing: Plumbing, stores: Stores
) -> None:
    async def work() -> None:
        await send(plumbing, *hours_of(plumbing, "h1", {"a": 10.0}, range(40)))
        async with session_of(plumbing) as session:
            await caught_up(session)
            key, value = encode_record(VmRecord("a", "h1", START + 22, START + 22, vcpus=4))
            await send(plumbing, Out(plumbing.topics.inventory, key, value))
            while stores.catalogue.find(["a"])["a"].life.created_at != START + 22:
                await session.turn()
            await send(plumbing, *hours_of(plumbing, "h1", {"a": 10.0}, range(40, 70)))
            await caught_up(session)

    within(work)
    old, new = stores.catalogue.lives()
    assert (old.life.created_at, new.life.created_at) == (START, START + 22)
    assert read_steps(stores.series, new, 60, Span(START, START + 60))[1].tolist() == [38]
    assert read_steps(stores.series, old, 60, Span(START, START + 60))[1].tolist() == [22]
    assert read_steps(stores.series, old, 5, Span(START + 20, START + 30))[1].tolist() == [2, 0]
    assert read_steps(stores.series, new, 5, Span(START + 20, START + 30))[1].tolist() == [3, 5]
