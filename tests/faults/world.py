"""A world of one's own: a topic, stores, a clock that is stepped by hand, and real workers as processes.

The clock stands where the feed is, so that a run depends on no wall time and an hour closes in seconds. Whatever
happens, no worker outlives its world.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.errors import StoreError
from models.fleet import VmRecord
from models.minutes import STEP_MIN, Clock, Minute, Span, ceil_to, floor_to
from stream.assignment import PARTS_A_SOURCE
from stream.clock import write_clock
from stream.due import Rules
from stream.inventory import encode_record
from stream.kafka import Connection, Topics, topics_of
from stream.kafka_tools_topics import TopicSpec, ensure_topics, own_topics
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import METRIC_CPU
from tests.faults.feed import Feed
from tests.faults.script import VCPUS, Fleet, Message
from tests.faults.workers import Workers, config_text

RULES = Rules()
BEGIN: Minute = 29_400_000  # a whole hour of 2025
MOVE_EVERY_MIN, ARRIVE_EVERY_MIN = 3, 15  # with `churn`
POLL_S = 0.05
SLOW_PER_S = 5.0  # minutes of a clock that runs: a feed that hangs for seconds is not too late by it
CATCH_UP_S = 90.0

Shape = Callable[[Minute, list[Message]], list[Message]]


def as_they_are(_: Minute, messages: list[Message]) -> list[Message]:
    """The shape of a world without a fault."""
    return messages


@dataclass(slots=True)
class World:
    """What a fault is injected into. `minute`: the next one to be fed; `shape`: what becomes of a minute's messages.

    `churn`: VMs move and arrive meanwhile. `clock`: one that runs by itself; None: it is stepped with the feed.
    """

    fleet: Fleet
    feed: Feed
    workers: Workers
    stores: Stores
    topics: Topics
    partitions: int
    pace_per_s: float
    minute: Minute = BEGIN
    shape: Shape = as_they_are
    clock: Clock | None = None
    churn: bool = False
    _next_s: float = 0.0

    def flow(self, minutes: int, *, settle: bool = True) -> None:
        """Feed so many minutes of the fleet; with `settle`, each is acknowledged before the next."""
        for _ in range(minutes):
            self.send(settle=settle)

    def send(self, *, settle: bool = True) -> None:
        """Feed one minute; the clock follows it."""
        if self.churn and self.minute % MOVE_EVERY_MIN == 0:
            self.fleet.move_one(self.minute)
            if self.minute % ARRIVE_EVERY_MIN == 0 and not self.fleet.counters:
                self.fleet.add_one(self.minute)
        messages = self.shape(self.minute, self.fleet.messages(self.minute))
        self.feed.send(messages)
        if settle:
            self.feed.settle()
        self.minute += 1
        self.set_clock(self.minute)
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        self._next_s = time.monotonic() + 1 / self.pace_per_s

    def set_clock(self, minute: Minute) -> None:
        """Step the fleet's clock, unless it runs by itself."""
        if self.clock is None:
            write_clock(self.stores.control, Clock(speed=0.0, origin_minute=minute))

    @contextmanager
    def running_clock(self) -> Iterator[None]:
        """For a while nobody can step the clock: it runs, and the feed is to follow it."""
        self.clock = Clock(SLOW_PER_S * 60, self.minute, time.time())
        write_clock(self.stores.control, self.clock)
        yield
        self.clock = None
        self.set_clock(self.minute)

    def follow_for(self, minutes: int) -> None:
        """Feed so many minutes, none before the running clock is there; where it is stepped, the next ones."""
        for _ in range(minutes):
            while self.clock is not None and self.minute >= self.clock.now(time.time(), 0):
                time.sleep(POLL_S)
            self.send()

    def until(self, met: Callable[[], bool], what: str, limit_s: float = CATCH_UP_S) -> None:
        """Feed on until a condition is met. StoreError with the workers' last words where that takes too long."""
        give_up_s = time.monotonic() + limit_s
        while not met():
            self.workers.see_to()
            if time.monotonic() > give_up_s:
                raise StoreError(
                    "fault harness",
                    expected=f"{what} within {limit_s:g} s",
                    got=f"handled {self.stores.control.list('offset/')}",
                    remedy=f"What the workers said last:\n{self.workers.tails()}",
                )
            self.follow_for(1)

    def catch_up(self) -> None:
        """Feed on until all that is in the log by now is handled, and every span that is closed by now is stored."""
        self.feed.settle()
        ends, start = self.feed.ends, floor_to(self.minute - RULES.close_delay_min, STEP_MIN) - STEP_MIN
        spoke = {place.partition for place, value in self.feed.acknowledged if self._reports(value, start)}
        self.until(
            lambda: self._handled(ends) and all(self.stored(partition, start) for partition in spoke),
            f"lag 0 at {ends}, and of {spoke} the five minutes from {start} on",
        )

    def epochs(self) -> dict[int, int]:
        """How often each partition was taken over."""
        return {int(k.split("/")[1]): int(v.value) for k, v in self.stores.control.list("epoch/").items()}

    def taken_over(self, before: dict[int, int]) -> bool:
        """Whether every partition has another owner than when `before` was asked."""
        return all(epoch > before.get(part, 0) for part, epoch in self.epochs().items())

    def finish(self) -> None:
        """Nothing more comes; the clock goes on to where every span has closed."""
        self.feed.settle()
        self.minute = ceil_to(self.minute, 60) + RULES.close_delay_min
        self.set_clock(self.minute)

    def _handled(self, ends: dict[int, int]) -> bool:
        records = self.stores.control.list("offset/")
        handled = {
            int(key.split("/")[1]) % PARTS_A_SOURCE: json.loads(r.value)["handled"] for key, r in records.items()
        }
        return all(handled.get(partition, 0) >= end for partition, end in ends.items())

    def stored(self, partition: int, minute: Minute) -> bool:
        """Whether the five minutes that `minute` lies in are stored, of some VM of the partition."""
        blocks = [
            int(key.split("/")[1])
            for key, record in self.stores.control.list("block/").items()
            if int(record.value) % PARTS_A_SOURCE == partition
        ]
        start = floor_to(minute, STEP_MIN)
        read = self.stores.series.read(METRIC_CPU, STEP_MIN, blocks, Span(start, start + STEP_MIN))
        return bool(read.count.any())

    def _reports(self, value: bytes | None, start: Minute) -> bool:
        message = self.feed.sent[value]
        return message.taken and start <= message.minute < start + STEP_MIN


@contextmanager
def world(connection: Connection, folder: Path, *, partitions: int, fleet: Fleet, pace_per_s: float) -> Iterator[World]:
    """Topics, stores and the feed under `folder`; no worker yet. The prefix is the folder's name."""
    prefix = f"{folder.name}."
    topics, topic = topics_of(prefix), f"{prefix}cpu"
    ensure_topics(connection, [TopicSpec(topic, partitions, stamped=True), *own_topics(topics)])
    config, unit = folder / "zhuge.toml", "core_seconds" if fleet.counters else "percent"
    config.write_text(config_text(connection, prefix, topic, folder, unit=unit))
    stores = open_stores(f"sqlite:{folder / 'cstore.sqlite'}", *[f"sqlite:{folder / 'control.sqlite'}"] * 2)
    try:
        with Feed(connection, topic) as feed, Workers(config, folder) as workers:
            if fleet.counters:  # their percent is of what a VM has, and that the inventory says
                records = [VmRecord(vm, fleet.host_of(vm, BEGIN), BEGIN, vcpus=VCPUS) for vm in fleet.vms]
                feed.tell(topics.inventory, [encode_record(record) for record in records])
            yield World(fleet, feed, workers, stores, topics, partitions, pace_per_s)
    finally:
        stores.close()
