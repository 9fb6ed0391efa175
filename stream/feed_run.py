"""The producers of a feed: one in a thread, or several as processes; begun together, watched, and stopped cleanly."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import SpawnContext
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from models.errors import BadInput, StoreError, ZhugeError
from models.minutes import Clock, Minute
from stream.feed import Board, Plan, play
from stream.feed_arrow import join

LOOK_EVERY_S = 0.2
MOST_PRODUCERS = 64
ERRORS: dict[str, type[ZhugeError]] = {"BadInput": BadInput, "StoreError": StoreError}


class News(NamedTuple):
    """From a producer: `kind` ready, at, done, failed or died, with the minute, the counts, or what went wrong."""

    kind: str
    number: int
    minute: Minute = 0
    counts: dict[str, int] = {}  # noqa: RUF012 (never written to)
    error: tuple[str, ...] = ()


class _Shared(NamedTuple):
    """What producers and their runner have in common; of multiprocessing, for threads it serves as well."""

    go: Any
    end: Any
    origin_wall_s: Any
    news: Any


class Fed(NamedTuple):
    """What was fed: the counts of all producers, up to which minute all of them came, and whether to the end."""

    counts: Counter[str]
    reached: Minute
    whole: bool


Progress = Callable[[Minute, Counter[str]], None]


def run(plan: Plan, clock: Clock | None, begun: Callable[[Clock | None], None], progress: Progress) -> Fed:
    """Feed `plan` by its producers; Ctrl-C ends it after what is under way has been flushed.

    When all are ready, `begun` hears the clock that they keep to: `clock`, from now on. None: as fast as it goes.
    BadInput and StoreError as the first producer to fail raised it; the others are ended.
    """
    if not 1 <= plan.producers <= MOST_PRODUCERS:
        expected = f"from 1 to {MOST_PRODUCERS}"
        raise BadInput("producers", expected=expected, got=str(plan.producers), remedy="Choose another number.")
    context = multiprocessing.get_context("spawn")
    shared = _Shared(context.Event(), context.Event(), context.Value("d", 0.0), context.Queue())
    workers = [_start(context, plan, number, clock, shared) for number in range(plan.producers)]
    watch = _Watch(plan, clock, shared, workers)
    try:
        while not watch.over:
            try:
                watch.look(begun, progress)
            except KeyboardInterrupt:
                watch.interrupted = True
                shared.end.set()
    finally:
        shared.end.set()
        for worker in workers:
            worker.join(10)
        _join_files(plan)
    if watch.error:
        kind, *words = watch.error
        raise ERRORS[kind](words[0], expected=words[1], got=words[2], remedy=words[3])
    return Fed(watch.total, min(watch.reached.values()), not watch.interrupted)


class _Watch:
    """What the runner knows of its producers. The state: who is ready, who has ended, where each is."""

    def __init__(self, plan: Plan, clock: Clock | None, shared: _Shared, workers: list[Any]) -> None:
        self._clock, self._shared, self._workers = clock, shared, workers
        self._ready: set[int] = set()
        self._ended: set[int] = set()
        self._counts: dict[int, dict[str, int]] = {}
        self.reached = dict.fromkeys(range(plan.producers), plan.span.start)
        self.error: tuple[str, ...] = ()
        self.interrupted = False

    @property
    def over(self) -> bool:
        return len(self._ended) == len(self._workers)

    @property
    def total(self) -> Counter[str]:
        return sum((Counter(counts) for counts in self._counts.values()), Counter())

    def look(self, begun: Callable[[Clock | None], None], progress: Progress) -> None:
        """Hear one piece of news, or find that a producer died."""
        try:
            news: News = self._shared.news.get(timeout=LOOK_EVERY_S)
        except queue.Empty:
            self._find_dead()
            return
        match news.kind:
            case "ready":
                self._ready.add(news.number)
                if len(self._ready) == len(self._workers):
                    begun(self._begin())
            case "failed":
                self._fail(news.number, news.error)
            case kind:
                self.reached[news.number] = news.minute
                self._counts[news.number] = news.counts
                if kind == "done":
                    self._ended.add(news.number)
                progress(min(self.reached.values()), self.total)

    def _begin(self) -> Clock | None:
        self._shared.origin_wall_s.value = time.time()
        self._shared.go.set()
        return _from_now(self._clock, self._shared)

    def _find_dead(self) -> None:
        for number, worker in enumerate(self._workers):
            if number not in self._ended and not worker.is_alive() and self._shared.news.empty():
                code = getattr(worker, "exitcode", None)
                remedy = "Look for what killed it (memory?), and feed again."
                self._fail(
                    number, ("StoreError", f"producer {number}", "to end by itself", f"exit code {code}", remedy)
                )

    def _fail(self, number: int, error: tuple[str, ...]) -> None:
        self.error = self.error or error
        self._ended.add(number)
        self._shared.end.set()
        self._shared.go.set()


def _start(context: SpawnContext, plan: Plan, number: int, clock: Clock | None, shared: _Shared) -> Any:  # noqa: ANN401
    """One producer does not need a process of its own."""
    arguments = (plan, number, clock, shared, os.getpid())
    worker: Any
    if plan.producers == 1:
        worker = Thread(target=_work, args=arguments, daemon=True)
    else:
        worker = context.Process(target=_process, args=arguments, daemon=True)
    worker.start()
    return worker


def _process(plan: Plan, number: int, clock: Clock | None, shared: _Shared, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the runner tells us
    _work(plan, number, clock, shared, parent)


def _work(plan: Plan, number: int, clock: Clock | None, shared: _Shared, parent: int) -> None:
    reached = plan.span.start

    def begin() -> Clock | None:
        shared.news.put(News("ready", number))
        while not shared.go.wait(1.0):
            if os.getppid() != parent and os.getpid() != parent:
                shared.end.set()
                break
        return _from_now(clock, shared)

    def stop(wait_s: float) -> bool:
        if os.getppid() != parent and os.getpid() != parent:  # its runner was killed: nobody else would end it
            return True
        return bool(shared.end.wait(wait_s))

    def tell(minute: Minute, counts: Counter[str]) -> None:
        nonlocal reached
        reached = minute
        shared.news.put(News("at", number, minute, dict(counts)))

    try:
        counts, reached = play(plan, number, Board(begin, stop, tell))
        shared.news.put(News("done", number, reached, dict(counts)))
    except ZhugeError as error:
        words = (type(error).__name__, error.what, error.expected, error.got, error.remedy)
        shared.news.put(News("failed", number, error=words))


def _from_now(clock: Clock | None, shared: _Shared) -> Clock | None:
    if clock is None:
        return None
    return Clock(clock.speed, clock.origin_minute, shared.origin_wall_s.value)


def _join_files(plan: Plan) -> None:
    """What the producers wrote of acknowledgements, in one file."""
    if plan.acknowledged is not None:
        parts = [plan.part_file(number) for number in range(plan.producers)]
        join([part for part in parts if part is not None and part.exists()], Path(plan.acknowledged))
