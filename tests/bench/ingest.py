"""The firehose on a real Kafka: one worker, from messages to stored aggregates with their offsets committed; and peers.

All on this machine: the broker and the benchmark's own look at it share the cores with whom they serve; CPU seconds are
the reader's alone. Rates are between two commits, the first one after an eighth of the topic (after the fleet's first
sight; for Flink a third, after its compilers), the last one at its end; stores are SQLite files. Peers read the same
topics: PyFlink by deploy/flink/means.sql with its means thrown away, and a plain agent of Faust. `restart_to_live_s` is
from the start of the process to all read and committed again, with one more minute that came meanwhile.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from stream.kafka import Connection
from tests.bench.ingest_load import VMS_A_HOST, Load, Loaded, closed, fill, grown
from tests.bench.ingest_peers import MEANS, SINGLES, Flink, Job, Peer, built, faust_running, flink_running
from tests.bench.ingest_watch import Mark, Pace, follow, pace_of, peak_mb, watched
from tests.bench.ingest_worker import check_stored, prepared, read_all
from tests.bench.lines import result, say
from tests.services import broker

HOSTS_FIRST = 29_552_400 + 26  # so that 128 minutes end where the longest replay begins: 93 minutes
PEER_LIMIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """VMs and minutes of each topic, and how often each is read."""

    big: Load
    hosts: Load
    poisoned: Load
    singles: Load
    arrow: Load
    passes: int
    faust_s: float


DEFAULT = Sizes(
    big=Load("big", "host-json", 1_000_000, 25),
    hosts=Load("hosts", "host-json", 100_000, 128, first=HOSTS_FIRST),
    poisoned=Load("poisoned", "host-json", 100_000, 60, poisoned=True),
    singles=Load("singles", "json", 100_000, 20),
    arrow=Load("arrow", "arrow", 100_000, 100),
    passes=3,
    faust_s=20.0,
)
QUICK = Sizes(
    big=Load("big", "host-json", 50_000, 30),
    hosts=Load("hosts", "host-json", 10_000, 128, first=HOSTS_FIRST),
    poisoned=Load("poisoned", "host-json", 10_000, 60, poisoned=True),
    singles=Load("singles", "json", 10_000, 30),
    arrow=Load("arrow", "arrow", 20_000, 60),
    passes=1,
    faust_s=5.0,
)


class Read(NamedTuple):
    """What one worker did with one topic."""

    pace: Pace
    peak_mb: float


class Rates(NamedTuple):
    """Medians of several passes. Samples are good ones; CPU seconds are a sample's."""

    messages_per_s: float
    samples_per_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is."""

    connection: Connection
    folder: Path


def read(place: Place, loaded: Loaded, name: str) -> Read:
    """A new worker reads the topic from its start to its end; everything is stored, and checked to be."""
    with prepared(place.connection, loaded, place.folder / name) as (bench, workers):
        began_s = time.monotonic()
        worker = workers.start()
        marks = read_all(bench, workers, worker, loaded.messages)
        found = Read(pace_of(marks, loaded.messages // 8), peak_mb(worker.process.pid))
        whole_s = marks[-1].at_s - began_s
        check_stored(bench)
        workers.stop(worker)
    shutil.rmtree(bench.folder)
    say(
        f"{name}: {loaded.messages:,} messages in {whole_s:.1f} s with start and first sight, then "
        f"{found.pace.messages_per_s:,.0f} messages/s, {found.pace.cpu_s / found.pace.took_s:.2f} cores, "
        f"{found.peak_mb:.0f} MB"
    )
    return found


def rates_of(paces: Sequence[Pace], loaded: Loaded) -> Rates:
    samples = loaded.load.samples / loaded.messages
    messages_per_s = statistics.median(pace.messages_per_s for pace in paces)
    cpu_s = statistics.median(pace.cpu_s_a_message for pace in paces)
    return Rates(messages_per_s, messages_per_s * samples, cpu_s / samples)


def loaded_of(place: Place, load: Load) -> Loaded:
    began_s = time.monotonic()
    loaded = fill(place.connection, load)
    say(f"{load.topic}: {loaded.messages:,} messages loaded in {time.monotonic() - began_s:.1f} s")
    return loaded


def big(place: Place, load: Load) -> None:
    loaded = closed(place.connection, loaded_of(place, load))
    found = read(place, loaded, load.topic)
    rates = rates_of([found.pace], loaded)
    result("host_samples_per_s", rates.samples_per_s)
    result("peak_mb", found.peak_mb)
    result("worker_cpu_s_per_m_samples", rates.cpu_s * 1e6, 2)


def restarted(place: Place, loaded: Loaded) -> Loaded:
    """Everything read, kill -9, one more minute, and a new worker until it has caught up."""
    with prepared(place.connection, loaded, place.folder / "restarted") as (bench, workers):
        read_all(bench, workers, workers.start(), loaded.messages)
        workers.kill(workers.running[0])
        loaded = grown(place.connection, loaded)
        began_s = time.monotonic()
        worker = workers.start()
        read_all(bench, workers, worker, loaded.messages)
        result("restart_to_live_s", time.monotonic() - began_s, 1)
        workers.stop(worker)
    shutil.rmtree(bench.folder)
    return loaded


def passes(place: Place, inputs: Sequence[Loaded], times: int) -> list[Rates]:
    """Each topic read `times` times, in turn, so that all meet the same neighbours."""
    paces: list[list[Pace]] = [[] for _ in inputs]
    for number in range(times):
        for loaded, found in zip(inputs, paces, strict=True):
            found.append(read(place, loaded, f"{loaded.load.topic}-{number}").pace)
    return [rates_of(found, loaded) for found, loaded in zip(paces, inputs, strict=True)]


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


def faust(place: Place, loaded: Loaded, limit_s: float) -> None:
    """Plain Faust for so many seconds after its first commit, or to the end of the topic."""
    began: list[float] = []

    def enough(mark: Mark) -> bool:
        if mark.done and not began:
            began.append(mark.at_s)
        return mark.done >= loaded.messages or bool(began and mark.at_s - began[0] > limit_s)

    with faust_running(place.connection, loaded.load.topic, "faust-plain", place.folder) as peer:
        pace = peer_pace(peer, place, "faust-plain", enough, 1)
    say(f"faust: {pace.messages_per_s:,.0f} events/s of {VMS_A_HOST} samples, {pace.cpu_s / pace.took_s:.2f} cores")
    result("faust_events_per_s", pace.messages_per_s)


def all_figures(place: Place, sizes: Sizes) -> None:
    home = built()
    big(place, sizes.big)
    hosts = closed(place.connection, restarted(place, loaded_of(place, sizes.hosts)))
    poisoned = closed(place.connection, loaded_of(place, sizes.poisoned))
    singles = closed(place.connection, loaded_of(place, sizes.singles))
    arrow = closed(place.connection, loaded_of(place, sizes.arrow))
    ours, half_bad, ours_single, ours_arrow = passes(place, [hosts, poisoned, singles, arrow], sizes.passes)
    result("single_samples_per_s", ours_single.samples_per_s)
    result("arrow_samples_per_s", ours_arrow.samples_per_s)
    result("poison_half_ratio", half_bad.messages_per_s / ours.messages_per_s, 2)
    faust(place, hosts, sizes.faust_s)
    flinks, flinks_single = flink(place, home, [(MEANS, hosts), (SINGLES, singles)])
    result("flink_samples_per_s", flinks.samples_per_s)
    result("times_flink_per_core", flinks.cpu_s / ours.cpu_s, 1)
    result("times_flink_per_core_single", flinks_single.cpu_s / ours_single.cpu_s, 1)


def say_machine() -> None:
    model = next((line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if "model name" in line), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    say(
        f"{os.cpu_count()} cores ({model.partition(':')[2].strip()}), {memory:.0f} GB, load {os.getloadavg()[0]:.1f} "
        f"before the start, Python {platform.python_version()}; the broker runs beside the worker"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fleets of a tenth and less, each topic read once")
    args = parser.parse_args()
    say_machine()
    with (
        tempfile.TemporaryDirectory(prefix="zhuge-bench-") as folder,
        broker(Path(folder) / "kafka") as own,
    ):
        all_figures(Place(Connection((own.bootstrap,)), Path(folder)), QUICK if args.quick else DEFAULT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
