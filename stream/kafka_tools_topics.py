"""Topics: made as they are meant to be, and read from end to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaTimeoutError, for_code

from models.errors import BadInput, StoreError
from stream.kafka import Connection, Topics
from stream.kafka_tools_client import ANSWER_S, options, reached

DAY_MS = 86_400_000
LETTERS_KEPT_MS = 14 * DAY_MS
EVENTS_KEPT_MS = 7 * DAY_MS
THERE_S = 30.0  # until a topic just made has leaders
ALREADY = (36, 37)  # TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS: another process was faster; the wait below has the say


class TopicSpec(NamedTuple):
    """A topic as it is meant to be. `retention_ms` None: the brokers' default; with `compacted`: for ever.

    `stamped`: a record bears the time at which the brokers got it, whatever its producer's clock says.
    """

    name: str
    partitions: int
    compacted: bool = False
    retention_ms: int | None = None
    stamped: bool = False

    @property
    def policy(self) -> frozenset[str]:
        """Its cleanup.policy."""
        if not self.compacted:
            return frozenset({"delete"})
        return frozenset({"compact"} if self.retention_ms is None else {"compact", "delete"})


class Ensured(NamedTuple):
    """What became of a topic. `partitions`: how many it has now. `was`: how many it had; 0: it was not there."""

    name: str
    partitions: int
    was: int


class Record(NamedTuple):
    """One record of a log. A value of None is a tombstone. `timestamp_ms`: when the broker was sent it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


def own_topics(topics: Topics, partitions: int = 4) -> list[TopicSpec]:
    """Our own topics. Those that every worker reads whole have one partition, so that they have one order."""
    return [
        TopicSpec(topics.inventory, 1, compacted=True),
        TopicSpec(topics.placements, 1, retention_ms=DAY_MS),
        TopicSpec(topics.hours, partitions, retention_ms=EVENTS_KEPT_MS),
        TopicSpec(topics.dead, partitions, compacted=True, retention_ms=LETTERS_KEPT_MS),
        TopicSpec(topics.late, partitions, compacted=True, retention_ms=LETTERS_KEPT_MS),
        TopicSpec(topics.outcomes, partitions, retention_ms=LETTERS_KEPT_MS),
        TopicSpec(topics.models, 1, retention_ms=LETTERS_KEPT_MS),
        TopicSpec(topics.events_dead, partitions, retention_ms=LETTERS_KEPT_MS),
    ]


def samples_topic(name: str, partitions: int) -> TopicSpec:
    """A source's topic. Whether a sample is ahead of the clock is judged by when it came: at a replay the same."""
    return TopicSpec(name, partitions, stamped=True)


def ensure_topics(connection: Connection, specs: Sequence[TopicSpec], *, limit_s: float = THERE_S) -> list[Ensured]:
    """Make what is missing, add partitions where more are asked for, and wait until all are there; in `specs`' order.

    A topic that is there already keeps its retention, its kind of time stamps, and what partitions it has beyond those
    asked for. BadInput, before anything is made, where one has another cleanup.policy. StoreError where the brokers are
    out of reach, refuse, or are not done within `limit_s`.
    """
    with reached(connection), closing(KafkaAdminClient(**options(connection))) as admin:
        was = _partitions(admin, [spec.name for spec in specs])
        _check_policies(admin, [spec for spec in specs if spec.name in was])
        made = {
            spec.name: {"num_partitions": spec.partitions, "replication_factor": -1, "configs": _configs(spec)}
            for spec in specs
            if spec.name not in was
        }
        if made:
            answer = admin.create_topics(made, raise_errors=False)
            _check({found["name"]: (found["error_code"], found["error_message"]) for found in answer["topics"]})
        grown = {spec.name: spec.partitions for spec in specs if 0 < len(was.get(spec.name, ())) < spec.partitions}
        if grown:
            results = admin.create_partitions(grown, raise_errors=False).results
            _check({found.name: (found.error_code, found.error_message) for found in results})
        now = _wait(admin, specs, limit_s)
    return [Ensured(spec.name, now[spec.name], len(was.get(spec.name, ()))) for spec in specs]


def _partitions(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, list[bool]]:
    """Of each partition of each topic, whether it has a leader; only the topics that are there."""
    return {
        topic["name"]: [part["leader_id"] >= 0 for part in topic["partitions"]]
        for topic in (admin.describe_topics(list(names)) if names else [])
        if topic["error_code"] == 0
    }


