"""Faust apps against the real broker, in one event loop: started, fed, waited for, and asked what they committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import faust
from aiokafka.admin import AIOKafkaAdminClient

from stream.agents import Care
from stream.broker import Membership
from stream.broker_topics import Out, Writer
from stream.kafka import Connection
from stream.worker import Agent, agents_app

LIMIT_S = 30.0


class Buried(list[tuple[bytes, bytes]]):
    """Dead letters, as (key, value)."""

    async def bury(self, key: bytes, value: bytes) -> None:
        self.append((key, value))


def ours(connection: Connection, group: str, agents: Sequence[Agent], buried: Buried) -> faust.App:
    """The app of a forecast worker with these agents; it retries at once."""

    async def no_pause(_s: float) -> None:
        pass

    return agents_app(
        connection, Membership(group, 6_000, 60_000), agents, Care(buried.bury, lambda *_: None, no_pause)
    )


def faust_itself(connection: Connection, group: str) -> faust.App:
    """An app as Faust would have it, but that it stops with events under way and makes no files."""
    app = ours(connection, group, (), Buried())
    assert app.conf.id == group
    return app


@asynccontextmanager
async def running(app: faust.App) -> AsyncIterator[None]:
    """Started for the block; at its end it is stopped, with what is under way."""
    await app.start()
    try:
        yield
    finally:
        async with asyncio.timeout(LIMIT_S):
            await app.stop()


async def until(what: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Wait until it holds; an AssertionError where it does not within half a minute."""
    end_s = time.monotonic() + LIMIT_S
    while True:
        found = what()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < end_s
        await asyncio.sleep(0.05)


async def send(connection: Connection, topic: str, values: Sequence[bytes | None], partition: int = 0) -> None:
    """Put events into one partition of `topic`, in this order."""
    writer = Writer(connection)
    await writer.start()
    await writer.write([Out(topic, b"key", value, partition) for value in values])
    await writer.stop()


async def committed(connection: Connection, group: str, topic: str) -> int:
    """What the group has said of partition 0 of `topic`: the offset it would go on from; 0 where it said nothing."""
    admin = AIOKafkaAdminClient(bootstrap_servers=list(connection.brokers))
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return max((said.offset for place, said in offsets.items() if place.topic == topic), default=0)
