"""Which topic is read from which brokers: names, what a source inherits, and logins that go nowhere else."""

from __future__ import annotations

import pytest

from models.errors import BadInput
from stream.kafka import Connection
from stream.settings import Settings, SourceSettings
from stream.settings_sections import Kafka
from stream.sources import Declared, connection_of, source_of
from stream.wire import Keys, Wire, open_decoder

OURS = Kafka(brokers="k1:9092, k2:9093", security="SASL_SSL", username="us", password="pw", ca_file="ca.pem")  # noqa: S106


def source(**changes: object) -> SourceSettings:
    return SourceSettings.model_validate({"topic": "cpu", "format": "host-json", "unit": "percent"} | changes)


def settings(kafka: Kafka = OURS, **sources: SourceSettings) -> Settings:
    return Settings.model_validate({"kafka": kafka, "sources": sources})


def test_a_source_is_what_it_declares_on_our_own_brokers() -> None:
    declared = source(interval_min=5, ts_unit="iso", timezone="Asia/Shanghai", fields={"vm": "uuid"})
    found = source_of(settings(hosts=declared), "hosts")
    wire = Wire("host-json", "percent", 5, "Asia/Shanghai", "iso", {"vm": "uuid"})
    assert found == Declared("hosts", "cpu", connection_of(OURS), wire)
    open_decoder(found.wire, Keys())
    assert found.connection == Connection(("k1:9092", "k2:9093"), "SASL_SSL", "us", "pw", "ca.pem")
    assert "pw" not in repr(found)


def test_without_a_name_it_is_the_only_one() -> None:
    assert source_of(settings(a=source()), None).name == "a"
    with pytest.raises(BadInput, match=r"got a, b\. Name one with --source"):
        source_of(settings(a=source(), b=source()), None)
    with pytest.raises(BadInput, match=r"got none\. Declare one"):
        source_of(settings(), None)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="the nearest is hosts, got 'host'"):
        source_of(settings(hosts=source(), means=source()), "host")
    with pytest.raises(BadInput, match="declared in the settings, got 'host'"):
        source_of(settings(), "host")


def test_brokers_of_its_own_never_see_our_login() -> None:
    own = source(brokers="other:9092")
    with pytest.raises(BadInput, match=r"setting sources\.a\.username: expected a user for SASL_SSL, got none"):
        source_of(settings(a=own), "a")
    open_ = source_of(settings(a=source(brokers="other:9092", security="PLAINTEXT")), "a").connection
    assert open_ == Connection(("other:9092",), "PLAINTEXT", "", "", "ca.pem")
    login = source(brokers="p.cn.log.aliyuncs.com:10012", username="p", password="id#key", ca_file="x")  # noqa: S106
    found = source_of(settings(a=login), "a").connection
    assert found == Connection(("p.cn.log.aliyuncs.com:10012",), "SASL_SSL", "p", "id#key", "x")


def test_a_login_of_its_own_on_our_brokers_is_whole() -> None:
    found = source_of(settings(a=source(username="me", password="mine")), "a").connection  # noqa: S106
    assert (found.brokers, found.username, found.password) == (("k1:9092", "k2:9093"), "me", "mine")
    assert source_of(settings(a=source(username="me")), "a").connection.password == ""


def test_an_address_may_be_of_ip_version_6() -> None:
    assert connection_of(Kafka(brokers="[::1]:9092,10.0.0.1:9092")).brokers == ("[::1]:9092", "10.0.0.1:9092")


def test_a_source_may_go_without_login_where_we_have_one() -> None:
    assert source_of(settings(a=source(security="SSL")), "a").connection.username == ""


@pytest.mark.parametrize(
    "brokers", ["kafka", "kafka:", ":9092", "kafka:0", "kafka:65536", "a:1,,b:2", "a:x", "a:1;b:2"]
)
def test_what_is_no_broker_is_refused(brokers: str) -> None:
    with pytest.raises(BadInput, match=r"setting kafka\.brokers"):
        connection_of(Kafka(brokers=brokers))


@pytest.mark.parametrize(
    ("kafka", "expected"),
    [
        (Kafka(security="SASL_PLAINTEXT"), "a user for SASL_PLAINTEXT"),
        (Kafka(username="me"), "none, as kafka has the security PLAINTEXT"),
    ],
)
def test_a_login_that_cannot_be_is_refused(kafka: Kafka, expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        connection_of(kafka)
    assert caught.value.expected == expected
