"""Which topic is read, from which brokers, and what is in it: the declared sources of the settings."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import NamedTuple

from models.errors import BadInput
from stream.kafka import Connection
from stream.settings import Settings, SourceSettings
from stream.settings_sections import Kafka
from stream.wire_base import Wire

ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")


class Declared(NamedTuple):
    """A source as it is declared: its name in the settings, its topic, how to reach it, and its wire format."""

    name: str
    topic: str
    connection: Connection
    wire: Wire


def connection_of(kafka: Kafka) -> Connection:
    """The brokers of our own topics. BadInput for a broker that is no host:port, or a login that cannot be."""
    return _connection("kafka", kafka.brokers, kafka.security, (kafka.username, kafka.password), kafka.ca_file)


def source_of(settings: Settings, name: str | None) -> Declared:
    """The source called `name`; None: the only one that is declared. BadInput where there is none such."""
    declared = settings.sources
    if name is None:
        if len(declared) != 1:
            got = ", ".join(declared) or "none"
            remedy = (
                "Name one with --source." if declared else "Declare one, [sources.NAME]; configs/cluster.toml has one."
            )
            raise BadInput("source", expected="one that is declared in the settings", got=got, remedy=remedy)
        name = next(iter(declared))
    if name not in declared:
        near = get_close_matches(name, declared, n=1, cutoff=0.0)
        expected = f"one that is declared, the nearest is {near[0]}" if near else "one that is declared in the settings"
        raise BadInput("source", expected=expected, got=repr(name), remedy="`zhuge config` lists them all.")
    source = declared[name]
    wire = Wire(
        format=source.format,
        unit=source.unit,
        interval_min=source.interval_min,
        timezone=source.timezone,
        ts_unit=source.ts_unit,
        fields={str(field): text for field, text in source.fields.items()},
    )
    return Declared(name, source.topic, _own_connection(name, source, settings.kafka), wire)


def _own_connection(name: str, source: SourceSettings, kafka: Kafka) -> Connection:
    """What the source says, else what [kafka] says. A login is whole, and never sent to brokers that it is not for."""
    security = source.security or kafka.security
    login = (source.username, source.password)
    if not source.username and not source.brokers and security.startswith("SASL"):
        login = (kafka.username, kafka.password)
    return _connection(
        f"sources.{name}", source.brokers or kafka.brokers, security, login, source.ca_file or kafka.ca_file
    )


def _connection(where: str, brokers: str, security: str, login: tuple[str, str], ca_file: str) -> Connection:
    addresses = tuple(part.strip() for part in brokers.split(","))
    for address in addresses:
        found = ADDRESS.fullmatch(address)
        if found is None or not 0 < int(found["port"]) < 65_536:
            raise BadInput(
                f"setting {where}.brokers",
                expected="host:port, several comma separated",
                got=repr(address),
                remedy="Write it like kafka-1:9092,kafka-2:9092.",
            )
    username, password = login
    if security.startswith("SASL") != bool(username):
        raise BadInput(
            f"setting {where}.username",
            expected=f"a user for {security}" if not username else f"none, as {where} has the security {security}",
            got="none" if not username else repr(username),
            remedy=f"Set {where}.security and {where}.username to what the brokers ask for.",
        )
    return Connection(addresses, security, username, password, ca_file)
