"""Rates of readers of a topic, and the peers read to them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stream.kafka import Connection
from tests.bench.ingest_load import VMS_A_HOST, Loaded
from tests.bench.ingest_peers import Flink, Job, Peer, faust_running, flink_running
from tests.bench.ingest_watch import Mark, Pace, follow, pace_of, watched
from tests.bench.lines import say

STARTS_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is."""

    connection: Connection
    folder: Path


class Rates(NamedTuple):
    """Medians of several passes. Samples are good ones; CPU seconds are a sample's."""

    messages_per_s: float
    samples_per_s: float
    cpu_s: float


def rates_of(paces: Sequence[Pace], loaded: Loaded) -> Rates:
    samples = loaded.load.samples / loaded.messages
    messages_per_s = statistics.median(pace.messages_per_s for pace in paces)
    cpu_s = statistics.median(pace.cpu_s_a_message for pace in paces)
    return Rates(messages_per_s, messages_per_s * samples, cpu_s / samples)


def flink(place: Place, home: Flink, inputs: Sequence[tuple[Path, Loaded]], limit_s: float) -> list[Rates]:
    """One JVM, topic after topic; the end of a job is not waited for, as its last commit may not come."""
    jobs = [Job(sql, loaded.load.topic, f"flink-{loaded.load.topic}") for sql, loaded in inputs]
    found = []
    with flink_running(home, place.connection, jobs, place.folder, int(limit_s) + STARTS_WITHIN_S) as peer:
        for job, (_, loaded) in zip(jobs, inputs, strict=True):
            marks = _marks(place, peer, job.group, int(0.9 * loaded.messages), limit_s)
            pace = pace_of(marks, marks[-1].done // 3)
            found.append(rates_of([pace], loaded))
            say(f"flink, {job.topic}: {pace.messages_per_s:,.0f} messages/s with {pace.cpu_s / pace.took_s:.2f} cores")
    return found


def faust(place: Place, loaded: Loaded, limit_s: float) -> float:
    """Events per second of plain Faust."""
    group = "faust-plain"
    with faust_running(place.connection, loaded.load.topic, group, place.folder) as peer:
        pace = pace_of(_marks(place, peer, group, loaded.messages, limit_s), 1)
    say(f"faust: {pace.messages_per_s:,.0f} events/s of {VMS_A_HOST} samples with {pace.cpu_s / pace.took_s:.2f} cores")
    return pace.messages_per_s


def _marks(place: Place, peer: Peer, group: str, messages: int, limit_s: float) -> list[Mark]:
    """Marks of a peer until so many messages are committed, or until `limit_s` after its first commit."""
    began: list[float] = []
    end_s = time.monotonic() + limit_s + STARTS_WITHIN_S

    def enough(mark: Mark) -> bool:
        if mark.done and not began:
            began.append(mark.at_s)
        return mark.done >= messages or bool(began and mark.at_s > began[0] + limit_s)

    def alive() -> None:
        peer.alive()
        if time.monotonic() > end_s:
            raise RuntimeError(f"expected {group} to commit within {STARTS_WITHIN_S} s, got\n{peer.tail()}")

    with watched(place.connection, group) as commits:
        return follow(commits, peer.process.pid, enough, alive)
