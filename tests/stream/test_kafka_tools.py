from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.partitioner import murmur2

from models.errors import BadInput, StoreError
from stream.kafka import Connection, topics_of
from stream.kafka_tools import (
    Ensured,
    Place,
    TopicSpec,
    ensure_topics,
    own_topics,
    partition_of,
    producer,
    read_topic,
    samples_topic,
)
from tests.services import Kafka


@pytest.fixture
def there(kafka: Kafka) -> Connection:
    return Connection((kafka.bootstrap,))


def sasl(kafka: Kafka, password: str) -> Connection:
    return Connection((kafka.sasl_bootstrap,), "SASL_SSL", kafka.username, password, kafka.ca_file)


def one_topic(connection: Connection, prefix: str, partitions: int = 3) -> str:
    return ensure_topics(connection, [TopicSpec(f"{prefix}t", partitions)])[0].name


def test_topics_are_made_once(there: Connection, prefix: str) -> None:
    specs = own_topics(topics_of(prefix))
    assert ensure_topics(there, specs) == [Ensured(spec.name, spec.partitions, 0) for spec in specs]
    assert ensure_topics(there, specs) == [Ensured(spec.name, spec.partitions, spec.partitions) for spec in specs]


def test_our_own_topics_are_each_of_their_kind(there: Connection, prefix: str) -> None:
    topics = topics_of(prefix)
    specs = {spec.name: spec for spec in own_topics(topics)}
    assert specs.keys() == set(topics)
    assert specs[topics.inventory].policy == {"compact"}
    assert specs[topics.dead].policy == specs[topics.late].policy == {"compact", "delete"}
    assert specs[topics.placements].policy == specs[topics.hours].policy == {"delete"}


def test_partitions_are_added_and_never_taken_away(there: Connection, prefix: str) -> None:
    assert ensure_topics(there, [TopicSpec(f"{prefix}t", 2)]) == [Ensured(f"{prefix}t", 2, 0)]
    assert ensure_topics(there, [TopicSpec(f"{prefix}t", 5)]) == [Ensured(f"{prefix}t", 5, 2)]
    assert ensure_topics(there, [TopicSpec(f"{prefix}t", 1)]) == [Ensured(f"{prefix}t", 5, 5)]


def test_a_topic_of_another_policy_is_refused_before_anything_is_made(there: Connection, prefix: str) -> None:
    one_topic(there, prefix)
    wrong = [TopicSpec(f"{prefix}new", 1), TopicSpec(f"{prefix}t", 3, compacted=True)]
    with pytest.raises(BadInput, match=r"expected cleanup\.policy compact, got delete\. Set it"):
        ensure_topics(there, wrong)
    with pytest.raises(StoreError, match="expected one that the brokers know"):
        list(read_topic(there, f"{prefix}new"))


def test_a_name_that_no_topic_can_have_is_refused(there: Connection) -> None:
    with pytest.raises(StoreError, match="InvalidTopicError"):
        ensure_topics(there, [TopicSpec("a b", 1)])


def test_samples_bear_the_brokers_time(there: Connection, kafka: Kafka, prefix: str) -> None:
    ensure_topics(there, [samples_topic(f"{prefix}t", 1)])
    client = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    client.send(f"{prefix}t", b"v", timestamp_ms=0).get(10)
    client.close()
    assert [record.timestamp_ms > 0 for record in read_topic(there, f"{prefix}t")] == [True]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_is_sent_is_read_in_order_with_its_place(there: Connection, prefix: str, compression: str) -> None:
    topic, places = one_topic(there, prefix), list[Place]()
    keys = [b"host-%d" % (i % 7) for i in range(500)]
    with producer(there, compression=compression) as sender:
        for i, key in enumerate(keys):
            sender.send(topic, key, b"%d" % i, done=places.append)
    assert sender.acknowledged == 500
    found = {Place(record.partition, record.offset): record for record in read_topic(there, topic)}
    assert [found[place].value for place in places] == [b"%d" % i for i in range(500)]
    assert [found[place].key for place in places] == keys
    assert [place.partition for place in places] == [partition_of(key, 3) for key in keys]
    for part in range(3):
        offsets = [record.offset for record in read_topic(there, topic) if record.partition == part]
        assert offsets == sorted(offsets)


