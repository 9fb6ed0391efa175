from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput
from stream.dead import DETAIL_CHARS, KEPT_BYTES, dead_key, decode_dead, encode_dead


class Sent(NamedTuple):
    offset: int = 7
    key: bytes | None = b"host-1"
    value: bytes | None = b"{"
    timestamp: int = 1_700_000_000_000


MESSAGES = st.builds(
    Sent,
    offset=st.integers(0, 2**63 - 1),
    key=st.none() | st.binary(max_size=50),
    value=st.none() | st.binary(max_size=300),
    timestamp=st.integers(-1, 2**63 - 1),
)
TOPICS = st.from_regex(r"[a-zA-Z0-9._-]{1,40}", fullmatch=True)


@given(TOPICS, st.integers(0, 10_000), MESSAGES, st.text(), st.text())
def test_a_letter_says_all_of_its_message(topic: str, partition: int, sent: Sent, reason: str, detail: str) -> None:
    key, value = encode_dead(topic, partition, sent, reason, detail)
    letter = decode_dead(key, value)
    assert (letter.topic, letter.partition, letter.offset) == (topic, partition, sent.offset)
    assert (letter.key, letter.value, letter.timestamp_ms) == (sent.key, sent.value, sent.timestamp)
    assert (letter.size_bytes, letter.truncated) == (len(sent.value or b""), False)
    assert (letter.reason, letter.detail) == (reason, detail[:DETAIL_CHARS])


@given(st.tuples(TOPICS, st.integers(0), st.integers(0)), st.tuples(TOPICS, st.integers(0), st.integers(0)))
def test_two_messages_never_share_a_key(one: tuple[str, int, int], other: tuple[str, int, int]) -> None:
    assert (dead_key(*one) == dead_key(*other)) == (one == other)


def test_the_same_message_gives_the_same_bytes() -> None:
    assert encode_dead("cpu", 1, Sent(), "malformed", "x") == encode_dead("cpu", 1, Sent(), "malformed", "x")


def test_the_key_is_readable_and_the_value_is_json_with_base64() -> None:
    key, value = encode_dead("cpu.hosts", 3, Sent(), "malformed", "Input data was truncated")
    assert key == b"cpu.hosts/3/7"
    assert json.loads(value) == {
        "topic": "cpu.hosts",
        "partition": 3,
        "offset": 7,
        "timestamp_ms": 1_700_000_000_000,
        "key": "aG9zdC0x",
        "value": "ew==",
        "size_bytes": 1,
        "truncated": False,
        "reason": "malformed",
        "detail": "Input data was truncated",
    }


@pytest.mark.parametrize(("size", "truncated"), [(KEPT_BYTES, False), (KEPT_BYTES + 1, True), (900_000, True)])
def test_the_beginning_of_a_large_value_is_kept(size: int, truncated: bool) -> None:
    letter = decode_dead(*encode_dead("cpu", 0, Sent(value=b"x" * size), "too_large"))
    assert (letter.size_bytes, letter.truncated) == (size, truncated)
    assert letter.value == b"x" * KEPT_BYTES


def test_a_large_key_is_truncated_too() -> None:
    letter = decode_dead(*encode_dead("cpu", 0, Sent(key=b"k" * 100_000), "bad_id"))
    assert (letter.key, letter.truncated, letter.size_bytes) == (b"k" * KEPT_BYTES, True, 1)


def test_a_lone_surrogate_in_a_detail_does_not_stop_the_letter() -> None:
    assert decode_dead(*encode_dead("cpu", 0, Sent(), "bad_id", "vm \udc80")).detail == r"vm \udc80"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"cpu/0/7", b""),
        (b"cpu/0/7", b"\xff\xfe"),
        (b"cpu/0/7", b"[1]"),
        (b"cpu/0/7", b'{"topic": "cpu"}'),
        (b"cpu/0/7", b'{"topic": "\xff"}'),
        (None, encode_dead("cpu", 0, Sent(), "malformed")[1]),
        (b"cpu/0/8", encode_dead("cpu", 0, Sent(), "malformed")[1]),
    ],
)
def test_what_is_no_letter_is_refused_in_words(key: bytes | None, value: bytes) -> None:
    with pytest.raises(BadInput, match="dead letter"):
        decode_dead(key, value)
