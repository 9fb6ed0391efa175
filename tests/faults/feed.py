"""Sends the fleet's messages, keeps what the broker acknowledged with its place in the log, and reads the log back."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Self

from stream.kafka import Connection
from stream.kafka_tools import Place as Acknowledged
from stream.kafka_tools import producer
from stream.kafka_tools_topics import Record, TopicSpec, ensure_topics, read_topic
from tests.faults.oracle import Logged, Place
from tests.faults.script import Message


class Feed:
    """One topic, keyed by host. The state is what was sent to it and what of that was acknowledged."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self.acknowledged: list[Logged] = []
        self.sent: dict[bytes | None, Message] = {}
        self._connection, self._topic = connection, topic
        self._open = ExitStack()
        self._sender = self._open.enter_context(producer(connection))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.__exit__(kind, error, at)

    def send(self, messages: Iterable[Message]) -> None:
        """Hand messages over; the broker need not be there yet."""
        for message in messages:
            self.sent[message.value] = message
            self._sender.send(self._topic, message.key.encode(), message.value, done=partial(self._done, message.value))

    def tell(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Write (key, value) to another topic, and wait until it is there."""
        for key, value in records:
            self._sender.send(topic, key, value)
        self._sender.flush()

    def settle(self) -> None:
        """Wait for the broker's answers. StoreError where it gave none."""
        self._sender.flush()

    @property
    def ends(self) -> dict[int, int]:
        """The end of the acknowledged log of each partition that has something: the next offset."""
        return {place.partition: place.offset + 1 for place, _ in self.acknowledged}

    def log(self, topic: str = "") -> list[Record]:
        """Every record of a topic (its own by default) as of now, by partition and offset."""
        return sorted(read_topic(self._connection, topic or self._topic), key=lambda r: (r.partition, r.offset))

    def extend(self, partitions: int) -> None:
        """Let the topic have so many partitions. The producer learns of it at once, a collector would in its time."""
        ensure_topics(self._connection, [TopicSpec(self._topic, partitions, stamped=True)])
        self._open.close()
        self._sender = self._open.enter_context(producer(self._connection))

    def _done(self, value: bytes | None, place: Acknowledged) -> None:
        self.acknowledged.append(Logged(Place(*place), value))