def test_a_record_goes_to_the_partition_that_is_named(there: Connection, prefix: str) -> None:
    topic = one_topic(there, prefix)
    with producer(there) as sender:
        sender.send(topic, None, b"v", partition=2)
        sender.send(topic, b"k", None, partition=2)
    assert [(r.partition, r.key, r.value) for r in read_topic(there, topic)] == [(2, None, b"v"), (2, b"k", None)]


def test_an_empty_topic_ends_at_once(there: Connection, prefix: str) -> None:
    assert list(read_topic(there, one_topic(there, prefix))) == []


def test_holes_at_the_end_and_uncommitted_records_do_not_hold_up_a_reader(
    there: Connection, kafka: Kafka, prefix: str
) -> None:
    topic = one_topic(there, prefix)
    client = KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=prefix)
    client.init_transactions()
    for value, end in ((b"kept", client.commit_transaction), (b"dropped", client.abort_transaction)):
        client.begin_transaction()
        for part in range(3):
            client.send(topic, value, partition=part)
        client.flush()
        end()
    client.begin_transaction()
    client.send(topic, b"open", partition=0)
    client.flush()
    assert Counter((record.partition, record.value) for record in read_topic(there, topic)) == {
        (part, b"kept"): 1 for part in range(3)
    }
    client.abort_transaction()
    client.close()


def test_records_that_retention_took_away_are_passed_over(there: Connection, kafka: Kafka, prefix: str) -> None:
    topic = one_topic(there, prefix, partitions=1)
    with producer(there) as sender:
        for i in range(10):
            sender.send(topic, None, b"%d" % i)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.delete_records({TopicPartition(topic, 0): 4})
    admin.close()
    assert [record.offset for record in read_topic(there, topic)] == [4, 5, 6, 7, 8, 9]


def test_a_codec_that_is_not_here_is_named(there: Connection, kafka: Kafka, prefix: str) -> None:
    topic = one_topic(there, prefix, partitions=1)

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type="zstd") as client:
            await client.send_and_wait(topic, b"v")

    asyncio.run(send())
    with pytest.raises(StoreError, match=r"(?i)zstd"):
        list(read_topic(there, topic))


def test_too_large_a_record_and_an_empty_one_are_refused(there: Connection, prefix: str) -> None:
    topic = one_topic(there, prefix)
    with producer(there) as sender:
        with pytest.raises(BadInput, match="expected less than 1 MiB, got 1,100,001 bytes"):
            sender.send(topic, b"k", bytes(1_100_000))
        with pytest.raises(BadInput, match="expected a key or a value, got neither"):
            sender.send(topic, None, None)
        sender.send(topic, b"k", b"v")
    assert len(list(read_topic(there, topic))) == 1


def test_a_topic_that_is_not_there_is_named_and_not_made(
    there: Connection, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(StoreError, match=f"topic {prefix}t: expected one that the brokers know"),
        producer(there, patience_s=2.0) as sender,
    ):
        sender.send(f"{prefix}t", b"k", b"v")
    with pytest.raises(StoreError, match=f"topic {prefix}t: expected one that the brokers know"):
        list(read_topic(there, f"{prefix}t"))


def test_an_unknown_compression_is_refused(there: Connection) -> None:
    with pytest.raises(BadInput, match="expected none or gzip, got 'zstd'"), producer(there, compression="zstd"):
        pass


def test_it_speaks_sasl_over_tls(there: Connection, kafka: Kafka, prefix: str) -> None:
    secure = sasl(kafka, kafka.password)
    topic = one_topic(secure, prefix)
    with producer(secure) as sender:
        sender.send(topic, b"k", b"v")
    assert [record.value for record in read_topic(secure, topic)] == [b"v"]


@pytest.mark.parametrize(
    ("key", "murmur"),  # of Kafka's own UtilsTest
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_a_key_goes_where_java_would_send_it(key: bytes, murmur: int) -> None:
    assert [partition_of(key, n) for n in (1, 2, 7, 1000)] == [(murmur & 0x7FFFFFFF) % n for n in (1, 2, 7, 1000)]
    assert murmur2(key) == murmur & 0xFFFFFFFF
