"""The tools' Kafka when brokers are out of reach, refuse, stop answering, or are killed while they are sent to."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import BadInput, StoreError
from stream import kafka_tools_client
from stream.kafka import Connection
from stream.kafka_tools import Place, TopicSpec, ensure_topics, producer, read_topic
from tests.services import Broker, Kafka, broker


@pytest.fixture
def left_open() -> Iterator[None]:
    """Closes the sockets that kafka-python forgets where a connection is refused; a thread that idles on holds them."""
    yield
    sockets = [found for found in gc.get_objects() if type(found) is socket.socket and found.fileno() != -1]
    for found in sockets:
        if found.family == socket.AF_INET and found.getsockname()[0] == "0.0.0.0":  # noqa: S104
            found.close()


def refused(test: Callable[..., None]) -> Callable[..., None]:
    """A test in which connections are refused."""
    ignored = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    marked: Callable[..., None] = pytest.mark.usefixtures("left_open")(ignored(test))
    return marked


def sasl(kafka: Kafka, password: str) -> Connection:
    return Connection((kafka.sasl_bootstrap,), "SASL_SSL", kafka.username, password, kafka.ca_file)


def one_topic(connection: Connection, prefix: str, partitions: int = 3) -> str:
    return ensure_topics(connection, [TopicSpec(f"{prefix}t", partitions)])[0].name


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def send_one(connection: Connection) -> None:
    with producer(connection) as sender:
        sender.send("t", b"k", b"v")


@refused
@pytest.mark.parametrize(
    "use", [send_one, lambda c: list(read_topic(c, "t")), lambda c: ensure_topics(c, [TopicSpec("t", 1)])]
)
def test_a_broker_out_of_reach_is_named_in_time(
    use: Callable[[Connection], object],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(kafka_tools_client, "ANSWER_S", 0.5)
    address = closed_port()
    with pytest.raises(StoreError, match=f"Kafka at {address}: expected brokers that answer .* ECONNREFUSED"):
        use(Connection((address,)))
    assert capfd.readouterr() == ("", "")


@refused
def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_tools_client, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StoreError, match=f"Kafka at {address}: .* timed out"):
            list(read_topic(Connection((address,)), "t"))


@pytest.mark.slow
@refused
def test_a_wrong_password_and_a_missing_authority_are_told(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the broker closes fast, kafka-python loses its answer and knows of the closing only.
    with pytest.raises(StoreError, match=r"Authentication failed|disconnected.*\[kafka\].*password") as refusal:
        list(read_topic(sasl(kafka, "not-this-one"), "t"))
    assert "not-this-one" not in str(refusal.value)
    monkeypatch.setattr(kafka_tools_client, "ANSWER_S", 1.0)
    with pytest.raises(StoreError, match=r"(?i)certificate"):
        list(read_topic(replace(sasl(kafka, kafka.password), ca_file=""), "t"))
    with pytest.raises(BadInput, match="ca_file /none: expected a PEM file, got no such file"):
        list(read_topic(replace(sasl(kafka, kafka.password), ca_file="/none"), "t"))


@pytest.mark.slow
@refused
def test_nothing_is_lost_or_doubled_when_the_broker_is_killed_while_it_is_sent_to(tmp_path: Path) -> None:
    with broker(tmp_path / "own") as own:
        connection, places = Connection((own.bootstrap,)), list[Place]()
        topic = one_topic(connection, "", partitions=2)
        with producer(connection) as sender:
            for i in range(4_000):
                sender.send(topic, b"%d" % (i % 5), b"%d" % i, done=places.append)
                if i == 2_000:
                    own.kill()
                    own.start()
        records = list(read_topic(connection, topic))
    assert sorted(int(record.value or b"") for record in records) == list(range(4_000))
    assert len(set(places)) == 4_000


def send_until_it_stops(own: Broker, connection: Connection, topic: str) -> None:
    with producer(connection, patience_s=2.0) as sender:
        sender.send(topic, b"k", b"v")
        sender.flush()
        own.pause()
        for _ in range(1_000):
            sender.send(topic, b"k", bytes(100_000))


@pytest.mark.slow
@refused
def test_a_broker_that_stops_answering_is_given_up(tmp_path: Path) -> None:
    with broker(tmp_path / "own") as own:
        connection = Connection((own.bootstrap,))
        topic = one_topic(connection, "")
        with pytest.raises(StoreError, match="expected an acknowledgement within 2 s"):
            send_until_it_stops(own, connection, topic)
        own.resume()
