"""What reads and writes topics without a group, by aiokafka: a follower of whole topics, and a writer of batches."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from stream.broker import away, options_of
from stream.kafka import Connection
from stream.wire_base import Message

METADATA_S = 30
BATCH_BYTES = 900 * 1024  # below a broker's usual 1 MiB a batch


class Out(NamedTuple):
    """A message to be written. Those of one `spread` lie in one partition, in their order; None: where the key belongs.

    Many messages with a `spread` cost a tenth of the same ones without.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    spread: int | None = None


class Follower:
    """Reads whole topics from their start, or from their end, and then goes on; in no group."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(self, whole: str, news: str) -> None:
        """Read topic `whole` from its start and `news` from now on. StoreError where the broker does not answer."""
        # Without a group aiokafka puts itself where `auto_offset_reset` says, and may do so after it was sought.
        self._consumer = AIOKafkaConsumer(
            whole,
            news,
            group_id=None,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,  # whoever asks for the topics' ends waits behind a fetch
            **options_of(self._connection),
        )
        try:
            await self._consumer.start()
            places = await self._places({whole, news})
            await self._consumer.seek_to_beginning(*(place for place in places if place.topic == whole))
            await self._consumer.seek_to_end(*(place for place in places if place.topic == news))
            for place in places:
                await self._consumer.position(place)
        except (KafkaError, TimeoutError) as error:
            await self._consumer.stop()
            raise away(self._connection, error) from error

    async def stop(self) -> None:
        """Close the connection."""
        await self._consumer.stop()

    async def caught_up(self) -> bool:
        """Whether everything that the topics have was read. StoreError where the broker does not answer."""
        places = list(self._consumer.assignment())
        try:
            async with asyncio.timeout(5):
                ends = await self._consumer.end_offsets(places)
                return all([await self._consumer.position(p) >= ends[p] for p in places])
        except (KafkaError, TimeoutError) as error:
            raise away(self._connection, error) from error

    async def fetch(self, wait_ms: int, most: int) -> list[tuple[str, Message]]:
        """What has come, as (topic, message)."""
        found = await self._consumer.getmany(timeout_ms=wait_ms, max_records=most)
        return [(place.topic, message) for place, messages in found.items() for message in messages]

    async def _places(self, topics: set[str]) -> frozenset[TopicPartition]:
        """Every partition of the topics; without a group, aiokafka assigns them a moment after it has started."""
        async with asyncio.timeout(METADATA_S):
            while {place.topic for place in self._consumer.assignment()} != topics:
                await asyncio.sleep(0.02)
        return frozenset(self._consumer.assignment())


class Writer:
    """Writes messages and returns when the broker has them all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._producer = AIOKafkaProducer(
            **options_of(connection), acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES, linger_ms=5
        )

    async def start(self) -> None:
        """Connect. StoreError where the broker does not answer."""
        try:
            await self._producer.start()
        except KafkaError as error:
            await self._producer.stop()
            raise away(self._connection, error) from error

    async def stop(self) -> None:
        """Send what is under way and close."""
        await self._producer.stop()

    async def write(self, messages: Sequence[Out]) -> None:
        """Have every message acknowledged by all replicas. StoreError where one was not."""
        together: dict[tuple[str, int], list[Out]] = defaultdict(list)
        try:
            sent = []
            for message in messages:
                if message.spread is None:
                    sent.append(await self._producer.send(message.topic, message.value, message.key))
                else:
                    together[message.topic, message.spread].append(message)
            for (topic, spread), some in together.items():
                partitions = sorted(await self._producer.partitions_for(topic))
                sent += await self._batches(topic, partitions[spread % len(partitions)], some)
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise away(self._connection, error) from error

    async def _batches(self, topic: str, partition: int, messages: Sequence[Out]) -> list[asyncio.Future[Any]]:
        sent, batch = [], self._producer.create_batch()
        for message in messages:
            if batch.append(key=message.key, value=message.value, timestamp=None) is None:
                sent.append(await self._producer.send_batch(batch, topic, partition=partition))
                batch = self._producer.create_batch()
                batch.append(key=message.key, value=message.value, timestamp=None)
        sent.append(await self._producer.send_batch(batch, topic, partition=partition))
        return sent
