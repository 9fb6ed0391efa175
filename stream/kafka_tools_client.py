"""How kafka-python is told of a broker, and how its troubles are told to a person.

`stream/kafka_tools*.py` are the only files that know kafka-python.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError, KafkaTimeoutError

from models.errors import BadInput, StoreError
from stream.kafka import Connection

ANSWER_S = 10.0  # brokers that say nothing for so long are out of reach
TELLING = ("Authentication", "SSL", "DNS")


class _LastWord(logging.Handler):
    """Why a connection failed, as kafka-python logs it: its exceptions do not say why a broker was not reached."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the newest reason, or the one that tells more than that a socket closed; nothing is printed."""
        message = record.getMessage()
        if "failed: " not in message or "Unable to bootstrap" in message:
            return
        reason = message.split("failed: ", 1)[1].partition(" (backoff")[0]
        cut_short = "RequestTimedOut" in reason and self.said  # the last attempt ends with our own patience
        if not cut_short and not any(word in self.said for word in TELLING):
            self.said = reason


_heard = _LastWord()


def options(connection: Connection) -> dict[str, Any]:
    """What every client of kafka-python is told. BadInput for a `ca_file` that is not there."""
    logger = logging.getLogger("kafka")
    if _heard not in logger.handlers:
        logger.addHandler(_heard)
        logger.propagate = False  # a broker that restarts is no reason to fill a person's terminal
    _heard.said = ""
    if connection.ca_file and not Path(connection.ca_file).is_file():
        raise BadInput(
            f"ca_file {connection.ca_file}",
            expected="a PEM file",
            got="no such file",
            remedy="Correct it, or leave it empty for the system's authorities.",
        )
    told: dict[str, Any] = {
        "bootstrap_servers": list(connection.brokers),
        "security_protocol": connection.security,
        "ssl_cafile": connection.ca_file or None,
        "bootstrap_timeout_ms": int(ANSWER_S * 1000),
        "reconnect_backoff_max_ms": 1_000,
    }
    if connection.security.startswith("SASL"):
        told["sasl_mechanism"] = "PLAIN"
        told["sasl_plain_username"], told["sasl_plain_password"] = connection.username, connection.password
    return told


def trouble(connection: Connection, error: KafkaError) -> StoreError:
    """What kafka-python raised, as a StoreError that names the brokers."""
    return StoreError(
        f"Kafka at {', '.join(connection.brokers)}",
        expected="brokers that answer and let us in",
        got=(isinstance(error, KafkaTimeoutError) and _heard.said) or str(error).rstrip("."),
        remedy="Check that they run, and [kafka]: brokers, security, username, password, ca_file.",
    )


@contextmanager
def reached(connection: Connection) -> Iterator[None]:
    """Turns what kafka-python raises within the block into `trouble`."""
    try:
        yield
    except KafkaError as error:
        raise trouble(connection, error) from error
