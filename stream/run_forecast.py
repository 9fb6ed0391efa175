"""`zhuge worker forecast`, put together: agents that attend to events, and forecasts when hours have closed."""

from __future__ import annotations

import logging
import time

from models.minutes import Minute
from stream.agents import Care
from stream.broker_topics import Out
from stream.clock import CLOCK_KEY, watermarks
from stream.handlers import handlers_of
from stream.kafka import topics_of
from stream.live import Fleet
from stream.opened import opened
from stream.outbox import Outbox
from stream.runs import Runs, forecast_after, judge_after, overdue
from stream.settings import Settings
from stream.sources import connection_of
from stream.worker import Agent, agents_app, ask_brokers, run, until_topics_are_there
from stream.worker_base import member_of, showing
from stream.worker_forecast import Ask, Forecasting
from stream.worker_http import Health, status_of
from stream.worker_metrics import ForecastMetrics, exposition

log = logging.getLogger(__name__)


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
        member = member_of(settings, f"{settings.kafka.group}.forecast")
        app = agents_app(own, member, agents, Care(bury, metrics.tally))
        close_delay_min = settings.ingest.close_delay_min
        ask = Ask(lambda: overdue(control, close_delay_min), lambda: control.get(CLOCK_KEY), lambda: ask_brokers(app))
        service = Forecasting(runs, ask, outbox.stop)

        def health() -> Health:
            quiet_s = time.monotonic() - service.looked_s
            status = status_of(service.trouble, quiet_s, settings.worker.stalled_after_s)
            return Health(*status, {"partitions": service.places})

        with showing(settings, port, lambda: exposition(metrics.registry)) as shown:
            log.info("forecast of the fleet, woken by topic %s", topics.hours)
            until_topics_are_there(own, topics)
            shown.ask = health
            return run(app, [service])


def _measured(fleet: Fleet, end: Minute, metrics: ForecastMetrics) -> None:
    began_s = time.monotonic()
    try:
        outcome = forecast_after(fleet, end)
    except Exception:
        metrics.ran("failed", time.monotonic() - began_s)
        raise
    metrics.ran("ok", time.monotonic() - began_s)
    metrics.clipped(outcome.clipped)
    judge_after(fleet, end)
