"""`zhuge dead` on a real broker, and how a letter is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput
from stream.dead import encode_dead
from stream.dead_show import hexdump, moment, plain, shown
from stream.kafka_tools import ensure_topics, own_topics, producer, read_topic, samples_topic
from tests.services import Kafka
from tests.stream.kafka_given import Asked, numbers


class Sent(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 1_700_000_000_250


EVIL = "\x1b[2J\u202e\x9b31m"


@pytest.fixture
def asked(tmp_path: Path, kafka: Kafka, prefix: str) -> Asked:
    """Five letters of `hosts`, one of another topic, one that is none at all, and one that was buried."""
    asked = Asked(tmp_path, kafka, prefix)
    ensure_topics(asked.own, [*own_topics(asked.topics), samples_topic(asked.samples, 2)])
    ensure_topics(asked.own, [samples_topic(f"{prefix}other", 1)])
    letters = [
        (asked.samples, 0, Sent(1, b"h-1", b'{"host": "h-1", "ts":'), "malformed", "Input data was truncated"),
        (asked.samples, 1, Sent(2, b"h-2", b"\xff\xfe\x00" * 7), "malformed", "not JSON"),
        (asked.samples, 1, Sent(3, EVIL.encode(), EVIL.encode()), "wrong_fields", EVIL),
        (asked.samples, 1, Sent(4, b"h-2", b"x" * 70_000), "too_large", ""),
        (asked.samples, 1, Sent(5, None, None), "no_value", ""),
        (f"{prefix}other", 0, Sent(1, None, b"{}"), "wrong_fields", "no vm"),
    ]
    with producer(asked.own) as sender:
        for letter in letters:
            sender.send(asked.topics.dead, *encode_dead(*letter), partition=letter[1])
        sender.send(asked.topics.dead, b"not/a/letter", b"{", partition=2)
        sender.send(asked.topics.dead, *encode_dead(asked.samples, 0, Sent(9, None, b"{"), "malformed"), partition=0)
        sender.send(asked.topics.dead, f"{asked.samples}/0/9".encode(), None, partition=0)
        sender.send(asked.topics.late, *encode_dead(asked.samples, 0, Sent(7, b"h-1", b"{}"), "late", "1 of its 25"))
    return asked


def test_the_list_counts_by_reason_and_shows_the_newest_first(asked: Asked) -> None:
    lines = asked.ask("dead", "list").splitlines()
    assert lines[:6] == [
        "letters: 7",
        "  malformed: 2",
        "  wrong_fields: 2",
        "  too_large: 1",
        "  no_value: 1",
        "  unreadable: 1",
    ]
    rows = lines[6:]
    assert [line.split("  ")[0] for line in rows] == sorted((line.split("  ")[0] for line in rows), reverse=True)
    assert any(f"  {asked.samples}/1/4  too_large  70,000 bytes, truncated  key h-2" in line for line in rows)
    assert any("  not/a/letter  unreadable  1 bytes  key none  " in line for line in rows)
    assert f"  {asked.samples}/0/9  " not in "".join(rows)


def test_nothing_in_a_letter_reaches_the_terminal_as_it_was(asked: Asked) -> None:
    for said in (asked.ask("dead", "list"), asked.ask("dead", "show", f"{asked.samples}/1/3")):
        assert r"\x1b[2J\u202e\x9b31m" in said
        assert all(line.isprintable() for line in said.splitlines())


@pytest.mark.parametrize(
    ("filters", "letters"),
    [
        (["--reason", "malformed"], 2),
        (["--reason", "unreadable"], 1),
        (["--source", "hosts"], 5),
        (["--topic", "{prefix}other"], 1),
        (["--source", "hosts", "--partition", "0"], 1),
        (["--partition", "0"], 2),
        (["--since", "2026-01-01T00:00Z"], 7),
        (["--since", "2100-01-01T00:00Z"], 0),
        (["--late"], 1),
        (["--events"], 0),
    ],
)
def test_the_list_is_filtered(asked: Asked, filters: list[str], letters: int) -> None:
    said = asked.ask("dead", "list", *(part.format(prefix=asked.prefix) for part in filters))
    assert numbers(said)["letters"] == letters


def test_the_list_is_limited_and_counts_all(asked: Asked) -> None:
    assert asked.ask("dead", "list", "--limit", "0").splitlines()[-1] == "  unreadable: 1"
    assert len(asked.ask("dead", "list", "--limit", "2").splitlines()) == 8


def test_the_list_is_json_if_that_is_asked_for(asked: Asked) -> None:
    said = json.loads(asked.ask("dead", "list", "--json", "--reason", "too_large"))
    assert said["counts"] == {"too_large": 1}
    written = said["letters"][0].pop("written")
    assert written.endswith("Z")
    assert said["letters"] == [
        {
            "topic": asked.samples,
            "partition": 1,
            "offset": 4,
            "reason": "too_large",
            "detail": "",
            "size_bytes": 70_000,
            "truncated": True,
            "key": "h-2",
        }
    ]


def test_show_gives_text_as_text_and_other_bytes_as_a_hexdump(asked: Asked) -> None:
    text = asked.ask("dead", "show", f"{asked.samples}/0/1").splitlines()
    assert text[:3] == [f"message  {asked.samples}/0/1", "reason   malformed", "detail   Input data was truncated"]
    assert text[4:] == ["sent     2023-11-14T22:13:20.250Z", "key      h-1", "value    21 bytes", "", text[-1]]
    assert text[-1] == '{"host": "h-1", "ts":'
    dump = asked.ask("dead", "show", f"{asked.samples}/1/2").splitlines()
    assert dump[-2:] == [
        "00000000  ff fe 00 ff fe 00 ff fe 00 ff fe 00 ff fe 00 ff  |................|",
        "00000010  fe 00 ff fe 00                                   |.....|",
    ]
    assert "7b 22 68 6f 73 74 22 3a 20" in asked.ask("dead", "show", f"{asked.samples}/0/1", "--hex")
    assert asked.ask("dead", "show", "--late", f"{asked.samples}/0/7").splitlines()[1] == "reason   late"


@pytest.mark.parametrize("message", ["{samples}/0/9", "{samples}/0/8", "nonsense"])
def test_show_refuses_what_is_not_there(asked: Asked, message: str) -> None:
    with pytest.raises(BadInput, match=r"expected one of topic .*samples.dead, written TOPIC/PARTITION/OFFSET"):
        asked.ask("dead", "show", message.format(samples=asked.samples))


def test_show_says_why_a_letter_cannot_be_read(asked: Asked) -> None:
    with pytest.raises(BadInput, match="dead letter b'not/a/letter': expected JSON of a dead letter"):
        asked.ask("dead", "show", "not/a/letter")


def test_replay_sends_the_bytes_back_to_where_they_came_from_and_buries_the_letter(asked: Asked) -> None:
    said = asked.ask("dead", "replay", "--yes")
    assert numbers(said) == {"replayed": 4, "truncated": 1, "empty": 1, "unreadable": 1}
    came = {(record.partition, record.key, record.value) for record in read_topic(asked.own, asked.samples)}
    assert came == {
        (0, b"h-1", b'{"host": "h-1", "ts":'),
        (1, b"h-2", b"\xff\xfe\x00" * 7),
        (1, EVIL.encode(), EVIL.encode()),
    }
    assert [record[2:4] for record in read_topic(asked.own, f"{asked.prefix}other")] == [(None, b"{}")]
    assert numbers(asked.ask("dead", "list")) == {"letters": 3, "too_large": 1, "no_value": 1, "unreadable": 1}
    assert numbers(asked.ask("dead", "replay", "--yes", "--source", "hosts", "--reason", "malformed")) == {
        "would_replay": 0
    }


def test_a_dry_run_sends_nothing(asked: Asked) -> None:
    said = asked.ask("dead", "replay", "--dry-run", "--reason", "malformed")
    assert numbers(said) == {"malformed": 2, "would_replay": 2}
    assert list(read_topic(asked.own, asked.samples)) == []
    assert numbers(asked.ask("dead", "list"))["letters"] == 7


def test_replay_asks_first(asked: Asked) -> None:
    with pytest.raises(click.Abort):
        asked.ask("dead", "replay", "--topic", f"{asked.prefix}other", answer="n\n")
    assert "replayed: 1" in asked.ask("dead", "replay", "--topic", f"{asked.prefix}other", answer="y\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--late", "--events"], "expected one of them, got both"),
        (["list", "--topic", "a", "--source", "hosts"], "expected one of them, got both"),
        (["list", "--source", "host"], "the nearest is hosts"),
        (["list", "--since", "yesterday"], "expected an ISO 8601 time"),
    ],
)
def test_what_is_asked_wrongly_is_refused(tmp_path: Path, kafka: Kafka, arguments: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Asked(tmp_path, kafka, "none.").ask("dead", *arguments)


@given(st.text())
def test_plain_text_is_printable_and_one_line(text: str) -> None:
    assert plain(text).isprintable()
    if text.isprintable():
        assert plain(text) == text


@given(st.binary(max_size=100))
def test_a_hexdump_has_all_the_bytes(raw: bytes) -> None:
    assert b"".join(bytes.fromhex(line[10:57]) for line in hexdump(raw)) == raw


@given(st.binary(max_size=100))
def test_bytes_are_shown_on_one_printable_line(raw: bytes) -> None:
    assert shown(raw).isprintable()


@pytest.mark.parametrize(("epoch_ms", "said"), [(0, "1970-01-01T00:00:00.000Z"), (2**62, f"{2**62} ms")])
def test_a_moment_is_shown_even_if_no_calendar_has_it(epoch_ms: int, said: str) -> None:
    assert moment(epoch_ms) == said
