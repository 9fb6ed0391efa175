"""The workers put together: settings, stores, topics, services and what they show of themselves."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from models.errors import ZhugeError
from models.minutes import Minute
from stream.agents import Care, handlers_of
from stream.broker import Membership
from stream.broker_topics import Out
from stream.clock import CLOCK_KEY, watermarks
from stream.clock import now as clock_now
from stream.firehose import Firehose
from stream.kafka import topics_of
from stream.live import Fleet, rules_of
from stream.logs import set_up
from stream.opened import opened
from stream.outbox import Outbox
from stream.plumbing import Plumbing
from stream.receive import create_receiver
from stream.receive_write import Report, rule_of
from stream.runs import Runs, forecast_after, overdue
from stream.serve import serve, serving
from stream.settings import Settings
from stream.sources import connection_of, source_of
from stream.worker import (
    INTERRUPTED,
    REFUSED,
    Agent,
    agents_app,
    ask_brokers,
    run,
    services_app,
    until_topics_are_there,
)
from stream.worker_forecast import Ask, Forecasting
from stream.worker_http import Health, Shown, ingest_health, receiver_app, status_of, worker_app
from stream.worker_metrics import CountsMetrics, ForecastMetrics, IngestMetrics, exposition

log = logging.getLogger(__name__)


def run_ingest(settings: Settings, source: str | None, port: int | None) -> int:
    """Take one source until a signal; returns the exit code. BadInput and StoreError where it cannot begin."""
    # A batch is ten thousands of objects without circles; collecting after each 700 took a quarter of reading them.
    gc.set_threshold(100_000, 50, 100)
    declared, own, topics = source_of(settings, source), connection_of(settings.kafka), topics_of(settings.kafka.prefix)
    group = f"{settings.kafka.group}.{declared.name}"
    with opened(settings) as fleet:
        plumbing = Plumbing(declared, own, topics, _member(settings, group), fleet.stores, rules_of(settings))
        metrics = IngestMetrics()
        firehose = Firehose(plumbing, metrics.observe)
        metrics.watch(firehose.report, lambda: _now(fleet))
        started_s, stalled_after_s = time.time(), settings.worker.stalled_after_s

        def health() -> Health:
            state, wall_s = firehose.report(), time.time()
            quiet_s = wall_s - max(state.last_turn_s, started_s)
            return ingest_health(state, _now(fleet), quiet_s, stalled_after_s, wall_s)

        with _showing(settings, port, lambda: exposition(metrics.registry)) as shown:
            log.info("ingest of %s from topic %s", declared.name, declared.topic)
            until_topics_are_there(own, topics)
            shown.ask = health
            return run(services_app("ingest"), [firehose])


def run_forecast(settings: Settings, port: int | None) -> int:
    """Attend to events until a signal; returns the exit code. BadInput and StoreError where it cannot begin."""
    own, topics = connection_of(settings.kafka), topics_of(settings.kafka.prefix)
    with opened(settings) as fleet:
        control, metrics, outbox = fleet.stores.control, ForecastMetrics(), Outbox(own)

        async def bury(key: bytes, value: bytes) -> None:
            await outbox.write([Out(topics.events_dead, key, value)])

        runs = Runs(lambda end: _measured(fleet, end, metrics), lambda: watermarks(control))
        agents = [
            Agent(topic, handler, at_once=topic == topics.hours)  # one run is for all hours that wait
            for topic, handler in handlers_of(fleet, topics, runs).items()
        ]
        member = _member(settings, f"{settings.kafka.group}.forecast")
        app = agents_app(own, member, agents, Care(bury, metrics.tally))
        close_delay_min = settings.ingest.close_delay_min
        ask = Ask(lambda: overdue(control, close_delay_min), lambda: control.get(CLOCK_KEY), lambda: ask_brokers(app))
        service = Forecasting(runs, ask, outbox.stop)

        def health() -> Health:
            quiet_s = time.monotonic() - service.looked_s
            status = status_of(service.trouble, quiet_s, settings.worker.stalled_after_s)
            return Health(*status, {"partitions": service.places})

        with _showing(settings, port, lambda: exposition(metrics.registry)) as shown:
            log.info("forecast of the fleet, woken by topic %s", topics.hours)
            until_topics_are_there(own, topics)
            shown.ask = health
            return run(app, [service])


def run_receive(settings: Settings, source: str | None, host: str | None, port: int | None) -> None:
    """Receive remote-write until a signal. BadInput where it cannot begin."""
    receive = settings.receive
    declared = source_of(settings, source or receive.source or None)
    rule = rule_of(receive, declared.wire)
    counts: Counter[str] = Counter()
    metrics = CountsMetrics("zhuge_received", "Samples and requests, by what became of them.", counts)
    outbox = Outbox(declared.connection)

    async def send(reports: Sequence[Report]) -> None:
        await outbox.write([Out(declared.topic, report.key, report.value) for report in reports])

    app = receiver_app(create_receiver(rule, send, counts), lambda: exposition(metrics.registry), outbox.stop)
    at = (receive.host if host is None else host, receive.port if port is None else port)

    def said(url: str) -> None:
        set_up()
        log.info("remote-write to %s/api/v1/write goes to topic %s", url, declared.topic, extra={"url": url})

    with _ending():
        serve(app, *at, said=said)


@contextmanager
def _showing(settings: Settings, port: int | None, metrics: Callable[[], bytes]) -> Iterator[Shown]:
    """/healthz and /metrics for the block; what /healthz asks is put into what this gives."""
    shown = Shown()
    app = worker_app(shown.health, metrics)
    with serving(app, settings.worker.host, settings.worker.port if port is None else port) as url:
        set_up()
        log.info("worker is at %s/healthz and %s/metrics", url, url, extra={"url": url})
        with _ending():
            yield shown


@contextmanager
def _ending() -> Iterator[None]:
    """An end before or beside Faust's own is logged like every other, and has its exit code."""
    try:
        yield
    except ZhugeError as error:
        log.critical("the worker ends: %s", error)
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        log.info("stopped")
        sys.exit(INTERRUPTED)


def _member(settings: Settings, group: str) -> Membership:
    kafka = settings.kafka
    return Membership(group, kafka.session_timeout_ms, kafka.metadata_max_age_ms, kafka.instance)


def _now(fleet: Fleet) -> Minute:
    return clock_now(fleet.stores.control, time.time())


def _measured(fleet: Fleet, end: Minute, metrics: ForecastMetrics) -> None:
    began_s = time.monotonic()
    try:
        forecast_after(fleet, end)
    except Exception:
        metrics.ran("failed", time.monotonic() - began_s)
        raise
    metrics.ran("ok", time.monotonic() - began_s)
