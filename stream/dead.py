"""Dead letters and late ones: what could not be taken, whole enough to be looked at and sent again.

Key: `topic/partition/offset` (a topic's name has no slash), so a letter written twice is one letter in a compacted
topic. Value: JSON of `DeadLetter`. When a letter was written is the timestamp of its own record in the log.
"""

from __future__ import annotations

import msgspec

from models.errors import BadInput
from stream.wire_base import Message

KEPT_BYTES = 64 * 1024  # of a value, and of a key: a letter stays well below a broker's 1 MiB a message
DETAIL_CHARS = 500
REMEDY = "Another program wrote it; a tombstone (its key without a value) removes it."


class DeadLetter(msgspec.Struct, frozen=True):
    """A message of `topic` that was not taken, why, and its bytes.

    `size_bytes` is the length of the original value (0 where it had none). `truncated`: key or value were longer than
    64 KiB, and `key` and `value` are their beginnings.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    size_bytes: int
    truncated: bool
    reason: str
    detail: str = ""


def encode_dead(topic: str, partition: int, message: Message, reason: str, detail: str = "") -> tuple[bytes, bytes]:
    """Key and value of the letter for `message`; the same message and reason always give the same bytes."""
    key, value = message.key, message.value
    letter = DeadLetter(
        topic,
        partition,
        message.offset,
        message.timestamp,
        None if key is None else bytes(key[:KEPT_BYTES]),
        None if value is None else bytes(value[:KEPT_BYTES]),
        0 if value is None else len(value),
        max(len(key or b""), len(value or b"")) > KEPT_BYTES,
        _text(reason),
        _text(detail[:DETAIL_CHARS]),
    )
    return dead_key(topic, partition, message.offset), msgspec.json.encode(letter)


def dead_key(topic: str, partition: int, offset: int) -> bytes:
    """The key under which the letter for one message is kept."""
    return f"{topic}/{partition}/{offset}".encode()


def decode_dead(key: bytes | None, value: bytes) -> DeadLetter:
    """The letter behind a record. BadInput where it is none, or lies under another message's key."""
    try:
        letter = msgspec.json.decode(value, type=DeadLetter)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"dead letter {_shown(key)}", expected="JSON of a dead letter", got=_text(str(error)), remedy=REMEDY
        ) from None
    if key != dead_key(letter.topic, letter.partition, letter.offset):
        expected = dead_key(letter.topic, letter.partition, letter.offset)
        raise BadInput(f"dead letter {_shown(key)}", expected=f"key {expected!r}", got=repr(key), remedy=REMEDY)
    return letter


def _shown(key: bytes | None) -> str:
    return "without a key" if key is None else repr(key[:200])


def _text(text: str) -> str:
    """`text` with what UTF-8 cannot say escaped (a lone surrogate in what a decoder complains of)."""
    return text.encode("utf-8", "backslashreplace").decode()
