"""Real servers for tests: the shared broker of `make services`, and brokers of their own for tests that kill them.

The shared broker is started here where it does not run, and is left running: the next run finds it at once, and other
runs may be using it. `make services-down` stops it. So a test takes the fixture `prefix` for its topics and groups.
"""

from __future__ import annotations

import contextlib
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from kafka import KafkaAdminClient

from deploy.services import process, server
from deploy.services.kafka import KAFKA
from deploy.services.server import HOME


class Kafka(NamedTuple):
    """How to reach a broker: by the plain listener, or by SASL_SSL with PLAIN, the user's password and the CA's PEM."""

    bootstrap: str
    sasl_bootstrap: str
    ca_file: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker of one test's own, which may do with it as it likes; ports and data stay the same over restarts."""

    folder: Path
    clients: Kafka

    @property
    def bootstrap(self) -> str:
        return self.clients.bootstrap

    def start(self) -> None:
        """Start it on its data; back when it answers, about 5 s. OSError where a stranger took one of its ports."""
        state = server.start(KAFKA, self.folder, HOME)
        if Kafka(**state.facts) != self.clients:
            raise OSError(
                f"the broker of {self.folder} had to move from {self.bootstrap} to {state.facts['bootstrap']}"
            )

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        server.stop(self.folder)

    def kill(self) -> None:
        """kill -9."""
        process.kill(self._process())

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        process.send(self._process(), signal.SIGSTOP)

    def resume(self) -> None:
        process.send(self._process(), signal.SIGCONT)

    def _process(self) -> process.Started:
        state = server.read(self.folder)
        assert state is not None
        return state.process


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """A broker of one's own with its data in `folder`, running; it is killed at the end, paused or not."""
    own = Broker(folder, Kafka(**server.start(KAFKA, folder, HOME).facts))
    try:
        yield own
    finally:
        own.kill()


@pytest.fixture(scope="session")
def kafka() -> Kafka:
    """The shared broker, running."""
    return Kafka(**server.start(KAFKA, HOME / KAFKA.name, HOME).facts)


@pytest.fixture
def prefix(kafka: Kafka) -> Iterator[str]:
    """A prefix of one test's own for topics and groups; the topics that bear it are deleted afterwards."""
    mine = f"{uuid.uuid4().hex[:12]}."
    yield mine
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    if topics := [topic for topic in admin.list_topics() if topic.startswith(mine)]:
        admin.delete_topics(topics)
    admin.close()
