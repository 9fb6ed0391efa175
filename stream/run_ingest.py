"""`zhuge worker ingest`, put together: one source from its topic into the stores."""

from __future__ import annotations

import gc
import logging
import time
from contextlib import closing

from stream.clock import now as clock_now
from stream.firehose import Firehose
from stream.front import rules_of, stores_of
from stream.kafka import topics_of
from stream.plumbing import Plumbing
from stream.settings import Settings
from stream.sources import connection_of, source_of
from stream.worker import run, services_app, until_topics_are_there
from stream.worker_base import member_of, showing
from stream.worker_http import Health, ingest_health
from stream.worker_metrics import IngestMetrics, exposition

log = logging.getLogger(__name__)


def run_ingest(settings: Settings, source: str | None, port: int | None) -> int:
    """Take one source until a signal; returns the exit code. BadInput and StoreError where it cannot begin."""
    # A batch is ten thousands of objects without circles; collecting after each 700 took a quarter of reading them.
    gc.set_threshold(100_000, 50, 100)
    declared, own, topics = source_of(settings, source), connection_of(settings.kafka), topics_of(settings.kafka.prefix)
    group = f"{settings.kafka.group}.{declared.name}"
    with closing(stores_of(settings)) as stores:
        plumbing = Plumbing(declared, own, topics, member_of(settings, group), stores, rules_of(settings))
        metrics = IngestMetrics()
        firehose = Firehose(plumbing, metrics.observe)
        metrics.watch(firehose.report, lambda: clock_now(stores.control, time.time()))
        started_s, stalled_after_s = time.time(), settings.worker.stalled_after_s

        def health() -> Health:
            state, wall_s = firehose.report(), time.time()
            quiet_s = wall_s - max(state.last_turn_s, started_s)
            return ingest_health(state, clock_now(stores.control, wall_s), quiet_s, stalled_after_s, wall_s)

        with showing(settings, port, lambda: exposition(metrics.registry)) as shown:
            log.info("ingest of %s from topic %s", declared.name, declared.topic)
            until_topics_are_there(own, topics)
            shown.ask = health
            return run(services_app("ingest"), [firehose])
