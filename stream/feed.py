"""One producer of a feed: its hosts' messages, minute by minute, with the faults that were ordered, at its pace."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.minutes import Clock, Minute, Span
from stream.feed_arrow import Acknowledged
from stream.feed_encode import Encoder, open_encoder
from stream.feed_faults import Drawn, Faults, draw, poisoned, skews_s
from stream.feed_trace import Fleet, Grouping, Minutely, messages_of, open_fleet, records_in
from stream.inventory import encode_record
from stream.kafka import Connection
from stream.kafka_tools import Sender, partition_of, producer
from stream.wire_base import Wire

SOON_S = 0.002  # a wait shorter than this is not worth its own
TELL_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fed: `span` of the trace, to `topic`. `inventory`: the topic of its records at `own`, None: none.

    `acknowledged`: where each producer writes a Parquet file of what was acknowledged, `<this>.<number>`.
    """

    trace: str
    hosts: int | None
    keep_times: bool
    wire: Wire
    topic: str
    connection: Connection
    own: Connection
    inventory: str | None
    span: Span
    faults: Faults
    producers: int = 1
    compression: str = "none"
    acknowledged: Path | None = None

    def part_file(self, number: int) -> Path | None:
        """Where producer `number` writes what was acknowledged."""
        return None if self.acknowledged is None else Path(f"{self.acknowledged}.{number}")


class Board(NamedTuple):
    """How a producer and who runs it hear of each other.

    `begin` blocks until all are ready and gives the clock to keep to (None: as fast as it goes). `stop` waits for so
    many seconds and says whether to end. `tell`: the minute that was reached, and the counts so far.
    """

    begin: Callable[[], Clock | None]
    stop: Callable[[float], bool]
    tell: Callable[[Minute, Counter[str]], None]


class _Sending(NamedTuple):
    """A message to be sent at `at_s`: rows `start` to `end` of `minute`; `bad` seeds what is wrong with it."""

    at_s: float
    minute: Minutely
    message: int
    bad: tuple[int, ...] | None


