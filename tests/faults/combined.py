"""Faults that meet: what is wrong with the input while a worker dies, a partition that comes while a store is held."""

from __future__ import annotations

import time
from dataclasses import replace

from models.minutes import Minute
from tests.faults.injections import Injected, Stage, exclusively, killed
from tests.faults.inputs import Mixer, Spoiler
from tests.faults.script import Message
from tests.faults.world import as_they_are

AHEAD_MIN = 30  # more than a sample may be, and less than a replay goes back
REPLAYED_MIN = 130  # so far back no replay goes


def killed_amid_bad_input(stage: Stage) -> Injected:
    """kill -9 again and again, while input comes twice, late and shuffled, and half of it is bad."""
    world, mixer, spoiler = stage.world, Mixer(stage.world.fleet, stage.rng), Spoiler(stage.world.fleet, stage.rng)
    world.churn = False
    world.shape = lambda minute, messages: spoiler.spoil(minute, mixer.mix(minute, messages))
    injected = killed(stage)
    world.shape = mixer.rest
    world.send()
    world.shape, world.churn = as_they_are, True
    world.catch_up()
    return injected


def moved_and_shuffled(stage: Stage) -> Injected:
    """VMs move and arrive while reports come late and in any order: the first one read is not the first that was."""
    world, mixer = stage.world, Mixer(stage.world.fleet, stage.rng)
    world.shape = mixer.mix
    world.flow(stage.scale.minutes)
    world.shape = mixer.rest
    world.send()
    world.shape = as_they_are
    began_s = time.monotonic()
    world.catch_up()
    return Injected(mixer.count, [time.monotonic() - began_s])


def ahead_and_killed(stage: Stage) -> Injected:
    """A host is half an hour ahead of the clock; what was refused stays so when a successor reads it again."""
    world, fleet, host = stage.world, stage.world.fleet, stage.world.fleet.hosts[1]
    count, took = 0, []

    def hasten(minute: Minute, messages: list[Message]) -> list[Message]:
        nonlocal count
        count += 1
        report = fleet.report(host, minute)
        early = replace(report, ts_s=report.ts_s + AHEAD_MIN * 60).encode()
        others = [message for message in messages if message.key != host]
        return [*others, Message(host, early, minute, taken=False, dead="ahead")]

    world.churn, world.shape = False, hasten
    for _ in range(stage.scale.stops):
        with world.running_clock():
            world.follow_for(REPLAYED_MIN // 2)
            before, began_s = world.epochs(), time.monotonic()
            world.workers.kill(world.workers.running[0])
            world.workers.start()
            while not world.taken_over(before):
                world.follow_for(1)
            world.follow_for(REPLAYED_MIN)
            took.append(time.monotonic() - began_s)
    world.shape, world.churn = as_they_are, True
    return Injected(count, took)


def added_while_locked(stage: Stage) -> Injected:
    """A partition comes while the control store is held: what claims its first block must not lose what it has read."""
    world = stage.world
    with world.running_clock():
        began_s = time.monotonic()
        with exclusively(stage.folder / "control.sqlite"):
            world.partitions += 1
            world.feed.extend(world.partitions)
            while time.monotonic() - began_s < stage.scale.locked_s:
                world.follow_for(1)
    world.until(lambda: world.partitions - 1 in world.feed.ends, "a host that reports by the new partition")
    world.catch_up()
    return Injected(1, [time.monotonic() - began_s])
