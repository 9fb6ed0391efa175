"""The commands for what could not be taken: dead list, dead show, dead replay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import TypedDict, TypeVar, Unpack

import click

from models.errors import BadInput
from models.minutes import parse_iso
from stream.dead_show import describe, moment, plain, shown
from stream.dead_tools import Row, Wanted, find_letter, read_rows, send_again
from stream.front import Front
from stream.kafka import Connection, topics_of
from stream.progress import bar, say
from stream.settings import Settings
from stream.sources import connection_of, source_of

Command = TypeVar("Command", bound=Callable[..., None])


class Filters(TypedDict):
    """Which letters are meant, as the command line says it."""

    reason: str | None
    topic: str | None
    source: str | None
    partition: int | None
    since: str | None


def filtered(command: Command) -> Command:
    """The options of `Filters`."""
    for option in (
        click.option("--since", help="Written not before this time, ISO 8601 with a zone."),
        click.option("--partition", type=int, help="Partition that the messages came from."),
        click.option("--source", help="A declared source: the same as --topic with its topic."),
        click.option("--topic", help="Topic that the messages came from."),
        click.option("--reason", help="Such as malformed, wrong_fields, impossible; dead list counts them."),
    ):
        command = option(command)
    return command


@click.group()
def dead() -> None:
    """Look at the messages that could not be taken, and send them again."""


@dead.command(
    "list",
    epilog="""\b
    Examples:
      zhuge dead list
      zhuge dead list --reason malformed --source hosts --since 2026-03-10T12:00Z
      zhuge dead list --late --json
    """,
)
@filtered
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Rows at most, newest first.")
@click.option("--late", is_flag=True, help="The messages whose samples came too late.")
@click.option("--events", is_flag=True, help="The events that an agent could not handle.")
@click.option("--json", "as_json", is_flag=True, help="Counts and rows as JSON.")
@click.pass_obj
def list_(front: Front, limit: int, late: bool, events: bool, as_json: bool, **filters: Unpack[Filters]) -> None:
    """Count the dead letters by reason, and list the newest."""
    if late and events:
        raise BadInput("--late and --events", expected="one of them", got="both", remedy="Ask twice.")
    topics = topics_of(front.settings.kafka.prefix)
    topic = topics.late if late else topics.events_dead if events else topics.dead
    rows = list(_rows(front.settings, topic, filters).values())
    counts = dict(Counter(row.reason for row in rows).most_common())
    newest = rows[: -limit - 1 : -1]
    if as_json:
        click.echo(json.dumps({"counts": counts, "letters": [_as_json(row) for row in newest]}, indent=2))
        return
    click.echo(f"letters: {len(rows)}")
    for reason, count in counts.items():
        click.echo(f"  {plain(reason)}: {count}")
    for row in newest:
        click.echo(_line(row))


@dead.command(
    epilog="""\b
    Examples:
      zhuge dead show cpu.hosts/3/1207
      zhuge dead show cpu.hosts/3/1207 --hex
    """
)
@click.argument("message", metavar="TOPIC/PARTITION/OFFSET")
@click.option("--late", is_flag=True, help="Look among those that came too late.")
@click.option("--events", is_flag=True, help="Look among the events.")
@click.option("--hex", "as_hex", is_flag=True, help="A hexdump, also where the bytes are text.")
@click.pass_obj
def show(front: Front, message: str, late: bool, events: bool, as_hex: bool) -> None:
    """Show one dead letter with the bytes of its message."""
    topics = topics_of(front.settings.kafka.prefix)
    topic = topics.late if late else topics.events_dead if events else topics.dead
    with bar("reading the dead letters") as update:
        found = find_letter(
            connection_of(front.settings.kafka), topic, message.encode(), lambda share: update(share, "")
        )
    if found is None:
        raise BadInput(
            "dead letter",
            expected=f"one of topic {topic}, written TOPIC/PARTITION/OFFSET",
            got=repr(message),
            remedy="`zhuge dead list` has them.",
        )
    click.echo(describe(*found, as_hex=as_hex))


@dead.command(
    epilog="""\b
    Examples:
      zhuge dead replay --dry-run
      zhuge dead replay --reason no_vcpus --source hosts --yes
    """
)
@filtered
@click.option("--dry-run", is_flag=True, help="Only say how many it would be.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def replay(front: Front, dry_run: bool, yes: bool, **filters: Unpack[Filters]) -> None:
    """Send messages back to the topics that they came from; a letter whose message was taken by the broker is gone.

    What is longer than a letter keeps (64 KiB) cannot be sent again.
    """
    settings = front.settings
    topic = topics_of(settings.kafka.prefix).dead
    rows = _rows(settings, topic, filters)
    if dry_run or not rows:
        for reason, count in Counter(row.reason for row in rows.values()).most_common():
            click.echo(f"  {plain(reason)}: {count}")
        click.echo(f"would_replay: {sum(not row.truncated for row in rows.values())}")
        return
    if not yes:
        click.confirm(f"Send {len(rows):,} messages again?", abort=True)
    with bar("sending them again") as update:
        counts = send_again(
            connection_of(settings.kafka), topic, rows, lambda name: _home(settings, name), lambda s: update(s, "")
        )
    click.echo(f"replayed: {counts.pop('replayed', 0)}")
    for why, count in counts.items():
        click.echo(f"{why}: {count}")
    if counts:
        say("What is truncated, unreadable or empty stays: `zhuge dead show` has what there is of it.")


def _rows(settings: Settings, topic: str, filters: Filters) -> dict[bytes, Row]:
    named = filters["topic"]
    if filters["source"] is not None:
        if named is not None:
            raise BadInput("--topic and --source", expected="one of them", got="both", remedy="Leave one out.")
        named = source_of(settings, filters["source"]).topic
    since = filters["since"]
    since_ms = None if since is None else parse_iso(since) * 60_000
    wanted = Wanted(filters["reason"], named, filters["partition"], since_ms)
    with bar("reading the dead letters") as update:
        return read_rows(connection_of(settings.kafka), topic, wanted, lambda share: update(share, ""))


def _home(settings: Settings, topic: str) -> Connection:
    """How the brokers of `topic` are reached: as its source declares, else as our own."""
    for name, source in settings.sources.items():
        if source.topic == topic:
            return source_of(settings, name).connection
    return connection_of(settings.kafka)


def _line(row: Row) -> str:
    name = f"{plain(row.topic)}/{row.partition}/{row.offset}" if row.offset >= 0 else plain(row.topic)
    size = f"{row.size_bytes:,} bytes" + (", truncated" if row.truncated else "")
    key = f"key {shown(row.key)}"
    return "  ".join([moment(row.written_ms), name, plain(row.reason), size, key, plain(row.detail)])


def _as_json(row: Row) -> dict[str, object]:
    return {
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset,
        "reason": row.reason,
        "detail": row.detail,
        "size_bytes": row.size_bytes,
        "truncated": row.truncated,
        "key": shown(row.key),
        "written": moment(row.written_ms),
    }
