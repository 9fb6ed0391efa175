"""What is done to processes and servers: each fault is injected into a running world, which must then catch up.

A fault says how often it was injected, and the seconds from each injection to caught up: what is in the log is handled,
and what has closed is stored.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from stream.kafka_tools import partition_of
from tests.faults.world import RULES, World, as_they_are
from tests.services import Broker

SETTLED_MIN = 20  # between two moves of a VM in a backlog: more than flapping


@dataclass(frozen=True, slots=True)
class Scale:
    """How often, how long. `locked_s` is longer than a store waits for a lock (5 s)."""

    kills: int
    stops: int
    stopped_s: float
    outages: int
    outage_s: float
    rounds: int
    locked_s: float
    minutes: int


QUICK = Scale(kills=1, stops=1, stopped_s=5, outages=1, outage_s=3, rounds=1, locked_s=7, minutes=60)
FULL = Scale(kills=20, stops=3, stopped_s=60, outages=3, outage_s=15, rounds=3, locked_s=20, minutes=240)


@dataclass(slots=True)
class Stage:
    """Where faults play: the world with its broker, how much of each, and the dice."""

    world: World
    broker: Broker
    scale: Scale
    rng: Random
    folder: Path


@dataclass(frozen=True, slots=True)
class Injected:
    """What a fault did: how often, and the seconds from each injection to caught up (of some there are several)."""

    count: int
    seconds: list[float]


def killed(stage: Stage) -> Injected:
    """kill -9 of the only worker at random moments, a third of them while it still makes the last one good."""
    world, rng, count, took = stage.world, stage.rng, 0, []
    while count < stage.scale.kills:
        world.flow(rng.randint(3, 40))
        time.sleep(rng.uniform(0, 1 / world.pace_per_s))
        began_s = time.monotonic()
        for again in range(min(1 + (rng.random() < 1 / 3), stage.scale.kills - count)):
            time.sleep(rng.uniform(2, 6) * again)
            world.workers.kill(world.workers.running[0])
            count += 1
            world.flow(rng.randint(0, 20))
            world.workers.start()
        world.catch_up()
        took.append(time.monotonic() - began_s)
    return Injected(count, took)


def stopped(stage: Stage) -> Injected:
    """SIGSTOP of one of two workers until the group has given its partitions away, and for longer; then it goes on."""
    world, took, before = stage.world, [], stage.world.epochs()
    world.workers.start()
    world.until(lambda: world.epochs() != before, "a second worker that has partitions")
    world.catch_up()
    for _ in range(stage.scale.stops):
        world.flow(stage.rng.randint(3, 40))
        time.sleep(stage.rng.uniform(0, 1 / world.pace_per_s))
        before, began_s = world.epochs(), time.monotonic()
        victim = stage.rng.choice(world.workers.running)
        world.workers.pause(victim)
        world.until(partial(world.taken_over, before), "every partition taken over")
        while time.monotonic() - began_s < stage.scale.stopped_s:
            world.send()
        world.workers.resume(victim)
        world.catch_up()
        took.append(time.monotonic() - began_s)
    world.workers.stop(world.workers.running[0])
    world.catch_up()
    return Injected(len(took), took)


def backlog(stage: Stage) -> Injected:
    """No worker runs, while VMs arrive, move and move again; the next one reads the partitions at paces of its own."""
    world = stage.world
    world.workers.stop(world.workers.running[0])
    for _ in range(2 * stage.scale.minutes):
        world.fleet.add_one(world.minute)
        world.fleet.move_one(world.minute, SETTLED_MIN)
        world.send()
    began_s = time.monotonic()
    world.workers.start()
    world.catch_up()
    return Injected(1, [time.monotonic() - began_s])


def broker_killed(stage: Stage) -> Injected:
    """kill -9 of the broker in the midst of sending, and the same broker started again on its data."""
    world, took = stage.world, []
    for _ in range(stage.scale.outages):
        world.flow(stage.rng.randint(5, 20))
        world.flow(2, settle=False)
        began_s = time.monotonic()
        stage.broker.kill()
        while time.monotonic() - began_s < stage.scale.outage_s:
            world.workers.see_to()
            time.sleep(0.05)
        world.flow(5, settle=False)
        stage.broker.start()
        world.catch_up()
        took.append(time.monotonic() - began_s)
    return Injected(len(took), took)


def rebalanced(stage: Stage) -> Injected:
    """One worker, then two, then three, then one again; the feed never stops."""
    world, took = stage.world, []

    def change(what: Callable[[], object]) -> None:
        before, began_s = world.epochs(), time.monotonic()
        what()
        world.until(lambda: world.epochs() != before, "some partition taken over")
        world.flow(stage.rng.randint(3, 20))
        world.catch_up()
        took.append(time.monotonic() - began_s)

    for _ in range(stage.scale.rounds):
        change(world.workers.start)
        change(world.workers.start)
        world.workers.stop(world.workers.running[0])
        change(lambda: world.workers.stop(world.workers.running[0]))
    return Injected(len(took), took)


def locked(stage: Stage) -> Injected:
    """An exclusive lock on the aggregates' file, then on the control store's, for longer than a store waits for one."""
    world, took = stage.world, []
    for name in ("cstore", "control"):
        world.flow(stage.rng.randint(3, 10))
        began_s = time.monotonic()
        with (
            world.running_clock() if name == "control" else nullcontext(),
            exclusively(stage.folder / f"{name}.sqlite"),
        ):
            while time.monotonic() - began_s < stage.scale.locked_s:
                world.follow_for(1)
        world.catch_up()
        took.append(time.monotonic() - began_s)
    return Injected(len(took), took)


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Nobody else writes to the SQLite file meanwhile."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def partition_added(stage: Stage) -> Injected:
    """One more partition while all goes on: some hosts report by it from now on."""
    world = stage.world
    began_s = time.monotonic()
    world.partitions += 1
    world.feed.extend(world.partitions)
    world.flow(stage.rng.randint(10, 30))
    world.until(lambda: world.partitions - 1 in world.feed.ends, "a host that reports by the new partition")
    world.catch_up()
    return Injected(1, [time.monotonic() - began_s])


def idle_partition(stage: Stage) -> Injected:
    """The hosts of one partition fall silent for hours, and come back: its spans are closed by the clock meanwhile.

    Nobody moves: of a VM that moved to a silent host, no report would say so.
    """
    world = stage.world
    churn, world.churn = world.churn, False
    silent = partition_of(world.fleet.hosts[0].encode(), world.partitions)
    began_s, began = time.monotonic(), world.minute
    world.shape = lambda _, messages: [
        message for message in messages if partition_of(message.key.encode(), world.partitions) != silent
    ]
    world.flow(RULES.close_delay_min + 5)
    world.until(lambda: world.stored(silent, began - 1), f"the last minutes of partition {silent} stored by the clock")
    took = time.monotonic() - began_s
    world.flow(max(0, 3 * stage.scale.minutes - (world.minute - began)))
    world.shape, world.churn = as_they_are, churn
    world.flow(10)
    world.catch_up()
    return Injected(1, [took])