@dataclass(slots=True)
class _Producer:
    """The state: what arrives in a later minute, what has been counted, and the partitions as they are now."""

    plan: Plan
    number: int
    fleet: Fleet
    grouping: Grouping
    encoder: Encoder
    sender: Sender
    kept: Acknowledged | None
    held: dict[Minute, list[_Sending]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    partitions: int = 0
    partition_of: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, dtype=np.int32))

    def look(self) -> None:
        """Give each host its partition, of those that the brokers have now."""
        count = self.sender.partitions(self.plan.topic)
        if count != self.partitions:
            self.partitions = count
            places = [partition_of(host.encode(), count) for host in self.fleet.hosts]
            self.partition_of = np.array(places, dtype=np.int32)

    def arrivals(self, minute: Minute) -> list[_Sending]:
        """What this producer has to send within `minute`, in order."""
        self.look()
        made = messages_of(self.fleet, minute, self.grouping, self.partition_of)
        drawn = draw(self.plan.faults, minute, made.at_s)
        whose = self.partition_of[made.host] if self.encoder.by == "partition" else made.host
        for sending in self._sendings(made, minute, drawn, whose % self.plan.producers == self.number):
            at = max(minute, int(sending.at_s // 60))
            self.held.setdefault(at, []).append(sending)
        return sorted(self.held.pop(minute, []), key=_at_s)

    def _sendings(
        self, made: Minutely, minute: Minute, drawn: Drawn, mine: npt.NDArray[np.bool_]
    ) -> Iterator[_Sending]:
        at_s = drawn.at_s.tolist()
        for message in np.flatnonzero(mine & (drawn.poison > 0)).tolist():
            for nth in range(drawn.poison.item(message)):
                yield _Sending(at_s[message], made, message, (self.plan.faults.seed, abs(minute), message, nth))
        for message in np.flatnonzero(mine & drawn.kept).tolist():
            yield _Sending(at_s[message], made, message, None)
        for message, again_s in zip(drawn.copies.tolist(), drawn.copy_at_s.tolist(), strict=True):
            if mine[message]:
                yield _Sending(again_s, made, message, None)
        self.counts["dropped"] += int(np.count_nonzero(mine & ~drawn.kept))
        self.counts["late"] += int(np.count_nonzero(mine & drawn.late))
        self.counts["duplicates"] += int(np.count_nonzero(mine[drawn.copies]))

    def send(self, sending: _Sending) -> None:
        """Hand one message to the brokers."""
        made, message = sending.minute, sending.message
        rows = slice(made.first.item(message), made.first.item(message + 1))
        key, ts_s, value = made.key[rows], made.ts_s[rows], made.value[rows]
        host = made.host.item(message)
        bulk = self.encoder.by == "partition"
        if sending.bad is None:
            body = self.encoder.encode(key, ts_s, value)
            self.counts["samples"] += len(key)
        else:
            body = poisoned(partial(self.encoder.encode, key, ts_s), value, self.encoder.listed, sending.bad)
            self.counts["poison"] += 1
        self.sender.send(
            self.plan.topic,
            None if bulk else self.fleet.hosts[host].encode(),
            body,
            partition=self.partition_of.item(host),
            done=None if self.kept is None or sending.bad else partial(self.kept.add, key, ts_s, value),
        )
        self.counts["messages"] += 1


def _at_s(sending: _Sending) -> float:
    return sending.at_s


def play(plan: Plan, number: int, board: Board) -> tuple[Counter[str], Minute]:
    """Feed the hosts of producer `number`; returns what the brokers acknowledged, counted, and up to which minute.

    The first producer also sends the inventory. StoreError where the brokers do not answer in time.
    """
    fleet = open_fleet(plan.trace, plan.hosts, keep_times=plan.keep_times)
    encoder = open_encoder(plan.wire, fleet.keys)
    grouping = Grouping(encoder.by, plan.wire.unit, skews_s(plan.faults, len(fleet.hosts)))
    with ExitStack() as stack:
        part_file = plan.part_file(number)
        kept = None if part_file is None else Acknowledged(part_file, fleet.keys)
        if kept is not None:
            stack.callback(kept.close)
        sender = stack.enter_context(producer(plan.connection, compression=plan.compression))
        records = stack.enter_context(producer(plan.own)) if number == 0 and plan.inventory is not None else None
        one = _Producer(plan, number, fleet, grouping, encoder, sender, kept)
        one.look()
        if records is not None:
            _send_records(one, records, Span(fleet.trace.span.start, plan.span.start + 1))
            records.flush()
        reached = _run(one, board, records)
    return one.counts, reached


def _run(one: _Producer, board: Board, records: Sender | None) -> Minute:
    """The minutes of the span, then at once what was still held back. Returns the end of what was fed."""
    span, clock = one.plan.span, board.begin()
    told_s = 0.0
    for minute in range(span.start, span.end):
        if _stopped(clock, minute * 60.0, board):
            return minute
        if records is not None and minute > span.start:
            _send_records(one, records, Span(minute, minute + 1))
        for sending in one.arrivals(minute):
            if clock is not None and _stopped(clock, sending.at_s, board):
                return minute
            one.send(sending)
        if (now_s := time.monotonic()) > told_s + TELL_EVERY_S:
            told_s = now_s
            board.tell(minute + 1, one.counts)
    for sending in sorted((sending for held in one.held.values() for sending in held), key=_at_s):
        one.send(sending)
    return span.end


def _stopped(clock: Clock | None, at_s: float, board: Board) -> bool:
    """Wait until the fleet's clock shows `at_s`; whether to end instead."""
    if clock is None:
        return board.stop(0)
    wait_s = clock.origin_wall_s + (at_s / 60 - clock.origin_minute) * 60 / (clock.speed or 1.0) - time.time()
    return board.stop(wait_s) if wait_s > SOON_S else False


def _send_records(one: _Producer, records: Sender, span: Span) -> None:
    for record in records_in(one.fleet.trace, span):
        key, value = encode_record(record)
        records.send(one.plan.inventory or "", key, value)
        one.counts["records"] += 1
