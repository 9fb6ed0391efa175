"""How a session begins and ends: what is known of the fleet is read whole, then the group is joined, then left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from stream.broker import GroupReader
from stream.broker_topics import Follower, Writer
from stream.ingest import Ingest
from stream.kafka_source import KafkaSource
from stream.plumbing import Plumbing, Step
from stream.roster import Roster
from stream.session import MOST_MESSAGES, WAIT_MS, Parts, Session


@asynccontextmanager
async def joined(plumbing: Plumbing, observe: Callable[[Step], None]) -> AsyncIterator[Session]:
    """Read what is known of the fleet, join the group, and leave it at the end. StoreError where one is not there."""
    with ThreadPoolExecutor(1, "firehose") as thread:
        source = KafkaSource(plumbing.source.topic, plumbing.source.wire)
        make = partial(Ingest, source, plumbing.stores, plumbing.rules, time.time)
        ingest = await asyncio.get_running_loop().run_in_executor(thread, make)
        writer, follower = Writer(plumbing.own), Follower(plumbing.own)
        reader = GroupReader(plumbing.source.connection, plumbing.source.topic, plumbing.member)
        async with AsyncExitStack() as stack:
            await writer.start()
            stack.push_async_callback(writer.stop)
            await follower.start(whole=plumbing.topics.inventory, news=plumbing.topics.placements)
            stack.push_async_callback(follower.stop)
            roster = Roster(plumbing.topics, ingest)
            while not await follower.caught_up():
                roster.hear(await follower.fetch(WAIT_MS, MOST_MESSAGES), 0)
            session = Session(plumbing, observe, Parts(thread, source, ingest, writer, follower, roster, reader))
            await reader.start(session.revoked)
            stack.push_async_callback(reader.stop)
            yield session
