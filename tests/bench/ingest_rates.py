"""Rates of readers of a topic, and the peers read to them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from stream.kafka import Connection
from tests.bench.ingest_load import VMS_A_HOST, Loaded
from tests.bench.ingest_peers import Flink, Job, Peer, faust_running, flink_running
from tests.bench.ingest_watch import Mark, Pace, follow, pace_of, watched
from tests.bench.lines import say

PEER_LIMIT_S = 90.0


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


def peer_pace(peer: Peer, place: Place, group: str, enough: Callable[[Mark], bool], after: int) -> Pace:
    with watched(place.connection, group) as commits:
        end_s = time.monotonic() + PEER_LIMIT_S
        marks = follow(commits, peer.process.pid, lambda mark: enough(mark) or time.monotonic() > end_s, peer.alive)
    return pace_of(marks, after)


def flink(place: Place, home: Flink, inputs: Sequence[tuple[Path, Loaded]]) -> list[Rates]:
    """One JVM, topic after topic; the end of a job is not waited for, as its last commit may not come."""
    jobs = [Job(sql, loaded.load.topic, f"flink-{loaded.load.topic}") for sql, loaded in inputs]
    found = []
    with flink_running(home, place.connection, jobs, place.folder) as peer:
        for job, (_, loaded) in zip(jobs, inputs, strict=True):
            enough = partial(_most_of, loaded)
            pace = peer_pace(peer, place, job.group, enough, loaded.messages // 3)
            found.append(rates_of([pace], loaded))
            say(f"flink, {job.topic}: {pace.messages_per_s:,.0f} messages/s, {pace.cpu_s / pace.took_s:.2f} cores")
    return found


def _most_of(loaded: Loaded, mark: Mark) -> bool:
    return mark.done >= 0.9 * loaded.messages


def faust(place: Place, loaded: Loaded, limit_s: float) -> float:
    """Events per second of plain Faust, for so many seconds after its first commit, or to the end of the topic."""
    began: list[float] = []

    def enough(mark: Mark) -> bool:
        if mark.done and not began:
            began.append(mark.at_s)
        return mark.done >= loaded.messages or bool(began and mark.at_s - began[0] > limit_s)

    with faust_running(place.connection, loaded.load.topic, "faust-plain", place.folder) as peer:
        pace = peer_pace(peer, place, "faust-plain", enough, 1)
    say(f"faust: {pace.messages_per_s:,.0f} events/s of {VMS_A_HOST} samples, {pace.cpu_s / pace.took_s:.2f} cores")
    return pace.messages_per_s
