"""The letters of a topic looked through, one of them found, and their messages sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

from models.errors import BadInput
from stream.dead import DeadLetter, decode_dead
from stream.dead_show import shown
from stream.kafka import Connection
from stream.kafka_tools import Place, Record, Sender, producer, read_topic

UNREADABLE = "unreadable"
Progress = Callable[[float], None]


class Row(NamedTuple):
    """A letter without its message's bytes, and its own place in the log. `key`: the message's, at most 80 bytes.

    One that cannot be read has the reason `unreadable`, says of itself what it can, and has partition and offset -1.
    """

    place: Place
    written_ms: int
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    size_bytes: int
    truncated: bool
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant; None: whatever it is."""

    reason: str | None = None
    topic: str | None = None
    partition: int | None = None
    since_ms: int | None = None

    def fits(self, row: Row) -> bool:
        """Whether `row` is meant."""
        return (
            self.reason in (None, row.reason)
            and self.topic in (None, row.topic)
            and self.partition in (None, row.partition)
            and (self.since_ms is None or row.written_ms >= self.since_ms)
        )


def read_rows(connection: Connection, topic: str, wanted: Wanted, progress: Progress) -> dict[bytes, Row]:
    """The letters that are wanted and have no tombstone, by their own key, the newest writing last."""
    rows: dict[bytes, Row] = {}
    for record in read_topic(connection, topic, progress=progress):
        key = b"\0%d/%d" % (record.partition, record.offset) if record.key is None else record.key
        rows.pop(key, None)
        if record.value is not None and wanted.fits(row := _row(record)):
            rows[key] = row
    return dict(sorted(rows.items(), key=lambda item: item[1].written_ms))


def _row(record: Record) -> Row:
    place = Place(record.partition, record.offset)
    try:
        letter = decode_dead(record.key, record.value or b"")
    except BadInput as error:
        size = len(record.value or b"")
        return Row(place, record.timestamp_ms, shown(record.key), -1, -1, UNREADABLE, error.got, size, False, None)
    return Row(
        place,
        record.timestamp_ms,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.reason,
        letter.detail,
        letter.size_bytes,
        letter.truncated,
        None if letter.key is None else letter.key[:80],
    )


def find_letter(connection: Connection, topic: str, key: bytes, progress: Progress) -> tuple[DeadLetter, int] | None:
    """The newest letter under `key` and when it was written (epoch ms); None where there is none, or a tombstone."""
    newest: Record | None = None
    for record in read_topic(connection, topic, progress=progress):
        if record.key == key:
            newest = record
    if newest is None or newest.value is None:
        return None
    return decode_dead(newest.key, newest.value), newest.timestamp_ms


def send_again(
    own: Connection,
    topic: str,
    rows: Mapping[bytes, Row],
    home: Callable[[str], Connection],
    progress: Progress,
) -> Counter[str]:
    """Send the messages of `rows` back to the very partitions that they came from, and bury each letter.

    A letter gets its tombstone when its message has been acknowledged, so what breaks off in between is sent twice
    and never lost. `home` says how a topic's brokers are reached. Returns how many were `replayed`, and how many were
    not because they are `truncated`, `unreadable` or `empty` (neither key nor value, which nobody can send).
    """
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        graves = stack.enter_context(producer(own))
        senders: dict[Connection, Sender] = {}
        acknowledged: list[Record] = []
        try:
            for record, letter in _letters(own, topic, rows, counts, progress):
                there = home(letter.topic)
                if there not in senders:
                    senders[there] = stack.enter_context(producer(there))
                senders[there].send(
                    letter.topic,
                    letter.key,
                    letter.value,
                    partition=letter.partition,
                    done=lambda _, record=record: acknowledged.append(record),  # type: ignore[misc]
                )
                _bury(graves, topic, acknowledged, counts)
            for sender in senders.values():
                sender.flush()
        finally:
            _bury(graves, topic, acknowledged, counts)
            graves.flush()
    return counts


def _letters(
    own: Connection, topic: str, rows: Mapping[bytes, Row], counts: Counter[str], progress: Progress
) -> Iterator[tuple[Record, DeadLetter]]:
    """The chosen letters that can be sent, with the records that they are in; the others are counted."""
    places = {row.place for row in rows.values()}
    for record in read_topic(own, topic, progress=progress):
        if Place(record.partition, record.offset) not in places:
            continue
        try:
            letter = decode_dead(record.key, record.value or b"")
        except BadInput:
            counts[UNREADABLE] += 1
            continue
        if letter.truncated:
            counts["truncated"] += 1
        elif letter.key is None and letter.value is None:
            counts["empty"] += 1
        else:
            yield record, letter


def _bury(graves: Sender, topic: str, acknowledged: list[Record], counts: Counter[str]) -> None:
    """A tombstone in the partition where the letter lies: compaction knows of no other."""
    while acknowledged:
        record = acknowledged.pop()
        graves.send(topic, record.key, None, partition=record.partition)
        counts["replayed"] += 1
