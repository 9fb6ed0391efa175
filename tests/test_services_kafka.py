"""The real broker: both listeners, what its settings promise, and one of a test's own that may be killed."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from deploy.services.kafka import KAFKA
from deploy.services.server import HOME, Place
from tests.services import Kafka, broker


def create(bootstrap: str, topic: str, **configs: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, 1, 1, topic_configs={key.replace("_", "."): v for key, v in configs.items()})])
    admin.close()


def put(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for value in values:
        producer.send(topic, value, key=b"vm-1").get(timeout=20)
    producer.close()


def all_values(bootstrap: str, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=1_000
    )
    values = [record.value for record in consumer]
    consumer.close()
    return values


def test_sasl_ssl_with_the_authoritys_pem_works_with_kafka_python(kafka: Kafka, prefix: str) -> None:
    create(kafka.bootstrap, prefix + "echo")
    producer = KafkaProducer(
        bootstrap_servers=kafka.sasl_bootstrap,
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_plain_username=kafka.username,
        sasl_plain_password=kafka.password,
        ssl_cafile=kafka.ca_file,
    )
    producer.send(prefix + "echo", b"0.0").get(timeout=20)
    producer.close()
    assert all_values(kafka.bootstrap, prefix + "echo") == [b"0.0"]


def test_sasl_ssl_works_with_aiokafka_and_the_strictest_check_of_certificates(kafka: Kafka, prefix: str) -> None:
    create(kafka.bootstrap, prefix + "echo")
    put(kafka.bootstrap, prefix + "echo", b"0.0")
    assert asyncio.run(first_value(kafka, prefix + "echo", kafka.password)) == b"0.0"


def test_a_wrong_password_is_refused(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KafkaConnectionError):
        asyncio.run(first_value(kafka, "any", "no such password"))
    assert "Invalid username or password" in caplog.text


async def first_value(kafka: Kafka, topic: str, password: str) -> bytes | None:
    context = ssl.create_default_context(cafile=kafka.ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.sasl_bootstrap,
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_plain_username=kafka.username,
        sasl_plain_password=password,
        ssl_context=context,
        auto_offset_reset="earliest",
    )
    try:
        await consumer.start()
        value: bytes | None = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()


def test_a_topic_that_nobody_made_is_an_error(kafka: Kafka, prefix: str) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, max_block_ms=500)
    with pytest.raises(KafkaError):
        producer.send(prefix + "nobody", b"0.0").get(timeout=5)
    producer.close()


def test_compaction_is_seen_within_seconds(kafka: Kafka, prefix: str) -> None:
    topic = prefix + "compacted"
    create(kafka.bootstrap, topic, cleanup_policy="compact", segment_ms="100", max_compaction_lag_ms="100")
    put(kafka.bootstrap, topic, b"1", b"2", b"3")
    deadline = time.monotonic() + 60
    while b"1" in (values := all_values(kafka.bootstrap, topic)):
        assert time.monotonic() < deadline, "nothing was compacted within a minute"
        put(kafka.bootstrap, topic, b"3")  # a new record closes the segment before it
    assert values[-1] == b"3"


@pytest.mark.slow
def test_a_broker_of_ones_own_is_killed_and_paused_and_forgets_nothing(tmp_path: Path) -> None:
    with broker(tmp_path / "kafka") as own:
        create(own.bootstrap, "kept")
        put(own.bootstrap, "kept", b"before")
        own.kill()
        own.start()
        put(own.bootstrap, "kept", b"after")
        assert all_values(own.bootstrap, "kept") == [b"before", b"after"]
        ports = {"plain": int(own.bootstrap.rpartition(":")[2])}
        own.pause()
        with pytest.raises(TimeoutError):
            KAFKA.answers(Place(HOME, own.folder, ports))
        own.resume()
        own.start()
        assert all_values(own.bootstrap, "kept") == [b"before", b"after"]
