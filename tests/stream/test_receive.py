"""Prometheus remote-write over HTTP: what is answered, and that nothing is before the topic has it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import cramjam
import httpx
import pytest

from models.errors import StoreError
from stream import receive as module
from stream.receive import create_receiver
from stream.receive_write import MAX_BODY_BYTES, MAX_UNPACKED_BYTES, Report
from tests.stream.remote_write import MS, RULE, packed, rows, series

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "Prometheus/3.5.0",
}


class Topic:
    """What was sent; `failure` is raised instead of an acknowledgement."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.reports: list[Report] = []
        self.failure = failure
        self.acknowledge = asyncio.Event()
        self.acknowledge.set()

    async def send(self, reports: Sequence[Report]) -> None:
        self.reports += reports
        await self.acknowledge.wait()
        if self.failure is not None:
            raise self.failure


def post(
    body: bytes, topic: Topic, counts: Counter[str] | None = None, changed: Mapping[str, str] | None = None
) -> httpx.Response:
    async def ask() -> httpx.Response:
        app = create_receiver(RULE, topic.send, Counter() if counts is None else counts)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            return await client.post("/api/v1/write", content=body, headers={**HEADERS, **(changed or {})})

    return asyncio.run(ask())


GOOD = packed(series("a", "h", (1.5, MS)), series("a", "h", (1.5, MS), metric="other"))


def test_it_is_acknowledged_with_an_empty_204_when_the_topic_has_it() -> None:
    topic, counts = Topic(), Counter[str]()
    answer = post(GOOD, topic, counts)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [report.key for report in topic.reports] == [b"h"]
    assert counts == {"samples": 1, "others": 1, "refused": 0, "status_204": 1}


def test_nothing_is_sent_for_what_we_do_not_take() -> None:
    topic = Topic(StoreError("x", expected="y", got="z", remedy="w"))
    for body in (packed(series("a", "h", (1.0, MS), metric="other")), packed(), b"\x00"):
        assert post(body, topic).status_code == 204


def test_it_waits_for_the_acknowledgement() -> None:
    async def ask() -> None:
        topic = Topic()
        topic.acknowledge.clear()
        transport = httpx.ASGITransport(create_receiver(RULE, topic.send, Counter()))
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            asked = asyncio.create_task(client.post("/api/v1/write", content=GOOD, headers=HEADERS))
            async with asyncio.timeout(10):
                while not topic.reports:
                    await asyncio.sleep(0)
            assert not asked.done()
            topic.acknowledge.set()
            assert (await asked).status_code == 204

    asyncio.run(ask())


def test_a_topic_that_fails_or_does_not_answer_is_503_so_that_it_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counter[str]()
    failed = post(GOOD, Topic(StoreError("topic", expected="a leader", got="none", remedy="Wait.")), counts)
    assert (failed.status_code, failed.headers["retry-after"], failed.json()["got"]) == (503, "5", "none")
    assert counts == {"status_503": 1}
    monkeypatch.setattr(module, "SEND_TIMEOUT_S", 0.01)
    silent = Topic()
    silent.acknowledge.clear()
    assert "an acknowledgement within" in post(GOOD, silent).json()["expected"]


@pytest.mark.parametrize("body", [b"", b"\x05", b"junk", bytes(cramjam.snappy.compress(b"framed")), GOOD[:-1]])
def test_what_can_never_be_read_is_400(body: bytes) -> None:
    answer = post(body, topic := Topic(Exception("nothing must be sent")))
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert topic.reports == []


def test_invalid_samples_are_400_after_the_valid_ones_were_taken() -> None:
    topic, counts = Topic(), Counter[str]()
    answer = post(packed(series("", "h", (1.0, MS)), series("köln", "h", (1.0, MS))), topic, counts)
    assert answer.status_code == 400
    assert "label domain" in answer.json()["got"]
    assert [row.vm_id for row in rows(topic.reports)] == ["köln"]
    assert counts == {"samples": 1, "others": 0, "refused": 1, "status_400": 1}


def test_too_large_is_413_packed_or_unpacked() -> None:
    for body in (b"\x00" * (MAX_BODY_BYTES + 1), bytes(cramjam.snappy.compress_raw(bytes(MAX_UNPACKED_BYTES + 1)))):
        answer = post(body, topic := Topic())
        assert (answer.status_code, topic.reports) == (413, [])


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("Content-Type", "application/x-protobuf;proto=prometheus.WriteRequest", 204),
        ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request", 415),
        ("Content-Type", "application/json", 415),
        ("X-Prometheus-Remote-Write-Version", "2.0.0", 415),
        ("X-Prometheus-Remote-Write-Version", "1.0.0", 204),
        ("Content-Encoding", "gzip", 415),
        ("Content-Encoding", "", 415),
    ],
)
def test_another_protocol_is_415(header: str, value: str, code: int) -> None:
    assert post(GOOD, Topic(), changed={header: value}).status_code == code


def test_its_health_and_what_it_does_not_have() -> None:
    async def ask() -> list[int]:
        transport = httpx.ASGITransport(create_receiver(RULE, Topic().send, Counter()))
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            gets = [await client.get(path) for path in ("/healthz", "/api/v1/write", "/")]
            return [got.status_code for got in gets]

    assert asyncio.run(ask()) == [200, 405, 404]
