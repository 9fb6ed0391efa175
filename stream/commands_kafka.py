"""The commands that look after the brokers' topics: topics, inventory push, list, forget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

import click

from models.errors import BadInput
from models.fleet import VmRecord
from models.minutes import format_iso
from stream.dead_show import plain
from stream.front import Front
from stream.inventory import decode_record, encode_record
from stream.inventory_file import read_inventory
from stream.kafka import topics_of
from stream.kafka_tools import Ensured, ensure_topics, own_topics, producer, read_topic, samples_topic
from stream.progress import bar
from stream.settings import Settings
from stream.sources import connection_of, source_of

Records = Mapping[str, VmRecord]


@click.command(
    epilog="""\b
    Examples:
      zhuge topics                           our own topics
      zhuge topics --samples-partitions 8    and those of the declared sources
    """
)
@click.option(
    "--samples-partitions", type=click.IntRange(1, 10_000), help="Make the sources' topics, too, with so many."
)
@click.pass_obj
def topics(front: Front, samples_partitions: int | None) -> None:
    """Make the topics that are missing; what is there stays as it is, or gets the partitions that it lacks."""
    settings = front.settings
    own = own_topics(topics_of(settings.kafka.prefix))
    for ensured in ensure_topics(connection_of(settings.kafka), own):
        click.echo(_said(ensured))
    if samples_partitions is None:
        return
    for name in settings.sources:
        declared = source_of(settings, name)
        for ensured in ensure_topics(declared.connection, [samples_topic(declared.topic, samples_partitions)]):
            click.echo(_said(ensured))


def _said(ensured: Ensured) -> str:
    what = "made" if not ensured.was else "there" if ensured.was == ensured.partitions else f"grown from {ensured.was}"
    return f"{ensured.name}: {ensured.partitions} partition{'s' * (ensured.partitions > 1)}, {what}"


@click.group()
def inventory() -> None:
    """What the workers are told of the VMs: host, vcpus, memory, cluster, policy."""


@inventory.command(
    epilog="""\b
    Examples:
      zhuge inventory push vms.csv
      zhuge inventory push vms.parquet --dry-run
      zhuge inventory push export.txt --format jsonl

    \b
    Columns: vm_id, host, from (epoch minutes UTC, or ISO 8601 with a zone); and, where known, created_at, vcpus,
    memory_mb, cluster, timezone, blackout, max_load_pct, opt_out.
    """
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(["csv", "parquet", "jsonl"]), help="[default: by the name]")
@click.option("--dry-run", is_flag=True, help="Only check every row.")
@click.pass_obj
def push(front: Front, file: Path, kind: str | None, dry_run: bool) -> None:
    """Check every row of FILE, then write them all to the inventory's topic; a wrong row, and nothing is written."""
    with bar("checking every row"):
        records = read_inventory(file, kind)
    if not dry_run:
        connection, topic = connection_of(front.settings.kafka), topics_of(front.settings.kafka.prefix)
        ensure_topics(connection, own_topics(topic)[:1])
        with bar("sending the records") as update, producer(connection) as sender:
            for number, record in enumerate(records, start=1):
                sender.send(topic.inventory, *encode_record(record))
                if number % 1_000 == 0:
                    update(number / len(records), f"{number:,} records")
    click.echo(f"records: {len(records)}")


@inventory.command(
    "list",
    epilog="""\b
    Examples:
      zhuge inventory list
      zhuge inventory list vm-000123
      zhuge inventory list --json > vms.jsonl
    """,
)
@click.argument("vms", nargs=-1, metavar="[VM]...")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, as `inventory push` reads them.")
@click.pass_obj
def list_(front: Front, vms: tuple[str, ...], as_json: bool) -> None:
    """The newest record of each VM that the inventory holds, by id."""
    records, unreadable = _read(front.settings)
    _check_known(vms, records)
    for vm_id in sorted(vms or records):
        click.echo(_as_json(records[vm_id]) if as_json else _line(records[vm_id]))
    for problem in unreadable:
        click.echo(f"unreadable: {problem}", err=True)


@inventory.command(
    epilog="""\b
    Examples:
      zhuge inventory forget vm-000123
    """
)
@click.argument("vms", nargs=-1, required=True, metavar="VM...")
@click.pass_obj
def forget(front: Front, vms: tuple[str, ...]) -> None:
    """Take VMs out of the inventory; their samples are still taken, and their stored hours stay."""
    records, _ = _read(front.settings)
    _check_known(vms, records)
    topic = topics_of(front.settings.kafka.prefix).inventory
    with producer(connection_of(front.settings.kafka)) as sender:
        for vm_id in vms:
            sender.send(topic, vm_id.encode(), None)
    click.echo(f"forgotten: {len(vms)}")


def _read(settings: Settings) -> tuple[dict[str, VmRecord], list[str]]:
    """The newest record of each VM, and what is said of those that cannot be read."""
    records: dict[str, VmRecord] = {}
    unreadable: list[str] = []
    topic = topics_of(settings.kafka.prefix).inventory
    with bar("reading the inventory") as update:
        for found in read_topic(connection_of(settings.kafka), topic, progress=lambda share: update(share, "")):
            try:
                record = decode_record(found.key, found.value)
            except BadInput as problem:
                unreadable.append(plain(str(problem)))
                continue
            if record is None:
                records.pop((found.key or b"").decode(), None)
            elif record.vm_id not in records or record.from_minute >= records[record.vm_id].from_minute:
                records[record.vm_id] = record
    return records, unreadable


def _check_known(vms: tuple[str, ...], records: Records) -> None:
    for vm_id in vms:
        if vm_id not in records:
            near = get_close_matches(vm_id, records, n=1, cutoff=0.0)
            remedy = f"The nearest is {plain(near[0])}." if near else "It is empty: zhuge inventory push."
            raise BadInput("VM", expected="one that the inventory holds", got=repr(vm_id), remedy=remedy)


def _as_json(record: VmRecord) -> str:
    """In ASCII: an id may hold what a terminal takes for an order."""
    return json.dumps(json.loads(encode_record(record)[1]))


def _line(record: VmRecord) -> str:
    policy = record.policy
    told = {
        "created": None if record.created_at is None else format_iso(record.created_at),
        "vcpus": None if record.vcpus is None else f"{record.vcpus:g}",
        "memory_mb": record.memory_mb,
        "cluster": record.cluster or None,
        "timezone": policy.timezone,
        "blackout": "; ".join(policy.blackout) or None,
        "max_load_pct": policy.max_load_pct,
        "opt_out": "yes" if policy.opt_out else None,
    }
    known = "  ".join(f"{name} {value}" for name, value in told.items() if value is not None)
    return plain(f"{record.vm_id}  on {record.host} from {format_iso(record.from_minute)}  {known}")
