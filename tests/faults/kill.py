"""kill -9 the ingest at random moments, start it again until it is done, and compare with an undisturbed run.

The oracle: every VM's 5-minute and hourly means and counts of the undisturbed run, bit for bit, whatever the slots.
It kills processes, not the machine: what a power cut does to a disk is not shown here.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.minutes import HOUR_MIN, STEP_MIN, Clock, Span
from stream.clock import write_clock
from stream.due import Rules
from stream.ingest import Ingest
from stream.replay import ReplaySource, open_trace
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import METRIC_CPU
from stream.synthetic import DEMO_NOW
from tests.bench.lines import result, say

ROOT = Path(__file__).parents[2]
SOURCE = "synthetic:vms=200,days=3"
READY = b"ready\n"
LIFETIME = 1 / 3  # a child lives at most so much of an undisturbed run: several deaths in one history
LIMIT_S = 240.0

Cells = dict[tuple[str, int, int, int], tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]]


class Verdict(NamedTuple):
    """`lost`: cells with fewer samples than the oracle's; `doubled`: cells with more, or with another mean."""

    kills: int
    lost: int
    doubled: int


def ingest_all(database: Path) -> None:
    """What the child does: take the trace's past as far as it has not been taken, then close what is open."""
    trace = open_trace(SOURCE)
    with _stores(database) as stores:
        write_clock(stores.control, Clock())
        ingest = Ingest(ReplaySource(trace, lambda: DEMO_NOW), stores, Rules(), time.time)
        while ingest.behind:
            ingest.step()
        write_clock(stores.control, Clock(speed=0.0, origin_minute=DEMO_NOW + Rules().close_delay_min))
        ingest.step()


def harness(kills: int, seed: int) -> Verdict:
    """Kill `kills` times in all, over as many histories as that takes; each history is compared at its end."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="zhuge-kill-") as folder:
        oracle_run = Path(folder) / "oracle.sqlite"
        whole_s = _undisturbed_s(oracle_run)
        oracle = stored_cells(oracle_run)
        say(f"undisturbed: {whole_s:.1f} s, {len(oracle)} series of means")
        killed = lost = doubled = history = 0
        while killed < kills:
            history += 1
            database = Path(folder) / f"history-{history}.sqlite"
            deaths = _history(database, rng, kills - killed, whole_s)
            killed += deaths
            fewer, other = compare(oracle, stored_cells(database))
            lost, doubled = lost + fewer, doubled + other
            say(f"history {history}: {deaths} kills, lost {fewer}, doubled {other}; {killed} of {kills} kills")
    return Verdict(killed, lost, doubled)


def stored_cells(database: Path) -> Cells:
    """mean float32[steps] and count uint8[steps] by (vm_id, created_at, from_minute, step_min)."""
    days = open_trace(SOURCE).span.start
    found: Cells = {}
    with _stores(database) as stores:
        placements = [p for vm in stores.catalogue.lives() for p in vm.placements]
        for step_min in (STEP_MIN, HOUR_MIN):
            for block in {p.block for p in placements}:
                cells = stores.series.read(METRIC_CPU, step_min, [block], Span(days, DEMO_NOW))
                for p in (p for p in placements if p.block == block):
                    key = (p.vm_id, p.created_at, p.from_minute, step_min)
                    found[key] = (cells.mean[:, p.slot].copy(), cells.count[:, p.slot].copy())
    return found


def compare(oracle: Cells, found: Cells) -> tuple[int, int]:
    """(lost, doubled) cells of `found`; a series that only one of the two has counts with all its samples' cells."""
    lost = doubled = 0
    for key in oracle.keys() | found.keys():
        mean, count = oracle.get(key) or _nothing(found[key])
        its_mean, its_count = found.get(key) or _nothing(oracle[key])
        other_mean = mean.view(np.uint32) != its_mean.view(np.uint32)  # as bits: NaN equals itself, 0.0 is no -0.0
        lost += int(np.count_nonzero(its_count < count))
        doubled += int(np.count_nonzero((its_count > count) | ((its_count == count) & other_mean)))
    return lost, doubled


def _nothing(
    like: tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    return np.full_like(like[0], np.nan), np.zeros_like(like[1])


def _history(database: Path, rng: random.Random, most: int, whole_s: float) -> int:
    """Start children on one store until one gets to its end; all before it, at most `most`, are killed."""
    deaths = 0
    while True:
        with _child(database) as child:
            try:
                code = child.wait(rng.uniform(0, whole_s * LIFETIME) if deaths < most else LIMIT_S)
            except subprocess.TimeoutExpired:
                if deaths == most:
                    raise
                child.kill()
                child.wait()
                deaths += 1
                continue
        if code:
            raise subprocess.CalledProcessError(code, child.args)
        return deaths


def _undisturbed_s(database: Path) -> float:
    with _child(database) as child:
        began_s = time.monotonic()
        if code := child.wait(LIMIT_S):
            raise subprocess.CalledProcessError(code, child.args)
        return time.monotonic() - began_s


@contextmanager
def _child(database: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that ingests into `database`, given out when it has loaded its code."""
    command = [sys.executable, "-m", "tests.faults.kill", "--child", str(database)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            if child.stdout.readline() != READY:
                raise subprocess.CalledProcessError(child.wait(), command)
            yield child
        finally:
            child.kill()


@contextmanager
def _stores(database: Path) -> Iterator[Stores]:
    url = f"sqlite:{database}"
    stores = open_stores(url, url, url)
    try:
        yield stores
    finally:
        stores.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="3 kills")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        sys.stdout.buffer.write(READY)
        sys.stdout.buffer.flush()
        ingest_all(args.child)
        return 0
    verdict = harness(3 if args.quick else args.kills, args.seed)
    for name, value in verdict._asdict().items():
        result(name, value)
    return int(verdict.lost + verdict.doubled > 0)


if __name__ == "__main__":
    sys.exit(main())
