"""aiokafka on a real broker, as the firehose leans on it: batches, whole topics, groups, and being told who is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from aiokafka import ConsumerRecord

from models.errors import StoreError
from stream.broker import GroupReader, Membership
from stream.broker_topics import BATCH_BYTES, Follower, Out, Writer
from stream.kafka import Connection
from stream.kafka_tools import TopicSpec, ensure_topics, read_topic
from tests.services import Kafka

LIMIT_S = 40


@pytest.fixture
def connection(kafka: Kafka) -> Connection:
    return Connection((kafka.bootstrap,))


def within(work: Callable[[], Coroutine[None, None, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await work()

    asyncio.run(limited())


def member(prefix: str) -> Membership:
    return Membership(prefix + "group", session_timeout_ms=6_000, metadata_max_age_ms=500)


async def nothing(_: list[int]) -> None:
    pass


async def until(condition: Callable[[], Coroutine[None, None, bool]]) -> None:
    while not await condition():
        await asyncio.sleep(0.05)


def test_what_was_written_is_acknowledged_in_order_and_one_spread_is_one_partition(
    connection: Connection, prefix: str
) -> None:
    topic = prefix + "t"
    ensure_topics(connection, [TopicSpec(topic, 3)])
    wide = b"x" * (BATCH_BYTES // 4)

    async def work() -> None:
        writer = Writer(connection)
        await writer.start()
        await writer.write([Out(topic, f"{spread}".encode(), wide, spread) for _ in range(6) for spread in (0, 4)])
        await writer.write([Out(topic, b"k", b"v"), Out(topic, b"gone", None)])
        await writer.stop()

    within(work)
    records = list(read_topic(connection, topic))
    assert len(records) == 14
    assert {record.partition for record in records if record.key == b"0"} == {0}
    assert {record.partition for record in records if record.key == b"4"} == {1}
    assert [record.value for record in records if record.key == b"gone"] == [None]


def test_a_follower_reads_one_topic_whole_and_of_the_other_only_what_is_new(
    connection: Connection, prefix: str
) -> None:
    whole, news = prefix + "whole", prefix + "news"
    ensure_topics(connection, [TopicSpec(whole, 2, compacted=True), TopicSpec(news, 1)])

    async def work() -> None:
        writer, follower, heard = Writer(connection), Follower(connection), []
        await writer.start()
        await writer.write([Out(whole, b"a", b"1"), Out(whole, b"b", b"2"), Out(news, None, b"old")])
        await follower.start(whole, news)
        while not await follower.caught_up():
            heard += await follower.fetch(100, 100)
        assert sorted((topic, message.value) for topic, message in heard) == [(whole, b"1"), (whole, b"2")]
        await writer.write([Out(news, None, b"new"), Out(whole, b"c", b"3")])
        heard.clear()
        while len(heard) < 2:
            heard += await follower.fetch(100, 100)
        assert all(isinstance(message, ConsumerRecord) for _, message in heard)
        assert {(topic, message.value) for topic, message in heard} == {(news, b"new"), (whole, b"3")}
        await follower.stop()
        await writer.stop()

    within(work)


def test_a_member_reads_where_it_is_told_to_and_says_how_far_behind_it_is(connection: Connection, prefix: str) -> None:
    topic = prefix + "samples"
    ensure_topics(connection, [TopicSpec(topic, 1)])

    async def work() -> None:
        writer, reader = Writer(connection), GroupReader(connection, topic, member(prefix))
        await writer.start()
        await writer.write([Out(topic, None, f"{n}".encode(), 0) for n in range(10)])
        await reader.start(nothing)
        given: list[int] = []
        while not given:
            await reader.fetch(100, 100)  # what it fetches before it was told where to begin is nobody's
            given = reader.given()
        assert given == [0]
        assert await reader.fetch(300, 100) == {}
        reader.seek(0, 4)
        found = await reader.fetch(5_000, 3)
        assert [message.value for message in found[0]] == [b"4", b"5", b"6"]
        assert not any(isinstance(message, ConsumerRecord) for message in found[0])  # see stream.bare_records
        assert await reader.lag([0]) == {0: 3}
        reader.pause([0])
        assert await reader.fetch(300, 100) == {}
        reader.resume([0])
        assert [message.value for message in (await reader.fetch(5_000, 100))[0]] == [b"7", b"8", b"9"]
        assert await reader.lag([0]) == {0: 0}
        assert await reader.commit({0: (4, '{"handled": 10}')})
        await reader.stop()
        await writer.stop()

    within(work)


def test_a_second_member_gets_its_share_and_the_first_is_told_before(connection: Connection, prefix: str) -> None:
    topic = prefix + "samples"
    ensure_topics(connection, [TopicSpec(topic, 4)])
    told: list[list[int]] = []

    async def remember(partitions: list[int]) -> None:
        told.append(sorted(partitions))

    async def work() -> None:
        first, second = (GroupReader(connection, topic, member(prefix)) for _ in range(2))
        await first.start(remember)
        await until(lambda: _has(first, 4))
        await second.start(nothing)
        await asyncio.gather(until(lambda: _has(first, 2)), until(lambda: _has(second, 2)))
        assert told[-1] == [0, 1, 2, 3]
        assert (first.rebalances, second.rebalances) == (2, 1)
        await second.stop()
        await until(lambda: _has(first, 4))
        await first.stop()

    async def _has(reader: GroupReader, partitions: int) -> bool:
        await reader.fetch(100, 100)
        return len(reader.given()) == partitions

    within(work)


def test_partitions_that_are_added_are_given_and_read_from_their_start(connection: Connection, prefix: str) -> None:
    topic = prefix + "samples"
    ensure_topics(connection, [TopicSpec(topic, 1)])

    async def work() -> None:
        reader = GroupReader(connection, topic, member(prefix))
        await reader.start(nothing)

        async def has(partitions: int) -> bool:
            await reader.fetch(100, 100)
            return len(reader.given()) == partitions

        await until(lambda: has(1))
        await asyncio.to_thread(ensure_topics, connection, [TopicSpec(topic, 3)])
        await until(lambda: has(3))
        assert reader.partitions() == 3
        await reader.stop()

    within(work)


@pytest.mark.parametrize(
    "start",
    [
        lambda nowhere: Writer(nowhere).start(),
        lambda nowhere: Follower(nowhere).start("a", "b"),
        lambda nowhere: GroupReader(nowhere, "a", member("")).start(nothing),
    ],
    ids=["writer", "follower", "reader"],
)
def test_a_broker_that_is_not_there_is_named(start: Callable[[Connection], Coroutine[None, None, None]]) -> None:
    async def work() -> None:
        with pytest.raises(StoreError, match=r"broker 127\.0\.0\.1:1: expected an answer"):
            await start(Connection(("127.0.0.1:1",)))

    within(work)


def test_the_sasl_listener_is_reached_as_log_service_is(kafka: Kafka, prefix: str) -> None:
    secure = Connection((kafka.sasl_bootstrap,), "SASL_SSL", kafka.username, kafka.password, kafka.ca_file)
    topic = prefix + "t"
    ensure_topics(secure, [TopicSpec(topic, 1)])

    async def work() -> None:
        writer = Writer(secure)
        await writer.start()
        await writer.write([Out(topic, b"k", b"v")])
        await writer.stop()

    within(work)
    assert [record.value for record in read_topic(secure, topic)] == [b"v"]
