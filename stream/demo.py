"""The main job on one machine: replay a fleet's past, train on it, forecast, answer, and go on live.

It uses the very ingest, forecast step, stores and API that a real stream uses; only the source is a replay.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from models.errors import BadInput
from models.minutes import HOUR_MIN, Clock, Minute, floor_to, format_iso
from stream.client import Client
from stream.clock import now as clock_now
from stream.clock import write_clock
from stream.front import rules_of
from stream.ingest import Ingest
from stream.live import Fleet, catch_up
from stream.progress import bar, say
from stream.replay import ReplaySource
from stream.samples import Trace

Train = Callable[[Minute, Callable[[float, str], None]], None]  # makes a champion of the hours before a minute
ASK_AT_ONCE = 1_000


@dataclass(slots=True)
class Report:
    """What the demo's own API answered for every VM, and how long the last closed hour took to become windows."""

    hour_to_windows_s: float
    vms: int = 0
    forecasts: int = 0
    windows: int = 0
    flagged: int = 0
    rungs: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


class Replay:
    """A trace on its way through ingest. The state is how far it may go by now: to a minute, or as a clock runs."""

    def __init__(self, trace: Trace, fleet: Fleet) -> None:
        self.trace = trace
        self._control = fleet.stores.control
        self._until: Callable[[], Minute] = lambda: trace.span.start
        source = ReplaySource(trace, self._horizon)
        self.ingest = Ingest(source, fleet.stores, rules_of(fleet.settings), time.time)

    def allow(self, until: Minute) -> None:
        """Let it go up to (not including) a minute."""
        self._until = lambda: until

    def follow(self, clock: Clock) -> None:
        """Let it go as far as `clock` has come."""
        self._until = lambda: clock.now(time.time(), 0)

    @property
    def ended(self) -> bool:
        """Whether the trace has nothing more, ever."""
        return self.trace.span.end <= self._until()

    def close_hour(self, now: Minute) -> None:
        """Set the fleet's clock to stand at `now`: idle partitions follow it, and what ended before is closed."""
        write_clock(self._control, Clock(speed=0.0, origin_minute=now))
        self.allow(now)
        catch_up(self.ingest, lambda _: None)
        self.ingest.step()

    def _horizon(self) -> Minute:
        return self._until()

    def run_to(self, until: Minute, what: str) -> None:
        """Take everything before `until`, with a bar."""
        self.allow(until)
        first = self.trace.span.start
        with bar(what) as update:

            def show(watermark: Minute | None) -> None:
                if watermark is not None:
                    update((watermark - first) / max(1, until - first), format_iso(watermark))

            catch_up(self.ingest, show)


def prepare(trace: Trace, fleet: Fleet, train: Train) -> tuple[Replay, float]:
    """From an empty (or half-filled) store to windows for every VM; returns the replay and the last hour's seconds.

    The hour before the fleet's now is closed last, after the training, and timed: from its close to its last window.
    """
    control, end = fleet.stores.control, trace.now
    write_clock(control, Clock())
    reached = clock_now(control, 0.0)  # an earlier run may have gone on live: then this one goes on from there
    now = max(end + fleet.settings.ingest.close_delay_min, reached)
    replay = Replay(trace, fleet)
    _log_yesterday(replay, fleet, now, reached)
    replay.run_to(max(end, reached), "minutes into means")
    _train_once(fleet, train, floor_to(now, HOUR_MIN) - HOUR_MIN)
    began_s = time.monotonic()
    replay.close_hour(now)
    with bar("forecasts and windows") as update:
        fleet.forecast(now, lambda done, of: update(done / of, f"{done:,} VMs"))
    took_s = time.monotonic() - began_s
    fleet.judge(now)
    return replay, took_s


def _log_yesterday(replay: Replay, fleet: Fleet, now: Minute, reached: Minute) -> None:
    """Stop at the last hour whose day is over by `now` and forecast from there, so that there are windows to judge.

    Nothing is trained by then: the lower rungs answer, as they would have. A replay that is past it goes on.
    """
    hour, control = fleet.last_settled_hour(now), fleet.stores.control
    then = hour + fleet.settings.ingest.close_delay_min
    if reached > hour or hour <= replay.trace.span.start:
        return
    replay.run_to(hour, "minutes into means, to yesterday")
    replay.close_hour(then)
    fleet.forecast(then)
    write_clock(control, Clock())


def _train_once(fleet: Fleet, train: Train, end: Minute) -> None:
    if fleet.champion.exists():
        return
    try:
        with bar("training on the fleet's past") as update:
            train(end, update)
    except BadInput as refusal:
        say(f"No champion: {refusal} The lower rungs answer.")


def ask_all(url: str, vm_ids: Sequence[str], hour_to_windows_s: float) -> Report:
    """Ask the API at `url` for a window of every VM, and count the answers."""
    report = Report(hour_to_windows_s)
    with Client(url) as client, bar("asking the API for every VM's window") as update:
        for start in range(0, len(vm_ids), ASK_AT_ONCE):
            for answer in client.windows(vm_ids[start : start + ASK_AT_ONCE]):
                _count(answer, report)
            update((start + ASK_AT_ONCE) / len(vm_ids), f"{report.vms:,} answers")
    return report


def _count(answer: Mapping[str, Any], report: Report) -> None:
    report.vms += 1
    report.rungs[answer["rung"]] += 1
    if answer["rung"] == "refused":
        report.refused[answer["reason"]] += 1
        return
    report.forecasts += 1
    report.windows += answer["best"] is not None
    report.flagged += answer["flagged"]


@contextmanager
def running(replay: Replay, fleet: Fleet) -> Iterator[None]:
    """The fleet's clock runs at the demo's speed for as long as the block does, and the replay follows it."""
    control, speed = fleet.stores.control, fleet.settings.demo.speed
    origin = clock_now(control, time.time())
    clock = Clock(speed, origin, time.time())
    write_clock(control, clock)
    replay.follow(clock)
    try:
        yield
    finally:  # what was forecast stays as fresh as it was, for whoever looks at the store later
        write_clock(control, Clock(speed=0.0, origin_minute=clock_now(control, time.time())))
