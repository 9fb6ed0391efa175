"""What Faust does with an event that fails, is cancelled or is acknowledged out of order; and what our agents do.

The first half pins facts of Faust 0.15.3 that `stream.worker` keeps away from: should one of them change, it may be
built more simply.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from stream.dead import decode_dead
from stream.kafka import Connection
from stream.kafka_tools import TopicSpec, ensure_topics
from stream.worker import Agent, ask_brokers
from tests.services import Kafka
from tests.stream.faust_apps import Buried, committed, faust_itself, ours, running, send, until

EVENTS = [b"a", b"b", b"bad", b"c", b"d"]


@pytest.fixture
def connection(kafka: Kafka) -> Connection:
    return Connection((kafka.bootstrap,))


@pytest.fixture
def topic(connection: Connection, prefix: str) -> str:
    """A topic of one partition."""
    ensure_topics(connection, [TopicSpec(f"{prefix}events", 1)])
    return f"{prefix}events"


def raw(app: Any, topic: str) -> Any:  # noqa: ANN401 (Faust's own types)
    return app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def test_an_exception_acknowledges_the_event_and_in_take_the_whole_batch(connection: Connection, prefix: str) -> None:
    alone, together = f"{prefix}alone", f"{prefix}together"
    ensure_topics(connection, [TopicSpec(alone, 1), TopicSpec(together, 1)])

    async def trial() -> None:
        for topic in (alone, together):
            await send(connection, topic, EVENTS)
        app = faust_itself(connection, f"{prefix}group")
        seen: list[bytes] = []
        batches: list[list[bytes]] = []

        @app.agent(raw(app, alone))
        async def one_by_one(stream: Any) -> None:  # noqa: ANN401
            async for value in stream:
                seen.append(value)
                if value == b"bad":
                    raise ValueError(value)

        @app.agent(raw(app, together))
        async def batch_by_batch(stream: Any) -> None:  # noqa: ANN401
            async for values in stream.take(3, within=5.0):
                batches.append(values)
                raise ValueError(values)

        async def both_committed() -> bool:
            said = [await committed(connection, f"{prefix}group", topic) for topic in (alone, together)]
            return said[0] == len(EVENTS) and said[1] >= 3

        async with running(app):
            await until(both_committed)
        assert seen == EVENTS
        assert batches[0] == EVENTS[:3]

    asyncio.run(trial())


def test_a_cancellation_acknowledges_the_event(connection: Connection, topic: str) -> None:
    async def trial() -> None:
        await send(connection, topic, EVENTS)
        app = faust_itself(connection, f"{topic}-group")
        began = asyncio.Event()

        @app.agent(raw(app, topic))
        async def endless(stream: Any) -> None:  # noqa: ANN401
            async for _ in stream:
                began.set()
                await asyncio.Event().wait()

        async with running(app):
            await began.wait()
        assert await committed(connection, f"{topic}-group", topic) == 1

    asyncio.run(trial())


def test_out_of_order_the_first_event_under_way_is_committed_over(connection: Connection, topic: str) -> None:
    async def trial() -> None:
        await send(connection, topic, EVENTS)
        app = faust_itself(connection, f"{topic}-group")

        @app.agent(raw(app, topic))
        async def all_but_the_first(stream: Any) -> None:  # noqa: ANN401
            async for event in stream.noack().events():
                if event.value != b"a":
                    event.ack()

        async def committed_over() -> bool:
            return await committed(connection, f"{topic}-group", topic) == len(EVENTS)

        async with running(app):
            await until(committed_over)

    asyncio.run(trial())


def test_our_agents_acknowledge_in_order_and_what_was_handled_only(connection: Connection, prefix: str) -> None:
    topic, witness, group = f"{prefix}events", f"{prefix}witness", f"{prefix}group"
    ensure_topics(connection, [TopicSpec(topic, 1), TopicSpec(witness, 1)])

    async def trial() -> None:
        await send(connection, topic, EVENTS)
        handled: list[bytes] = []
        free = asyncio.Event()

        async def handle(value: bytes) -> None:
            if value == b"a":
                await free.wait()
            handled.append(value)

        async def said(topic: str, offset: int) -> bool:
            return await committed(connection, group, topic) == offset

        agents = [Agent(topic, handle, at_once=True), Agent(witness, handle, at_once=False)]
        app = ours(connection, group, agents, Buried())
        async with running(app):
            await until(lambda: sorted(handled) == [b"b", b"bad", b"c", b"d"])
            for number in (1, 2):  # both partitions are committed together: two commits have come and gone
                await send(connection, witness, [b"w"])
                await until(lambda number=number: said(witness, number))
            assert await said(topic, 0)
            free.set()
            await until(lambda: said(topic, len(EVENTS)))
            assert await ask_brokers(app) == {topic: [0], witness: [0]}

    asyncio.run(trial())


def test_what_waits_when_our_agents_are_stopped_comes_again(connection: Connection, topic: str) -> None:
    async def trial() -> None:
        await send(connection, topic, EVENTS)
        began: list[bytes] = []

        async def endless(value: bytes) -> None:
            began.append(value)
            await asyncio.Event().wait()

        for at_once, those in ((False, EVENTS[:1]), (True, EVENTS)):
            began.clear()
            async with running(ours(connection, f"{topic}-group", [Agent(topic, endless, at_once)], Buried())):
                await until(lambda those=those: sorted(began) == sorted(those))
            assert await committed(connection, f"{topic}-group", topic) == 0

    asyncio.run(trial())


def test_a_poison_event_goes_to_the_dead_and_its_neighbours_go_on(connection: Connection, topic: str) -> None:
    async def trial() -> None:
        await send(connection, topic, [b"a", b"bad", None, b"\xff\x00", b"d"])
        handled: list[bytes] = []
        buried = Buried()

        async def handle(value: bytes) -> None:
            if value == b"bad":
                raise RuntimeError(value)
            handled.append(value)

        async def all_said() -> bool:
            return await committed(connection, f"{topic}-group", topic) == 5

        async with running(ours(connection, f"{topic}-group", [Agent(topic, handle, at_once=False)], buried)):
            await until(all_said)
        assert handled == [b"a", b"\xff\x00", b"d"]
        letters = [decode_dead(key, value) for key, value in buried]
        assert [(letter.offset, letter.reason, letter.value) for letter in letters] == [
            (1, "failed", b"bad"),
            (2, "bad_event", None),
        ]
        assert letters[0].topic == topic
        assert letters[0].key == b"key"
        assert letters[0].timestamp_ms > 1_600_000_000_000

    asyncio.run(trial())


def test_what_was_fetched_as_a_rebalance_began_is_read_again(connection: Connection, prefix: str) -> None:
    """Faust by itself would lose it where the group has committed nothing of the partition yet."""

    async def trial(number: int) -> bool:
        """Whether a fetch was under way at that moment; what it brought must be read again."""
        topic, handled = f"{prefix}events-{number}", list[bytes]()
        ensure_topics(connection, [TopicSpec(topic, 2)])

        async def handle(value: bytes) -> None:
            handled.append(value)

        app = ours(connection, f"{prefix}group-{number}", [Agent(topic, handle, at_once=False)], Buried())
        sought = watched(app.consumer)
        async with running(app):
            await send(connection, topic, [b"first"], partition=1)
            await until(lambda: handled == [b"first"])
            sought.clear()
            app.consumer.stop_flow()  # as a rebalance begins: what a fetch that is under way brings is thrown away
            await send(connection, topic, EVENTS)
            with suppress(TimeoutError):
                await asyncio.wait_for(sought.wait(), 5)
            app.consumer.resume_flow()
            await until(lambda: set(EVENTS) <= set(handled))
        return sought.is_set()

    assert any(asyncio.run(trial(number)) for number in range(5))


def watched(consumer: Any) -> asyncio.Event:  # noqa: ANN401
    """Set when the consumer has sought what is committed."""
    sought, seek = asyncio.Event(), consumer.perform_seek

    async def noted() -> None:
        await seek()
        sought.set()

    consumer.perform_seek = noted
    return sought


def test_our_agents_are_let_in_by_name_and_password_over_tls(kafka: Kafka, connection: Connection, topic: str) -> None:
    secure = Connection((kafka.sasl_bootstrap,), "SASL_SSL", kafka.username, kafka.password, kafka.ca_file)

    async def trial() -> None:
        await send(connection, topic, EVENTS)
        handled: list[bytes] = []

        async def handle(value: bytes) -> None:
            handled.append(value)

        async with running(ours(secure, f"{topic}-group", [Agent(topic, handle, at_once=False)], Buried())):
            await until(lambda: handled == EVENTS)

    asyncio.run(trial())
