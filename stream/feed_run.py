"""The producers of a feed: one in a thread, or several as processes; begun together, watched, and stopped cleanly.

Each has a pipe of its own, and nothing else is shared: a lock that a killed process held would stop all of them.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import Any, NamedTuple

from models.errors import BadInput, StoreError, ZhugeError
from models.minutes import Clock, Minute
from stream.feed import Board, Plan, play
from stream.feed_arrow import join

LOOK_EVERY_S = 0.2
IMPATIENT_S = 2.0  # what stops a process often signals twice: to it and to its group
MOST_PRODUCERS = 64
END = None  # what a producer is sent to end it; else the wall time at which all begin
ERRORS: dict[str, type[ZhugeError]] = {"BadInput": BadInput, "StoreError": StoreError}


class News(NamedTuple):
    """From a producer: `kind` ready, at, done or failed, with the minute and the counts, or what went wrong."""

    kind: str
    minute: Minute
    counts: Mapping[str, int]
    error: tuple[str, ...] = ()


class Fed(NamedTuple):
    """What was fed: the counts of all producers, up to which minute all of them came, and whether to the end."""

    counts: Counter[str]
    reached: Minute
    whole: bool


class Heard(NamedTuple):
    """Who wants to know: that all are ready, with the clock that they keep to; then how far they are."""

    begun: Callable[[Clock | None], None]
    progress: Callable[[Minute, Counter[str]], None]


def run(plan: Plan, clock: Clock | None, heard: Heard) -> Fed:
    """Feed `plan` by its producers; Ctrl-C ends it after what is under way has been flushed.

    All keep to `clock`, from the time at which the last is ready; None: as fast as it goes. BadInput and StoreError as
    the first producer to fail raised it; the others are ended.
    """
    if not 1 <= plan.producers <= MOST_PRODUCERS:
        expected = f"from 1 to {MOST_PRODUCERS}"
        raise BadInput("producers", expected=expected, got=str(plan.producers), remedy="Choose another number.")
    watch = _Watch(plan, clock, heard)
    with _asked_to_end() as asked:
        try:
            while watch.pipes:
                if asked() and not watch.stopped:
                    watch.stop()
                watch.look()
        finally:
            watch.stop()
            for worker in watch.workers:
                worker.join(10)
            _join_files(plan)
    if watch.error:
        kind, *words = watch.error
        raise ERRORS[kind](words[0], expected=words[1], got=words[2], remedy=words[3])
    return Fed(watch.total, min(news.minute for news in watch.news), not asked())


@contextmanager
def _asked_to_end() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM came since: an exception in the midst of a pipe's message would break the pipe.

    One that comes seconds later is raised all the same: somebody does not want to wait for the brokers.
    """
    came: list[float] = []

    def note(_number: int, _frame: FrameType | None) -> None:
        came.append(time.monotonic())
        if came[-1] - came[0] > IMPATIENT_S:
            raise KeyboardInterrupt

    if current_thread() is not main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Watch:
    """The producers as their runner sees them. The state: the pipes of those that still run, and their last news."""

    def __init__(self, plan: Plan, clock: Clock | None, heard: Heard) -> None:
        self._clock, self._heard = clock, heard
        self._ready = 0
        self.pipes: dict[Pipe, int] = {}
        self.workers: list[Any] = []
        self.news = [News("begun", plan.span.start, {})] * plan.producers
        self.error: tuple[str, ...] = ()
        self.stopped = False
        for number in range(plan.producers):
            pipe, worker = _start(plan, number, clock)
            self.pipes[pipe] = number
            self.workers.append(worker)

    @property
    def total(self) -> Counter[str]:
        return sum((Counter(news.counts) for news in self.news), Counter())

    def stop(self) -> None:
        """Tell every producer to end."""
        self.stopped = True
        self._send(END)

    def look(self) -> None:
        """Hear what has come within a moment."""
        for pipe in wait(list(self.pipes), LOOK_EVERY_S):
            assert isinstance(pipe, Pipe)  # noqa: S101 (only such were asked)
            number = self.pipes[pipe]
            try:
                self._take(number, pipe.recv())
            except (EOFError, OSError):
                del self.pipes[pipe]
                if self.news[number].kind != "done" and not self.error:
                    self._died(number)

    def _take(self, number: int, news: News) -> None:
        if news.kind == "failed":
            self.error = self.error or news.error
            self.stop()
            return
        self.news[number] = news
        if news.kind == "ready":
            self._ready += 1
            if self._ready == len(self.workers) and not self.stopped:
                origin_wall_s = time.time()
                self._heard.begun(_from(self._clock, origin_wall_s))
                self._send(origin_wall_s)
            return
        self._heard.progress(min(one.minute for one in self.news), self.total)

    def _died(self, number: int) -> None:
        worker = self.workers[number]
        worker.join(10)
        got = f"exit code {getattr(worker, 'exitcode', None)}"
        remedy = "Look for what killed it (memory?), and feed again."
        self.error = ("StoreError", f"producer {number}", "to end by itself", got, remedy)
        self.stop()

    def _send(self, word: float | None) -> None:
        for pipe in self.pipes:
            with suppress(OSError):  # it has just ended
                pipe.send(word)


def _start(plan: Plan, number: int, clock: Clock | None) -> tuple[Pipe, Any]:
    """One producer alone does not need a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker: Any
    if plan.producers == 1:
        worker = Thread(target=_work, args=(plan, number, clock, theirs), daemon=True)
        worker.start()
    else:
        worker = context.Process(target=_process, args=(plan, number, clock, theirs), daemon=True)
        worker.start()
        theirs.close()  # so that the pipe ends with the process
    return ours, worker


def _process(plan: Plan, number: int, clock: Clock | None, pipe: Pipe) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the runner tells us
    _work(plan, number, clock, pipe)


def _work(plan: Plan, number: int, clock: Clock | None, pipe: Pipe) -> None:
    def begin() -> Clock | None:
        pipe.send(News("ready", plan.span.start, {}))
        origin_wall_s = pipe.recv()
        if origin_wall_s is END:
            raise EOFError
        return _from(clock, origin_wall_s)

    def tell(minute: Minute, counts: Counter[str]) -> None:
        pipe.send(News("at", minute, dict(counts)))

    try:
        # Whatever comes after the beginning says to end, and so does the end of the runner.
        counts, reached = play(plan, number, Board(begin, pipe.poll, tell))
        pipe.send(News("done", reached, dict(counts)))
    except ZhugeError as error:
        words = (type(error).__name__, error.what, error.expected, error.got, error.remedy)
        with suppress(OSError):
            pipe.send(News("failed", plan.span.start, {}, words))
    except (EOFError, OSError):  # told to end before it began, or the runner is gone
        with suppress(OSError):
            pipe.send(News("done", plan.span.start, {}))
    finally:
        pipe.close()


def _from(clock: Clock | None, origin_wall_s: float) -> Clock | None:
    return None if clock is None else Clock(clock.speed, clock.origin_minute, origin_wall_s)


def _join_files(plan: Plan) -> None:
    """What the producers wrote of acknowledgements, in one file."""
    if plan.acknowledged is not None:
        parts = [plan.part_file(number) for number in range(plan.producers)]
        join([part for part in parts if part is not None and part.exists()], Path(plan.acknowledged))
