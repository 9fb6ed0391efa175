"""Kafka for the synchronous tools: topics, a producer that never hangs, and a topic read from end to end.

`stream/kafka_tools*.py` are the only files that know kafka-python. It speaks no codec but gzip here, so what the tools
are to read (`vms`, `samples.dead`, `samples.late`) is written plain or with gzip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from kafka.partitioner import murmur2

from models.errors import BadInput, StoreError
from stream.kafka import Connection
from stream.kafka_tools_client import ANSWER_S, options, reached, trouble
from stream.kafka_tools_topics import (
    Ensured,
    Record,
    TopicSpec,
    ensure_topics,
    no_such_topic,
    own_topics,
    read_topic,
    samples_topic,
)

__all__ = [
    "Ensured",
    "Place",
    "Record",
    "Sender",
    "TopicSpec",
    "ensure_topics",
    "own_topics",
    "partition_of",
    "producer",
    "read_topic",
    "samples_topic",
]

DELIVERY_S = 120.0  # a broker may be started again within it, and nothing is lost
UNDER_WAY_BYTES = 32 * 2**20  # sent and not yet acknowledged: kafka-python itself sets no bound
BATCH_BYTES = 256 * 1024
RECORD_OVERHEAD_BYTES = 1_000  # what kafka-python holds beside a record's own bytes


class Place(NamedTuple):
    """Where the broker keeps a record that it has acknowledged."""

    partition: int
    offset: int


class Sender:
    """A producer for one thread. The state is what was sent and is not yet acknowledged, in the order of sending."""

    def __init__(self, client: KafkaProducer, connection: Connection, patience_s: float) -> None:
        self._client, self._connection, self._patience_s = client, connection, patience_s
        self._under_way: deque[tuple[Any, int, Callable[[Place], None] | None]] = deque()
        self._bytes = 0
        self._failed = 0
        self._why: KafkaError | None = None
        self.acknowledged = 0

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        done: Callable[[Place], None] | None = None,
    ) -> None:
        """Hand over one record; `done` hears, in this thread and in order, where the broker keeps it.

        `partition` None: by the key, as Java's default does. Waits where too much is under way, but never for ever:
        StoreError where an earlier record was not acknowledged in time or no such topic is known, BadInput where this
        one is empty or too large.
        """
        self._refuse_after_failure()
        if key is None and value is None:
            raise BadInput("record", expected="a key or a value", got="neither", remedy="Send one of them.")
        try:
            future = self._client.send(topic, value, key, partition=partition)
        except MessageSizeTooLargeError:
            got = f"{len(key or b'') + len(value or b''):,} bytes"
            raise BadInput(f"record to {topic}", expected="less than 1 MiB", got=got, remedy="Split it.") from None
        except ValueError:  # the named partition; anything else was checked above
            remedy = "The topic has fewer partitions than before: let it have as many."
            raise BadInput(
                f"partition {partition} of topic {topic}", expected="one that is there", got="none", remedy=remedy
            ) from None
        except KafkaTimeoutError:
            raise no_such_topic(topic) from None
        except KafkaError as error:
            raise trouble(self._connection, error) from error
        size = len(key or b"") + len(value or b"") + RECORD_OVERHEAD_BYTES
        self._under_way.append((future, size, done))
        self._bytes += size
        while self._under_way and (self._under_way[0][0].is_done or self._bytes > UNDER_WAY_BYTES):
            self._settle()

    def partitions(self, topic: str) -> int:
        """How many partitions `topic` has, as of the last look at the brokers. StoreError where there is none such."""
        try:
            return len(self._client.partitions_for(topic))
        except KafkaTimeoutError:
            raise no_such_topic(topic) from None
        except KafkaError as error:
            raise trouble(self._connection, error) from error

    def flush(self) -> None:
        """Wait until the brokers have acknowledged everything. StoreError where any record was not."""
        with suppress(KafkaTimeoutError):  # whose record that is, its own future says
            self._client.flush(self._patience_s)
        while self._under_way:
            self._settle()
        self._refuse_after_failure()

    def _settle(self) -> None:
        future, size, done = self._under_way.popleft()
        self._bytes -= size
        try:
            metadata = future.get(self._patience_s if self._why is None else 0)
        except KafkaError as error:
            self._failed += 1
            self._why = self._why or error
            return
        self.acknowledged += 1
        if done is not None:
            done(Place(metadata.partition, metadata.offset))

    def _refuse_after_failure(self) -> None:
        if self._why is not None:
            raise StoreError(
                f"Kafka at {', '.join(self._connection.brokers)}",
                expected=f"an acknowledgement within {self._patience_s:g} s",
                got=f"{self._failed:,} records without one, {self.acknowledged:,} with; the first: {self._why}",
                remedy="Check the brokers and the topic; what was acknowledged is kept, the rest may be sent again.",
            ) from self._why


@contextmanager
def producer(connection: Connection, *, compression: str = "none", patience_s: float = DELIVERY_S) -> Iterator[Sender]:
    """A producer (acks = all, idempotent) for the block; what it sent is flushed at the block's end.

    `compression`: none or gzip. `patience_s`: seconds that a record may take to be acknowledged. StoreError where the
    brokers are out of reach.
    """
    if compression not in ("none", "gzip"):
        raise BadInput("compression", expected="none or gzip", got=repr(compression), remedy="Choose one of them.")
    with reached(connection):
        client = KafkaProducer(
            **options(connection),
            acks="all",
            enable_idempotence=True,
            compression_type=None if compression == "none" else compression,
            batch_size=BATCH_BYTES,
            linger_ms=20,
            max_block_ms=int(min(patience_s, ANSWER_S) * 1000),
            delivery_timeout_ms=int(patience_s * 1000),
            request_timeout_ms=int(min(30.0, patience_s / 2) * 1000),
            allow_auto_create_topics=False,  # a topic of one partition, made by a mistyped name, helps nobody
            metrics_enabled=False,
        )
    try:
        sender = Sender(client, connection, patience_s)
        yield sender
        sender.flush()
    finally:
        # close() would flush first, and where that fails leave its threads to try for ever. It has been flushed above.
        client.flush = lambda timeout=None: None  # noqa: ARG005
        client.close(timeout=1.0)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner (murmur2) gives `key` among `partitions`."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
