"""The firehose on a real Kafka: one worker, from messages to stored aggregates with their offsets committed; and peers.

All on this machine: the broker and the benchmark's own look at it share the cores with whom they serve; CPU seconds are
the reader's alone. Rates are between two commits, the first one after an eighth of the topic (after the fleet's first
sight; for Flink after a third of what it did, for its compilers), the last one at its end; stores are SQLite files.
Peers read the same topics, as much as they can within a minute: PyFlink by deploy/flink/means.sql with its means thrown
away, and a plain agent of Faust. With `--quick` we and the peers read at the same time, and a JVM has hardly begun to
compile when it is at the end: that shows that all of it works, and little more. `restart_to_live_s` is from the start
of the process to all read and committed again, with one more minute that came meanwhile; the worker has a name of its
own in its group (`kafka.instance`), else it would wait for its dead predecessor's session to end.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stream.kafka import Connection
from tests.bench.ingest_load import Load, Loaded, closed, fill, grown
from tests.bench.ingest_peers import MEANS, SINGLES, built
from tests.bench.ingest_rates import Place, Rates, faust, flink, rates_of
from tests.bench.ingest_watch import Pace, pace_of, peak_mb
from tests.bench.ingest_worker import check_stored, prepared, read_all
from tests.bench.lines import result, say
from tests.services import broker

HOSTS_FIRST = 29_552_400 + 26  # so that 128 minutes end where the longest replay begins: 93 minutes


@dataclass(frozen=True, slots=True)
class Sizes:
    """VMs and minutes of each topic, how often each is read, and how many readers there are at a time.

    `big` None: the figures of `hosts` stand for it.
    """

    big: Load | None
    hosts: Load
    poisoned: Load
    singles: Load
    arrow: Load
    passes: int
    faust_s: float
    flink_s: float
    at_once: int = 1


DEFAULT = Sizes(
    big=Load("big", "host-json", 1_000_000, 25),
    hosts=Load("hosts", "host-json", 100_000, 128, first=HOSTS_FIRST),
    poisoned=Load("poisoned", "host-json", 100_000, 60, poisoned=True),
    singles=Load("singles", "json", 50_000, 40),
    arrow=Load("arrow", "arrow", 50_000, 200),
    passes=3,
    faust_s=20.0,
    flink_s=60.0,
)
QUICK = Sizes(
    big=None,
    hosts=Load("hosts", "host-json", 10_000, 128, first=HOSTS_FIRST),
    poisoned=Load("poisoned", "host-json", 10_000, 64, poisoned=True),
    singles=Load("singles", "json", 10_000, 25),
    arrow=Load("arrow", "arrow", 10_000, 120),
    passes=1,
    faust_s=2.0,
    flink_s=4.0,
    at_once=3,
)


class Read(NamedTuple):
    """What one worker did with one topic."""

    pace: Pace
    peak_mb: float


def read(place: Place, loaded: Loaded, name: str) -> Read:
    """A new worker reads the topic from its start to its end; everything is stored, and checked to be."""
    with prepared(place.connection, loaded, place.folder / name) as (bench, workers):
        worker = workers.start()
        marks = read_all(bench, workers, worker, loaded.messages)
        found = Read(pace_of(marks, loaded.messages // 8), peak_mb(worker.process.pid))
        check_stored(bench)
        workers.kill(worker)
    shutil.rmtree(bench.folder)
    say(
        f"{name}: the first messages committed after {marks[1].at_s - marks[0].at_s:.1f} s, all after "
        f"{marks[-1].at_s - marks[0].at_s:.1f} s"
    )
    say_read(name, found)
    return found


def loaded_of(place: Place, load: Load) -> Loaded:
    began_s = time.monotonic()
    loaded = fill(place.connection, load)
    say(f"{load.topic}: {loaded.messages:,} messages loaded in {time.monotonic() - began_s:.1f} s")
    return loaded


def say_read(name: str, found: Read) -> None:
    pace = found.pace
    cores = pace.cpu_s / pace.took_s
    say(f"{name}: {pace.messages_per_s:,.0f} messages/s with {cores:.2f} cores, {found.peak_mb:.0f} MB")


def big(found: Read, loaded: Loaded) -> None:
    rates = rates_of([found.pace], loaded)
    result("host_samples_per_s", rates.samples_per_s)
    result("peak_mb", found.peak_mb)
    result("worker_cpu_s_per_m_samples", rates.cpu_s * 1e6, 2)


def restarted(place: Place, loaded: Loaded) -> tuple[Read, Loaded]:
    """Everything read, kill -9, one more minute, and a new worker until it has caught up. What the first one did."""
    with prepared(place.connection, loaded, place.folder / "restarted") as (bench, workers):
        worker = workers.start()
        marks = read_all(bench, workers, worker, loaded.messages)
        first = Read(pace_of(marks, loaded.messages // 8), peak_mb(worker.process.pid))
        workers.kill(worker)
        say_read("restarted", first)
        loaded = grown(place.connection, loaded)
        began_s = time.monotonic()
        worker = workers.start()
        read_all(bench, workers, worker, loaded.messages)
        result("restart_to_live_s", time.monotonic() - began_s, 1)
        workers.kill(worker)
    shutil.rmtree(bench.folder)
    return first, loaded


def passes(place: Place, inputs: Sequence[Loaded], times: int, before: Read) -> list[Rates]:
    """Each topic read `times` times, in turn, so that all meet the same neighbours; the first one was once `before`."""
    paces: list[list[Pace]] = [[before.pace], *([] for _ in inputs[1:])]
    for number in range(times):
        for loaded, found in zip(inputs, paces, strict=True):
            if len(found) < times:
                found.append(read(place, loaded, f"{loaded.load.topic}-{number}").pace)
    return [rates_of(found, loaded) for found, loaded in zip(paces, inputs, strict=True)]


def ours(place: Place, sizes: Sizes, hosts: Loaded, others: Sequence[Loaded]) -> list[Rates]:
    """What a worker does: killed and started again, then with each topic, `hosts` first."""
    before, grown_hosts = restarted(place, hosts)
    if sizes.big is None:
        big(before, hosts)
    return passes(place, [closed(place.connection, grown_hosts), *others], sizes.passes, before)


def all_figures(place: Place, sizes: Sizes) -> None:
    home = built()
    if sizes.big is not None:
        fleet = closed(place.connection, loaded_of(place, sizes.big))
        big(read(place, fleet, fleet.load.topic), fleet)
    hosts = loaded_of(place, sizes.hosts)
    others = [closed(place.connection, loaded_of(place, load)) for load in (sizes.poisoned, sizes.singles, sizes.arrow)]
    with ThreadPoolExecutor(sizes.at_once) as pool:
        of_ours = pool.submit(ours, place, sizes, hosts, others)
        of_faust = pool.submit(faust, place, hosts, sizes.faust_s)
        of_flink = pool.submit(flink, place, home, [(MEANS, hosts), (SINGLES, others[1])], sizes.flink_s)
    good, half_bad, single, arrow = of_ours.result()
    flinks, flinks_single = of_flink.result()
    result("single_samples_per_s", single.samples_per_s)
    result("arrow_samples_per_s", arrow.samples_per_s)
    result("poison_half_ratio", half_bad.messages_per_s / good.messages_per_s, 2)
    result("faust_events_per_s", of_faust.result())
    result("flink_samples_per_s", flinks.samples_per_s)
    result("times_flink_per_core", flinks.cpu_s / good.cpu_s, 1)
    result("times_flink_per_core_single", flinks_single.cpu_s / single.cpu_s, 1)


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
