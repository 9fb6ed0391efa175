"""The core at fleet size: minutes into the ring, spans closed, hours stored, two weeks read. One process and partition.

Each figure is of the code that ingest runs, spans closed by the clock between two minutes (an hour's close is its last
5 minutes' too). On stderr: a VM-major ring fed with the same minutes, and the same fleet when its hosts keep no order.
`peak_mb` is the whole process's, the benchmark's own arrays and the 14 days among them.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.fleet import SLOTS
from models.minutes import DAY_MIN, HOUR_MIN, STEP_MIN, Minute, Span
from stream.due import ClosedHour, Due, Rules, Writer
from stream.keys import KeyTable, LastHours
from stream.partition import Partition
from stream.placing import Fleet
from stream.profile import updated_profiles
from stream.ring import RING_MIN
from stream.samples import Batch, Key, Samples
from stream.slots import Slots
from stream.stores.open import open_stores
from stream.stores.protocols import METRIC_CPU, BlockRow, Series
from tests.bench.lines import result, say

VMS, QUICK_VMS = 1_000_000, 100_000
VMS_A_HOST = 20
HOURS = 4
SPREAD_S, NO_ORDER_S = 2.0, 1e6  # how late reports arrive
DISORDERLY = 12  # minutes
START: Minute = 29_552_400 // DAY_MIN * DAY_MIN
READ_HOURS = 14 * 24


@dataclass(slots=True)
class Times:
    """Seconds of each piece of work, and what the hours left behind."""

    take_s: list[float] = field(default_factory=list)
    minute_s: list[float] = field(default_factory=list)
    close_5m_s: list[float] = field(default_factory=list)
    close_1h_s: list[float] = field(default_factory=list)
    peer_s: list[float] = field(default_factory=list)
    hours: list[Due] = field(default_factory=list)


def minutes_of(vms: int, spread_s: float) -> Iterator[Samples]:
    """Minute after minute of the fleet. Each host reports its VMs at a second of its own, up to `spread_s` late."""
    rng = np.random.default_rng(1)
    hosts = -(-vms // VMS_A_HOST)
    second = rng.integers(0, 60, hosts)
    load = rng.gamma(2.0, 10.0, vms).astype(np.float32)
    minute = START
    while True:
        order = np.argsort(second + rng.random(hosts) * spread_s)
        key = (order[:, None] * VMS_A_HOST + np.arange(VMS_A_HOST)).ravel().astype(np.int32)
        key = key[key < vms]
        value = np.minimum(load[key] * (rng.random(vms, dtype=np.float32) + np.float32(0.5)), np.float32(100))
        yield Samples(key, minute * 60 + second[key // VMS_A_HOST], value)
        minute += 1


def keys_of(vms: int) -> list[Key]:
    return [Key(f"vm-{k:07d}", f"host-{k // VMS_A_HOST:05d}") for k in range(vms)]


def partition_of() -> Partition:
    blocks = iter(range(10**6))
    slots, last_hours = Slots([], [], lambda: next(blocks)), LastHours()
    fleet = Fleet([], 1, [slots])
    return Partition(Writer(0, 1), Rules(), slots, KeyTable(0, fleet, slots, last_hours), None)


def run_hours(partition: Partition, vms: int, times: Times) -> None:
    """HOURS hours through the partition, minute by minute, each span closed by the minute that makes it due."""
    keys, peer = keys_of(vms), np.full((vms, RING_MIN), np.nan, np.float32)
    feed = minutes_of(vms, SPREAD_S)
    began_s = time.perf_counter()
    partition.take(Batch(0, 0, 1, keys, next(feed)), START, loud=True)  # every VM is placed: once in a fleet's life
    say(f"first minute, all VMs new: {time.perf_counter() - began_s:.1f} s")
    for offset in range(1, HOURS * HOUR_MIN + Rules().close_delay_min + 1):
        minute, samples = START + offset, next(feed)
        ticked_s = time.perf_counter()
        due = partition.tick(minute)
        took_s = time.perf_counter()
        partition.take(Batch(0, offset, offset + 1, keys, samples), minute, loud=True)
        done_s = time.perf_counter()
        peer[samples.key, minute % RING_MIN] = samples.value
        times.take_s.append(done_s - took_s)
        times.peer_s.append(time.perf_counter() - done_s)
        if due.hours:
            times.close_1h_s.append(took_s - ticked_s)
            times.hours.append(due)
            say(f"hour {len(times.hours)} of {HOURS}: {np.median(times.take_s) * 1e3:.0f} ms a minute")
        elif due.rows:
            times.close_5m_s.append(took_s - ticked_s)
        else:
            times.minute_s.append(done_s - ticked_s)


def say_no_order(vms: int) -> None:
    """The worst case for caches: each minute the hosts come in another order."""
    partition, keys, took_s = partition_of(), keys_of(vms), []
    for offset, samples in zip(range(DISORDERLY), minutes_of(vms, NO_ORDER_S), strict=False):
        began_s = time.perf_counter()
        partition.take(Batch(0, offset, offset + 1, keys, samples), START + offset, loud=True)
        took_s.append(time.perf_counter() - began_s)
    say(f"hosts in another order each minute: {statistics.median(took_s[1:]) * 1e3:.1f} ms a minute")


def say_peer(times: Times, vms: int) -> None:
    say(f"peer, VM-major scatter with no rule and no placing: {np.median(times.peer_s) * 1e3:.1f} ms a minute")
    rows = np.random.default_rng(2).random((vms, HOUR_MIN), dtype=np.float32)
    began_s = time.perf_counter()
    np.nanmean(rows, axis=1, dtype=np.float64)
    say(f"peer, nanmean over VM-major rows: {(time.perf_counter() - began_s) * 1e3:.0f} ms an hour, its mean alone")


def hourly(due: Due, shift_min: int) -> list[BlockRow]:
    return [replace(row, start=row.start + shift_min) for row in due.rows if row.step_min == HOUR_MIN]


def store_hour(series: Series, due: Due, shift_min: int) -> float:
    """Seconds for an hour's rows and profiles, as ingest makes and puts them."""
    rows = hourly(due, shift_min)
    closed = [ClosedHour(c.part, c.block, c.start + shift_min, c.hour, c.steps) for c in due.hours]
    began_s = time.perf_counter()
    profiles = updated_profiles(series, closed, Rules().profile_alpha)
    made_s = time.perf_counter()
    series.put(METRIC_CPU, rows, profiles)
    done_s = time.perf_counter()
    say(f"stored tick: profiles {(made_s - began_s) * 1e3:.0f} ms, put {(done_s - made_s) * 1e3:.0f} ms")
    return done_s - began_s


