"""The command that plays a trace into a broker: feed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypedDict, Unpack

import click

from models.errors import BadInput
from models.fleet import FOREVER
from models.minutes import Clock, Minute, Span, format_iso, parse_iso
from stream.clock import CLOCK_KEY, read_clock, write_clock
from stream.clock import now as clock_now
from stream.feed import Plan
from stream.feed_encode import open_encoder
from stream.feed_faults import Faults
from stream.feed_run import Fed, Heard, run
from stream.feed_trace import open_fleet
from stream.front import Front
from stream.kafka import topics_of
from stream.kafka_tools import ensure_topics, own_topics
from stream.progress import bar, say
from stream.samples import Trace
from stream.settings import Settings
from stream.sources import Declared, connection_of, source_of
from stream.stores.open import open_stores
from stream.stores.protocols import Control

FASTEST = 1_000_000


class Options(TypedDict):
    """What is fed and how, as the command line says it."""

    source: str | None
    speed: str
    start: str | None
    until: str | None
    hosts: int | None
    keep_times: bool
    producers: int
    compression: str
    inventory: bool
    clock: bool
    acknowledged: Path | None
    late: float
    late_min: int
    duplicate: float
    shuffle_s: float
    drop: float
    poison: float
    skew_s: float
    seed: int


share = click.FloatRange(0, 1)


@click.command(
    epilog="""\b
    Examples:
      zhuge feed synthetic:vms=200,days=16              its past, as fast as it goes
      zhuge feed synthetic:vms=200,days=16 --speed 60   then on live, from where the fleet's clock stands
      zhuge feed replay:trace.parquet --until end --producers 4
      zhuge feed synthetic:vms=500 --speed 600 --late 0.01 --duplicate 0.01 --poison 0.1 --seed 3
    """
)
@click.argument("trace")
@click.option("--source", help="Declared source whose topic is written.  [default: the only one]")
@click.option("--speed", default="max", show_default=True, help="Times real time, or max: as fast as it goes.")
@click.option(
    "--from", "start", metavar="TIME", help="start, now, clock, or ISO 8601.  [default: start; with a speed: clock]"
)
@click.option("--until", metavar="TIME", help="now, end, or ISO 8601.  [default: now; with a speed: end]")
@click.option("--hosts", type=click.IntRange(1, 100_000), help="Spread a recorded trace's VMs over so many.")
@click.option("--keep-times", is_flag=True, help="Leave series of a recorded trace that ended earlier where they are.")
@click.option("--producers", type=int, default=1, show_default=True, help="Processes; a host's messages stay in one.")
@click.option("--compression", type=click.Choice(["none", "gzip"]), default="none", show_default=True)
@click.option("--inventory/--no-inventory", default=True, help="Send the trace's VM records, too.  [default: yes]")
@click.option("--clock/--no-clock", default=True, help="Set the fleet's clock.  [default: yes]")
@click.option("--acknowledged", type=click.Path(dir_okay=False, path_type=Path), help="Parquet of what brokers have.")
@click.option("--late", type=share, default=0.0, help="Share of messages that come --late-min late.")
@click.option("--late-min", type=int, default=10, show_default=True, help="Minutes.")
@click.option("--duplicate", type=share, default=0.0, help="Share that comes again within five minutes.")
@click.option("--shuffle", "shuffle_s", type=float, default=0.0, help="Hold each back for up to so many seconds.")
@click.option("--drop", type=share, default=0.0, help="Share that is never sent.")
@click.option("--poison", type=share, default=0.0, help="Share of bad messages among all, up to 0.9.")
@click.option("--skew", "skew_s", type=float, default=0.0, help="Hosts' clocks are wrong by up to so many seconds.")
@click.option("--seed", type=click.IntRange(0, 2**32), default=7, show_default=True, help="Of the faults.")
@click.pass_obj
def feed(front: Front, trace: str, **options: Unpack[Options]) -> None:
    """Play TRACE into the topic of a declared source, keyed by host, with faults to order.

    TRACE is synthetic: with options, or replay:FILE (Parquet: vm, ts, cpu), as for `zhuge replay`. Times are those of
    the trace: `now` is where a demo of it begins to be live. With a speed the fleet's clock runs with it; as fast as it
    goes the clock follows what has been seen. Ctrl-C ends it after what is under way has been acknowledged.
    """
    settings, speed = front.settings, _speed(options["speed"])
    declared = source_of(settings, options["source"])
    open_encoder(declared.wire, [])  # refuses what no feed can write, before anything is opened
    fleet = open_fleet(trace, options["hosts"], keep_times=options["keep_times"])
    with ExitStack() as stack:
        control = stack.enter_context(_control(settings)) if options["clock"] else None
        span = _span(fleet.trace, control, speed, options)
        plan = _plan(settings, declared, trace, span, options)
        if plan.inventory is not None:
            ensure_topics(plan.own, own_topics(topics_of(settings.kafka.prefix))[:1])
        clock = None if speed is None else Clock(speed, span.start)
        say(f"From {format_iso(span.start)} to {_until(span)} into topic {plan.topic}.")
        fed = _feed(plan, clock, control)
    for name in ("messages", "samples", "records", "late", "duplicates", "dropped", "poison"):
        if name in ("messages", "samples") or fed.counts[name]:
            click.echo(f"{name}: {fed.counts[name]}")
    if not fed.whole:
        raise KeyboardInterrupt


def _speed(text: str) -> float | None:
    """Times real time; None: as fast as it goes."""
    if text == "max":
        return None
    with suppress(ValueError):
        if 0 < (speed := float(text)) <= FASTEST:
            return speed
    raise BadInput("--speed", expected=f"max, or a number up to {FASTEST:,}", got=repr(text), remedy="Choose another.")


@contextmanager
def _control(settings: Settings) -> Iterator[Control]:
    url = settings.stores.control
    stores = open_stores(url, url, url)  # no other one is asked
    try:
        yield stores.control
    finally:
        stores.close()


def _span(trace: Trace, control: Control | None, speed: float | None, options: Options) -> Span:
    """The minutes that are fed."""
    words = {"start": trace.span.start, "now": trace.now, "end": trace.span.end, "clock": _stands_at(trace, control)}
    start_text = options["start"] or ("start" if speed is None else "clock")
    until_text = options["until"] or ("now" if speed is None else "end")
    start, until = (words[text] if text in words else parse_iso(text) for text in (start_text, until_text))
    span = Span(max(start, trace.span.start), min(until, trace.span.end))
    if span.end <= span.start:
        raise BadInput(
            "what is to be fed",
            expected=f"a time within {format_iso(trace.span.start)} to {_until(trace.span)}, and --from before --until",
            got=f"from {start_text} to {until_text}, {format_iso(start)} to {_until(Span(start, until))}",
            remedy="Give --from and --until.",
        )
    if speed is None and span.end == FOREVER:
        raise BadInput("--until", expected="an end, where the speed is max", got="end", remedy="This trace has none.")
    return span


def _stands_at(trace: Trace, control: Control | None) -> Minute:
    """Where a live feed goes on: where the fleet's clock stands, and not before the trace's now."""
    if control is None or control.get(CLOCK_KEY) is None:
        return trace.now
    return max(trace.now, clock_now(control, time.time()))


def _until(span: Span) -> str:
    return "no end" if span.end == FOREVER else format_iso(span.end)


def _plan(settings: Settings, declared: Declared, trace: str, span: Span, options: Options) -> Plan:
    faults = Faults(
        late=options["late"],
        late_min=options["late_min"],
        duplicate=options["duplicate"],
        shuffle_s=options["shuffle_s"],
        drop=options["drop"],
        poison=options["poison"],
        skew_s=options["skew_s"],
        seed=options["seed"],
    )
    return Plan(
        trace=trace,
        hosts=options["hosts"],
        keep_times=options["keep_times"],
        wire=declared.wire,
        topic=declared.topic,
        connection=declared.connection,
        own=connection_of(settings.kafka),
        inventory=topics_of(settings.kafka.prefix).inventory if options["inventory"] else None,
        span=span,
        faults=faults.check(),
        producers=options["producers"],
        compression=options["compression"],
        acknowledged=options["acknowledged"],
    )


def _feed(plan: Plan, clock: Clock | None, control: Control | None) -> Fed:
    """Feed it, and have the fleet's clock run with it; afterwards that stands still where the feed came to."""

    def begun(running: Clock | None) -> None:
        if control is not None:
            write_clock(control, running or Clock())

    span, began_s = plan.span, time.monotonic()
    reached = span.start

    def progress(minute: Minute, counts: Counter[str]) -> None:
        nonlocal reached
        reached = minute
        each_s = counts["messages"] / max(1e-9, time.monotonic() - began_s)
        note = f"{format_iso(minute)}  {counts['messages']:,} messages, {each_s:,.0f} a second"
        update((minute - span.start) / (span.end - span.start), note)

    try:
        with bar("feeding") as update:
            return run(plan, clock, Heard(begun, progress))
    finally:  # what was forecast stays as fresh as it was
        if control is not None and clock is not None and read_clock(control).speed == clock.speed:
            stands_at = min(reached, clock_now(control, time.time()))
            write_clock(control, Clock(speed=0.0, origin_minute=stands_at))