def _configs(spec: TopicSpec) -> dict[str, str]:
    configs = {"cleanup.policy": ",".join(sorted(spec.policy))}
    if spec.retention_ms is not None:
        configs["retention.ms"] = str(spec.retention_ms)
    if spec.stamped:
        configs["message.timestamp.type"] = "LogAppendTime"
    return configs


def _check_policies(admin: KafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    asked = [ConfigResource(ConfigResourceType.TOPIC, spec.name, ["cleanup.policy"]) for spec in specs]
    found = admin.describe_configs(asked, config_filter="all")["topic"] if asked else {}
    for spec in specs:
        policy = found[spec.name].get("cleanup.policy", {}).get("value", "none that we may see")
        if frozenset(policy.split(",")) != spec.policy:
            expected = ",".join(sorted(spec.policy))
            remedy = f"Set it with kafka-configs.sh, or use another name or prefix: {expected} is what it is read as."
            raise BadInput(f"topic {spec.name}", expected=f"cleanup.policy {expected}", got=policy, remedy=remedy)


def _check(errors: Mapping[str, tuple[int, str | None]]) -> None:
    for name, (code, message) in errors.items():
        if code and code not in ALREADY:
            got = f"{for_code(code).__name__} ({message})"
            remedy = "Mend what it names, or make the topic with the brokers' own tools."
            raise StoreError(f"topic {name}", expected="to be made", got=got, remedy=remedy)


def _wait(admin: KafkaAdminClient, specs: Sequence[TopicSpec], limit_s: float) -> dict[str, int]:
    end_s = time.monotonic() + limit_s
    while True:
        now = _partitions(admin, [spec.name for spec in specs])
        missing = [spec.name for spec in specs if sum(now.get(spec.name, ())) < spec.partitions]
        if not missing:
            return {name: len(led) for name, led in now.items()}
        if time.monotonic() >= end_s:
            raise StoreError(
                f"topics {', '.join(missing)}",
                expected=f"a leader for every partition within {limit_s:g} s",
                got="none for some",
                remedy="Look into the brokers' log, and ask again.",
            )
        time.sleep(0.05)


def read_topic(
    connection: Connection, topic: str, *, progress: Callable[[float], None] = lambda _: None
) -> Iterator[Record]:
    """Every committed record of `topic`, from the start to its end as of now; within a partition in order.

    `progress` is told which share has been read. StoreError where the brokers are out of reach, stop answering, or
    have no such topic.
    """
    with reached(connection), closing(_consumer(connection)) as consumer:
        parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        if not parts:
            raise no_such_topic(topic)
        consumer.assign(parts)
        first, end = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        for part in parts:
            consumer.seek(part, first[part])
        yield from _read(consumer, first, {part: end[part] for part in parts if first[part] < end[part]}, progress)


def no_such_topic(topic: str) -> StoreError:
    """What is said of a topic that the brokers do not know."""
    return StoreError(
        f"topic {topic}",
        expected="one that the brokers know",
        got="none of that name",
        remedy="Make it: zhuge topics (with --samples-partitions for those of the sources).",
    )


def _consumer(connection: Connection) -> KafkaConsumer:
    return KafkaConsumer(
        **options(connection),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # where retention took the start away meanwhile
        allow_auto_create_topics=False,
        request_timeout_ms=int(ANSWER_S * 1000),
        metrics_enabled=False,
    )


def _read(
    consumer: KafkaConsumer,
    first: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int],
    progress: Callable[[float], None],
) -> Iterator[Record]:
    """Until the position of each partition is past its end: its last offsets may be holes that compaction left."""
    left, heard_s = dict(end), time.monotonic()
    total = sum(end[part] - first[part] for part in end)
    while left:
        before = {part: consumer.position(part) for part in left}
        for part, records in consumer.poll(timeout_ms=100, max_records=5_000).items():
            for found in records:
                if found.offset < end[part]:
                    yield Record(part.partition, found.offset, found.key, found.value, found.timestamp)
        after = {part: consumer.position(part) for part in left}
        for part in [part for part, position in after.items() if position >= end[part]]:
            del left[part]
            consumer.pause(part)
        if after != before:
            heard_s = time.monotonic()
            progress(1 - sum(max(0, end[part] - after[part]) for part in left) / total)
        elif time.monotonic() - heard_s > ANSWER_S:
            raise KafkaTimeoutError(f"nothing more came within {ANSWER_S:g} s")
