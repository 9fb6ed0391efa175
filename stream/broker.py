"""A member of a consumer group, by aiokafka; `stream.broker_topics` has what reads and writes without a group."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    UnknownMemberIdError,
)

from models.errors import StoreError
from stream.bare_records import BARE
from stream.kafka import Connection
from stream.wire_base import Message

MAX_FETCH_BYTES = 16 * 1024 * 1024  # what lies fetched and not yet read is at most a few of these
_REBALANCED = (CommitFailedError, IllegalGenerationError, IllegalStateError, UnknownMemberIdError)


@dataclass(frozen=True, slots=True)
class Membership:
    """How a worker is a member of its group: see the settings of [kafka]. `instance`: empty, or its own name there."""

    group: str
    session_timeout_ms: int
    metadata_max_age_ms: int
    instance: str = ""


def options_of(connection: Connection) -> dict[str, Any]:
    """What every client of aiokafka is told."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(connection.brokers),
        "security_protocol": connection.security,
        "client_id": "zhuge",
    }
    if connection.security.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(cafile=connection.ca_file or None)
    if connection.security.startswith("SASL"):
        options |= {
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": connection.username,
            "sasl_plain_password": connection.password,
        }
    return options


def away(connection: Connection, error: BaseException) -> StoreError:
    """What is said where the broker did not do what was asked."""
    return StoreError(
        f"broker {', '.join(connection.brokers)}",
        expected="an answer",
        got=f"{type(error).__name__}: {error}",
        remedy="See that it runs and that [kafka] says how to reach it; what was acknowledged is not lost.",
    )


class GroupReader:
    """A member of a consumer group on one topic: reads batches of the partitions that the group gives it."""

    def __init__(self, connection: Connection, topic: str, member: Membership) -> None:
        self._connection, self._topic = connection, topic
        self._listener = _Listener()
        self.rebalances = 0
        self._consumer = AIOKafkaConsumer(
            **options_of(connection),
            group_id=member.group,
            group_instance_id=member.instance or None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=member.session_timeout_ms,
            heartbeat_interval_ms=max(300, member.session_timeout_ms // 4),
            metadata_max_age_ms=member.metadata_max_age_ms,
            max_poll_interval_ms=600_000,
            max_partition_fetch_bytes=MAX_FETCH_BYTES // 4,
            fetch_max_bytes=MAX_FETCH_BYTES,
            fetch_max_wait_ms=200,
            key_deserializer=BARE,
        )

    async def start(self, revoked: Callable[[list[int]], Awaitable[None]]) -> None:
        """Join the group. Whoever works on partitions must have stopped when `revoked` returns.

        StoreError where the broker does not answer.
        """
        self._listener.revoked = revoked
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            raise away(self._connection, error) from error
        self._consumer.subscribe([self._topic], listener=self._listener)

    async def stop(self) -> None:
        """Leave the group."""
        await self._consumer.stop()

    def given(self) -> list[int]:
        """The partitions that the group has given since the last call; nothing of them is read before `seek`."""
        given, self._listener.given = self._listener.given, []
        if given:
            self.rebalances += 1
            self._consumer.pause(*map(self._place, given))
        return given

    def seek(self, partition: int, offset: int) -> None:
        """Read `partition` from `offset` on."""
        self._consumer.seek(self._place(partition), offset)
        self._consumer.resume(self._place(partition))

    def pause(self, partitions: Iterable[int]) -> None:
        """Fetch nothing more of these until `resume`; the member stays one."""
        self._consumer.pause(*map(self._place, partitions))

    def resume(self, partitions: Iterable[int]) -> None:
        """Go on fetching these."""
        self._consumer.resume(*map(self._place, partitions))

    async def fetch(self, wait_ms: int, most: int) -> dict[int, Sequence[Message]]:
        """Up to `most` messages in the order of each partition's log; empty where none came within `wait_ms`."""
        found = await self._consumer.getmany(timeout_ms=wait_ms, max_records=most)
        return {place.partition: messages for place, messages in found.items()}

    async def lag(self, partitions: Iterable[int]) -> dict[int, int]:
        """Messages that each partition has beyond what was fetched, by the broker's word of now; StoreError without."""
        places = [self._place(partition) for partition in partitions]
        if not places:
            return {}
        try:
            async with asyncio.timeout(5):
                ends = await self._consumer.end_offsets(places)
                return {p.partition: ends[p] - await self._consumer.position(p) for p in places}
        except (KafkaError, TimeoutError) as error:
            raise away(self._connection, error) from error

    async def commit(self, offsets: Mapping[int, tuple[int, str]]) -> bool:
        """Say (offset, metadata) of each partition to the group; False where it is being rebalanced or unreachable."""
        try:
            await self._consumer.commit({self._place(p): said for p, said in offsets.items()})
        except (*_REBALANCED, KafkaError):
            return False
        return True

    def partitions(self) -> int:
        """How many partitions the topic has, as far as is known here."""
        return len(self._consumer.partitions_for_topic(self._topic) or ())

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Hands revocations on at once and keeps what was given until it is asked for."""

    revoked: Callable[[list[int]], Awaitable[None]]

    def __init__(self) -> None:
        self.given: list[int] = []

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """The group takes these back: whoever works on them must stop before this returns."""
        gone = [place.partition for place in revoked]
        self.given = [partition for partition in self.given if partition not in gone]
        await self.revoked(gone)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """The group gives these."""
        self.given += [place.partition for place in assigned]
