"""`zhuge worker ingest`, put together: one source from its topic into the stores."""

from __future__ import annotations

import gc
import logging
import time
from contextlib import closing

from stream.firehose import Firehose
from stream.front import rules_of
from stream.kafka import topics_of
from stream.plumbing import Plumbing
from stream.settings import Settings
from stream.sources import connection_of, source_of
from stream.stores.open import open_stores
from stream.worker import run, services_app, until_topics_are_there
from stream.worker_http import Health, ingest_health
from stream.worker_metrics import IngestMetrics, exposition
from stream.worker_run import clock_of, member_of, showing

log = logging.getLogger(__name__)


def run_ingest(settings: Settings, source: str | None, port: int | None) -> int:
    """Take one source until a signal; returns the exit code. BadInput and StoreError where it cannot begin."""
    # A batch is ten thousands of objects without circles; collecting after each 700 took a quarter of reading them.
    gc.set_threshold(100_000, 50, 100)
    declared, own, topics = source_of(settings, source), connection_of(settings.kafka), topics_of(settings.kafka.prefix)
    group = f"{settings.kafka.group}.{declared.name}"
    urls = settings.stores
    stores = open_stores(urls.cstore, urls.control, urls.answers)
    with closing(stores):
        plumbing = Plumbing(declared, own, topics, member_of(settings, group), stores, rules_of(settings))
        metrics = IngestMetrics()
        firehose = Firehose(plumbing, metrics.observe)
        metrics.watch(firehose.report, lambda: clock_of(stores.control))
        started_s, stalled_after_s = time.time(), settings.worker.stalled_after_s

        def health() -> Health:
            state, wall_s = firehose.report(), time.time()
            quiet_s = wall_s - max(state.last_turn_s, started_s)
            return ingest_health(state, clock_of(stores.control), quiet_s, stalled_after_s, wall_s)

        with showing(settings, port, lambda: exposition(metrics.registry)) as shown:
            log.info("ingest of %s from topic %s", declared.name, declared.topic)
            until_topics_are_there(own, topics)
            shown.ask = health
            return run(services_app("ingest"), [firehose])
