"""What is done to messages on their way: each fault changes what the hosts send, and then leaves them alone again."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random

from models.minutes import Minute
from tests.faults.injections import Injected, Stage
from tests.faults.poison import impossible, poison
from tests.faults.script import Fleet, Message, Report
from tests.faults.world import Shape, as_they_are

ARRIVE_EVERY_MIN = 5
TOO_LATE_MIN = 300
LATE_MIN = 25  # an hour that has a sample so late may still be re-opened
AHEAD_MIN = 360  # more than a replay goes back: what was ahead of the clock then is still ahead when it is read again


def moved(stage: Stage) -> Injected:
    """Every minute a VM moves to another host, mostly of another partition."""
    world = stage.world
    began = world.minute
    for _ in range(stage.scale.minutes):
        world.fleet.move_one(world.minute)
        world.send()
    return _caught_up(stage, world.minute - began)


def duplicated_and_shuffled(stage: Stage) -> Injected:
    """Reports come twice, corrected, up to 25 minutes late, hours too late, and in any order."""
    mixer = Mixer(stage.world.fleet, stage.rng)
    _shaped(stage, mixer.mix)
    stage.world.shape = mixer.rest
    stage.world.send()
    stage.world.shape = as_they_are
    return _caught_up(stage, mixer.count)


def poisoned(stage: Stage) -> Injected:
    """Half of all messages are bad; of the good ones some hold a value that cannot be."""
    spoiler = Spoiler(stage.world.fleet, stage.rng)
    _shaped(stage, spoiler.spoil)
    return _caught_up(stage, spoiler.count)


def skewed(stage: Stage) -> Injected:
    """One host's clock is hours ahead, which is refused; another's 25 minutes behind, which is taken."""
    fleet, (ahead, behind), count = stage.world.fleet, stage.world.fleet.hosts[1:3], 0
    stage.world.churn = False
    stage.world.flow(LATE_MIN)  # nobody who is on that host has moved within what its clock is behind

    def skew(minute: Minute, messages: list[Message]) -> list[Message]:
        nonlocal count
        early = _at(fleet.report(ahead, minute), AHEAD_MIN)
        late = _at(fleet.report(behind, minute), -LATE_MIN)
        count += 2
        return [
            *(message for message in messages if message.key not in (ahead, behind)),
            Message(ahead, early.encode(), minute, taken=False, dead="ahead"),
            Message(behind, late.encode(), minute),
        ]

    _shaped(stage, skew)
    stage.world.churn = True
    return _caught_up(stage, count)


class Spoiler:
    """Puts a bad message beside each good one, on one side or the other; the state is how many."""

    def __init__(self, fleet: Fleet, rng: Random) -> None:
        self.count = 0
        self._fleet, self._rng = fleet, rng

    def spoil(self, minute: Minute, messages: list[Message]) -> list[Message]:
        """A shape."""
        self.count += len(messages)
        out = []
        for message in messages:
            report = self._fleet.report(message.key, minute)
            bad = poison(report, minute, self._rng)
            good = impossible(report, minute, self._rng) if self._rng.random() < 0.1 else message
            out += [bad, good] if self._rng.random() < 0.5 else [good, bad]
        return out


class Mixer:
    """Holds messages back, and makes duplicates and corrections; the state is what it holds."""

    def __init__(self, fleet: Fleet, rng: Random) -> None:
        self.count = 0
        self._fleet, self._rng = fleet, rng
        self._held: list[tuple[Minute, Message]] = []

    def mix(self, minute: Minute, messages: list[Message]) -> list[Message]:
        """A shape."""
        if minute % ARRIVE_EVERY_MIN == 0:  # whose first report may not be the first that is read
            self._fleet.add_one(minute)
        out = []
        for message in messages:
            if self._rng.random() < 0.3:
                self._hold(minute, message)
            else:
                out.append(message)
            if self._rng.random() < 0.3:
                self._hold(minute, message)  # it comes twice
            if self._rng.random() < 0.2:
                self._hold(minute, Message(message.key, self._other(message.key, minute).encode(), minute))
            if self._rng.random() < 0.05:
                old = _at(self._other(message.key, minute), -TOO_LATE_MIN)
                out.append(Message(message.key, old.encode(), minute, taken=False, late="late"))
                self.count += 1
        out += [message for due, message in self._held if due <= minute]
        self._held = [(due, message) for due, message in self._held if due > minute]
        self._rng.shuffle(out)
        return out

    def rest(self, _: Minute, messages: list[Message]) -> list[Message]:
        """The shape of the last minute: with all that was held back."""
        held, self._held = self._held, []
        return [*messages, *(message for _, message in held)]

    def _hold(self, minute: Minute, message: Message) -> None:
        self._held.append((minute + self._rng.randint(0, LATE_MIN - 1), message))
        self.count += 1

    def _other(self, host: str, minute: Minute) -> Report:
        """What the host might have said of the minute instead, at another second of it or at the same."""
        report = self._fleet.report(host, minute)
        return replace(report, cpu=[round(self._rng.uniform(0, 100), 2) for _ in report.vms])


def _at(report: Report, later_min: Minute) -> Report:
    return replace(report, ts_s=report.ts_s + later_min * 60)


def _shaped(stage: Stage, shape: Shape) -> None:
    """So many minutes of the fleet, shaped; nobody moves meanwhile, so that it is plain whose each minute is."""
    world = stage.world
    churn, world.churn, world.shape = world.churn, False, shape
    world.flow(stage.scale.minutes)
    world.shape, world.churn = as_they_are, churn


def _caught_up(stage: Stage, count: int) -> Injected:
    began_s = time.monotonic()
    stage.world.catch_up()
    return Injected(count, [time.monotonic() - began_s])
