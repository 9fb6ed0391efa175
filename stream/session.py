"""One membership of an ingest worker in its group, turn by turn.

A turn: fetch, take and store (in a thread), then tell (dead letters, late samples, placements, closed hours), then
commit: rows, then events, then offsets. What a turn could not do the next one does again, with nothing lost in between;
while a store or a broker is away nothing more is fetched. Partitions come and go between two turns only.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import NamedTuple, ParamSpec, TypeVar

from models.errors import StartOver, StoreError
from models.minutes import Clock
from stream.assignment import Committed
from stream.broker import GroupReader
from stream.broker_topics import Follower, Out, Writer
from stream.clock import newest_minute, read_clock
from stream.dead import encode_dead
from stream.events import encode_event
from stream.in_step import Others, lead_of
from stream.ingest import Ingest
from stream.kafka_source import KafkaSource
from stream.plumbing import Plumbing, Step
from stream.roster import Roster
from stream.samples import Refusal
from stream.stored import Stored
from stream.wire_base import Message

WAIT_MS = 200
MOST_MESSAGES = 20_000  # a turn: half a million samples of host reports
ASK_EVERY_S = 1.0  # how far behind the partitions are
COMMIT_EVERY_S = 1.0
GRACE_S = 30.0  # after the broker was away: producers send first what they kept meanwhile
PAUSE_S = 1.0
HELD_S = 15.0  # beyond the group's own patience: so long a partition that stands still holds others up

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)


class Parts(NamedTuple):
    """What a session works with, each of them started; `thread` is the one that ingest lives in."""

    thread: ThreadPoolExecutor
    source: KafkaSource
    ingest: Ingest
    writer: Writer
    follower: Follower
    roster: Roster
    reader: GroupReader


class Session:
    """The state: clients, source and ingest, what is still to be told, and what the metrics ask for.

    `lag`: messages by part; `coverage`: share of the expected samples of the last closed hour; times in epoch seconds.
    """

    def __init__(self, plumbing: Plumbing, observe: Callable[[Step], None], parts: Parts) -> None:
        self._plumbing, self._observe = plumbing, observe
        self._thread, self._source, self.ingest, self._writer, self._follower, self._roster, self._reader = parts
        hold_s = plumbing.member.session_timeout_ms / 1000 + HELD_S
        lead_min = lead_of(plumbing.rules.reopen_for_min, self._source.interval_min)
        self._others = Others(plumbing.stores.control, self.ingest.first_part, lead_min, hold_s)
        self._turns = asyncio.Lock()
        self._given: list[int] = []  # by the group, and not taken over yet
        self._outs: list[Out] = []  # not told yet
        self._said: dict[int, Committed] = {}  # committed in the control store, and not said to the group yet
        self._letters: Counter[str] = Counter()
        self._asked_s = self._quiet_until_s = 0.0
        self.lag: dict[int, int] = {}
        self.coverage: float | None = None
        self.turned_s = self.committed_s = 0.0
        self.trouble = ""

    def counts(self) -> Counter[str]:
        """What became of messages and samples."""
        return self.ingest.counts + self._source.counts + self._letters

    @property
    def rebalances(self) -> int:
        """How often the group has given partitions."""
        return self._reader.rebalances

    async def turn(self) -> None:
        """One turn. After trouble with a store or broker it has waited a moment. StartOver: this session is over."""
        try:
            async with self._turns:
                await self._take_over()
            found = await self._fetch()  # not in a turn: it waits for a rebalance, and that for the turn's end
            async with self._turns:
                await self._turn(found)
            self.trouble = ""
        except StartOver:
            raise
        except StoreError as error:
            if not self.trouble:
                log.warning("waiting: %s", error)
            self.trouble = str(error)
            await asyncio.sleep(PAUSE_S)

    async def finish(self) -> None:
        """Commit what was stored. StoreError where that cannot be: a successor does it again."""
        async with self._turns:
            await self._tell()
            await self._commit()

    async def revoked(self, partitions: Sequence[int]) -> None:
        """The group takes these back: commit what was stored, drop the rest for the successor to replay."""
        async with self._turns:
            with suppress(StoreError):
                await self._tell()
                await self._commit()
            for partition in partitions:
                part = self.ingest.first_part + partition
                self._given = [given for given in self._given if given != partition]
                self.lag.pop(part, None)
                self._said.pop(part, None)
                if part in self.ingest.parts:
                    await self._work(self.ingest.revoke, part)
                    self._source.drop(part)

    async def _turn(self, found: Mapping[int, Sequence[Message]]) -> None:
        messages = self._put(found)
        began_s = time.monotonic()
        wall_s, clock = time.time(), await self._work(read_clock, self._plumbing.stores.control)
        await self._ask_lag()
        self._source.horizon = await self._work(self._others.horizon, self.ingest.parts, began_s)
        heard = await self._follower.fetch(0, MOST_MESSAGES)
        await self._work(self._take, clock, wall_s, heard)
        self._seek()
        taken_s = time.monotonic()
        stored = self.ingest.stored()
        self._outs += self._news_of(stored)
        await self._tell()
        told_s = time.monotonic()
        if stored.rows or time.time() - self.committed_s > COMMIT_EVERY_S:
            await self._commit()
        self.coverage = self.coverage if stored.coverage is None else stored.coverage
        self.turned_s = time.time()
        if messages or stored.rows:
            took = (taken_s - began_s, told_s - taken_s, time.monotonic() - told_s)
            self._observe(Step(messages, stored.rows, len(stored.hours), *took))

    async def _take_over(self) -> None:
        """Begin with what the group has given; a store that is away leaves it for the next turn."""
        self._given += self._reader.given()
        while self._given:
            partition = self._given[-1]
            part = self.ingest.first_part + partition
            await self._work(self.ingest.assign, part)
            await self._work(self._roster.tell_of, part, self._reader.partitions())
            self._given.pop()
            self._asked_s = 0.0  # how far behind it is, is wanted at once
        self._seek()

    def _seek(self) -> None:
        """Fetch from where ingest wants to read on."""
        for part, offset in self._source.sought().items():
            self._reader.seek(part - self.ingest.first_part, offset)

    async def _fetch(self) -> dict[int, Sequence[Message]]:
        """Messages by partition: none while there is trouble, or of one that waits for others, so that none pile up."""
        held = [part - self.ingest.first_part for part in self.ingest.parts]
        full = [
            part
            for part in held
            if self.trouble or self._source.waiting(self.ingest.first_part + part) >= MOST_MESSAGES
        ]
        self._reader.pause(full)
        self._reader.resume(part for part in held if part not in full)
        return await self._reader.fetch(0 if self.trouble else WAIT_MS, MOST_MESSAGES)

    def _put(self, found: Mapping[int, Sequence[Message]]) -> int:
        """Put the messages of our own partitions into the source; how many."""
        number = 0
        for partition, messages in found.items():
            part = self.ingest.first_part + partition
            if part in self.ingest.parts:  # else it was just given or taken: where it begins is not known, or not ours
                self._source.put(part, messages)
                number += len(messages)
        return number

    async def _ask_lag(self) -> None:
        """Once a second: how far behind each partition is, and so which are idle as of now."""
        if time.monotonic() - self._asked_s < ASK_EVERY_S:
            return
        self._asked_s = time.monotonic()
        first = self.ingest.first_part
        try:
            lag = await self._reader.lag([part - first for part in self.ingest.parts])
        except StoreError as error:
            log.warning("the clock of idle partitions stands still: %s", error)
            self._quiet_until_s = time.monotonic() + GRACE_S
            return
        self.lag = {first + partition: behind for partition, behind in lag.items()}
        for part, behind in self.lag.items():
            self._source.says(part, behind, at_end=behind == 0 and time.monotonic() >= self._quiet_until_s)

    def _take(self, clock: Clock, wall_s: float, heard: Sequence[tuple[str, Message]]) -> None:
        try:
            self._roster.hear(heard, self._reader.partitions())
            self._source.latest = newest_minute(clock, wall_s) + self._plumbing.rules.max_ahead_min
            self.ingest.take(clock, wall_s)
            while self._source.moving:
                self.ingest.take(clock, wall_s)
            self.ingest.store()
        finally:
            for part in self.ingest.parts:  # what was known of the end was known as of `wall_s`
                self._source.says(part, self.lag.get(part, 1), at_end=False)

    def _news_of(self, stored: Stored) -> list[Out]:
        """What the others are told of a turn, in the order in which it is to be known."""
        topics, source, first = self._plumbing.topics, self._plumbing.source, self.ingest.first_part
        news = [Out(topics.placements, self._roster.name, value) for value in stored.placed]
        for letter in self._source.letters():
            late = letter.reason == Refusal.LATE
            partition = letter.part - first
            key, value = encode_dead(source.topic, partition, letter.message, letter.reason, letter.detail)
            news.append(Out(topics.late if late else topics.dead, key, value, partition))
            self._letters[f"{'late' if late else 'dead'}_messages_{letter.reason}"] += 1
        return news + [Out(topics.hours, str(hour.part).encode(), encode_event(hour)) for hour in stored.hours]

    async def _tell(self) -> None:
        if self._outs:
            await self._writer.write(self._outs)
            self._outs.clear()

    async def _commit(self) -> None:
        self._said |= await self._work(self.ingest.commit)
        self.committed_s = time.time()
        first = self.ingest.first_part
        offsets = {part - first: (said.offset, json.dumps(asdict(said))) for part, said in self._said.items()}
        if offsets and await self._reader.commit(offsets):
            self._said.clear()

    async def _work(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """In the one thread that ingest lives in."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **kwargs))