def stored_ticks(series: Series, hours: Sequence[Due]) -> list[float]:
    """A second day's hours: the first day, written before, gave every hour of the day its profile."""
    for hour in range(DAY_MIN // HOUR_MIN):
        due = hours[hour % len(hours)]
        store_hour(series, due, START + hour * HOUR_MIN - due.hours[0].start)
    return [store_hour(series, due, DAY_MIN) for due in hours]


def read_14d(series: Series, hours: Sequence[Due], vms: int) -> float:
    """Seconds to read 14 days of hourly rows into float32[336, VMs]; they are written first, a day at a time."""
    start = START + 2 * DAY_MIN
    for first in range(0, READ_HOURS, 24):
        rows: list[BlockRow] = []
        for hour in range(first, first + 24):
            due = hours[hour % len(hours)]
            rows += hourly(due, start + hour * HOUR_MIN - due.hours[0].start)
        series.put(METRIC_CPU, rows)
        say(f"written: {first + 24} of {READ_HOURS} hours")
    blocks = sorted({row.block for row in rows})
    began_s = time.perf_counter()
    mean = series.read(METRIC_CPU, HOUR_MIN, blocks, Span(start, start + READ_HOURS * HOUR_MIN)).mean
    took_s = time.perf_counter() - began_s
    if np.count_nonzero(~np.isnan(mean)) != READ_HOURS * vms:
        raise RuntimeError(f"14 days read: expected {READ_HOURS * vms} means, got {np.count_nonzero(~np.isnan(mean))}")
    return took_s


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # Linux counts in KiB


def in_memory(vms: int) -> list[Due]:
    partition, times = partition_of(), Times()
    run_hours(partition, vms, times)
    accepted = partition.counts["accepted"]
    if accepted != (len(times.take_s) + 1) * vms:
        raise RuntimeError(f"samples accepted: expected {(len(times.take_s) + 1) * vms}, got {accepted}")
    result("samples_per_s", len(times.take_s) * vms / sum(times.take_s))
    result("minute_ms", statistics.median(times.minute_s) * 1e3, 1)
    result("close_5m_ms", statistics.median(times.close_5m_s) * 1e3, 1)
    result("close_1h_ms", statistics.median(times.close_1h_s) * 1e3, 1)
    say(f"peak so far, with the benchmark's own {vms * RING_MIN * 4 / 1e6:.0f} MB VM-major ring: {peak_mb():.0f} MB")
    result("ring_mb", partition.ring_bytes / 1e6, 1)
    say_peer(times, vms)
    say_no_order(vms)
    return times.hours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_VMS:,} VMs")
    parser.add_argument("--vms", type=int)
    args = parser.parse_args()
    vms = args.vms or (QUICK_VMS if args.quick else VMS)
    say(f"{vms:,} VMs in {-(-vms // SLOTS)} blocks, {HOURS} hours, a close each {STEP_MIN} and {HOUR_MIN} minutes")
    hours = in_memory(vms)
    with tempfile.TemporaryDirectory(prefix="zhuge-bench-") as folder:
        url = f"sqlite:{Path(folder) / 'fleet.sqlite'}"
        stores = open_stores(url, url, url)
        try:
            result("stored_tick_ms", statistics.median(stored_ticks(stores.series, hours)) * 1e3, 1)
            result("read_14d_s", read_14d(stores.series, hours, vms), 2)
        finally:
            stores.close()
    result("peak_mb", peak_mb())


if __name__ == "__main__":
    main()
