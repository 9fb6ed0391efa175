"""Real workers on a real broker, faults on both, and the stored aggregates against an oracle computed from the log.

For each fault: how often it was injected; lost, aggregates (5 minutes or an hour of a VM) and letters that are not
there or have fewer minutes than the log has; doubled, those with more minutes, or with as many and another mean; and
the longest time from an injection to caught up: all handled, and all stored that has closed.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from models.errors import ZhugeError
from models.minutes import HOUR_MIN, Minute
from stream.kafka import Connection
from tests.bench.lines import result, say
from tests.faults import combined, injections, inputs
from tests.faults.injections import FULL, QUICK, Injected, Scale, Stage
from tests.faults.oracle import Wrong
from tests.faults.script import Fleet
from tests.faults.verdict import made, wanted
from tests.faults.world import World, world
from tests.services import Broker, broker

FAULTS: dict[str, Callable[[Stage], Injected]] = {
    "VMs moved across hosts and partitions": inputs.moved,
    "duplicate, corrected, late and shuffled input": inputs.duplicated_and_shuffled,
    "poison flood": inputs.poisoned,
    "clock skew": inputs.skewed,
    "idle partition": injections.idle_partition,
    "backlog of moves": injections.backlog,
    "kill -9 of a worker": injections.killed,
    "one, two, three, one worker": injections.rebalanced,
    "SIGSTOP of a worker": injections.stopped,
    "database locked": injections.locked,
    "partition added": injections.partition_added,
    "kill -9 of the broker": injections.broker_killed,
}
HARDER: dict[str, Callable[[Stage], Injected]] = {  # at full counts only
    "kill -9 amid bad input": combined.killed_amid_bad_input,
    "kill -9, counters of CPU seconds": injections.killed,
    "kill -9, a host ahead of the clock": combined.ahead_and_killed,
    "partition added, database locked": combined.added_while_locked,
    "VMs moved, shuffled input": combined.moved_and_shuffled,
}
COUNTERS = "kill -9, counters of CPU seconds"
PARTITIONS, HOSTS, VMS = 4, 16, 200
PACE_PER_S = 25.0  # minutes of the fleet a second
SETTLE_S = 90.0
SHOWN = 8


class Row(NamedTuple):
    """One line of the table."""

    fault: str
    times: int
    lost: int
    doubled: int
    seconds: float


class Chapter(NamedTuple):
    """A fault as it was played, and the fleet's minute at which it began."""

    fault: str
    began: Minute
    injected: Injected


def play(faults: Sequence[str], scale: Scale, seed: int, folder: Path, own: Broker) -> list[Row]:
    """One world, these faults one after the other, and the verdict at its end."""
    fleet = Fleet(VMS, HOSTS, seed, counters=COUNTERS in faults)
    connection = Connection((own.bootstrap,))
    with world(connection, folder, partitions=PARTITIONS, fleet=fleet, pace_per_s=PACE_PER_S) as played:
        stage = Stage(played, own, scale, Random(seed), folder)
        played.workers.start()
        played.flow(10)
        played.catch_up()
        played.churn = True
        chapters = [_chapter(fault, stage) for fault in faults]
        return list(_rows(chapters, verdict(played)))


def verdict(played: World, limit_s: float = SETTLE_S) -> list[Wrong]:
    """What is wrong when everything has been fed and every span has closed; it is given some time to become right."""
    played.finish()
    must = wanted(played)
    give_up_s = time.monotonic() + limit_s
    while (wrong := must.wrong(made(played), played.feed.acknowledged)) and time.monotonic() < give_up_s:
        played.workers.see_to()
        time.sleep(0.5)
    if wrong:
        say(f"{played.workers.tails()}\n{len(wrong)} wrong of {must.messages} messages:")
    for found in wrong[:SHOWN]:
        say(f"  {found}")
    return wrong


def _chapter(fault: str, stage: Stage) -> Chapter:
    """Played from a whole hour on, so that what is wrong in an hour is this fault's."""
    stage.world.flow(-stage.world.minute % HOUR_MIN)
    began, began_s = stage.world.minute, time.monotonic()
    injected = (FAULTS | HARDER)[fault](stage)
    say(f"{fault}: {injected.count} in {time.monotonic() - began_s:.0f} s")
    return Chapter(fault, began, injected)


def _rows(chapters: Sequence[Chapter], wrong: Sequence[Wrong]) -> Iterator[Row]:
    for index, (fault, began, injected) in enumerate(chapters):
        ends = [chapter.began for chapter in chapters[index + 1 :]]
        first = index == 0  # what went wrong before it counts, too
        mine = [w for w in wrong if (first or began <= w.minute) and (not ends or w.minute < ends[0])]
        doubled = sum(w.doubled for w in mine)
        yield Row(fault, injected.count, len(mine) - doubled, doubled, max(injected.seconds))


def play_each(faults: Sequence[str], scale: Scale, seed: int, folder: Path, own: Broker) -> Iterator[Row | None]:
    """A world for each fault, so that none hides another's; None where a worker or the broker gave up."""
    for number, fault in enumerate(faults):
        home = folder / f"world-{number}"
        home.mkdir()
        try:
            yield from play([fault], scale, seed + number, home, own)
        except ZhugeError as error:
            say(f"{fault}: {error}")
            yield None


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| fault | count | lost | doubled | seconds to recover |", "|---|---:|---:|---:|---:|"]
    lines += [f"| {r.fault} | {r.times:,} | {r.lost} | {r.doubled} | {r.seconds:.1f} |" for r in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="each once, in a single world")
    parser.add_argument("--fault", action="append", help="only this one (a part of its name; may be repeated)")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    known = list(FAULTS) if args.quick else [*FAULTS, *HARDER]
    chosen = [fault for fault in known if not args.fault or any(part in fault for part in args.fault)]
    if not chosen:
        parser.error(f"--fault: expected a part of one of {', '.join(known)}, got {args.fault}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    folder = Path(tempfile.mkdtemp(prefix="zhuge-faults-"))
    with broker(folder / "broker") as own:
        if args.quick:
            (folder / "world").mkdir()
            rows: list[Row | None] = [*play(chosen, QUICK, args.seed, folder / "world", own)]
        else:
            rows = list(play_each(chosen, FULL, args.seed, folder, own))
    played = [row for row in rows if row is not None]
    sys.stdout.write(f"{table(played)}\n\n")
    lost, doubled = sum(row.lost for row in played), sum(row.doubled for row in played)
    result("lost", lost)
    result("doubled", doubled)
    if lost or doubled or len(played) < len(rows):
        say(f"Logs and stores are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
