"""`zhuge worker receive`, put together: remote-write over HTTP into a source's topic."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from stream.broker_topics import Out
from stream.logs import set_up
from stream.outbox import Outbox
from stream.receive import create_receiver
from stream.receive_write import Report, rule_of
from stream.serve import serve
from stream.settings import Settings
from stream.sources import source_of
from stream.worker_base import ending
from stream.worker_http import receiver_app
from stream.worker_metrics import CountsMetrics, exposition

log = logging.getLogger(__name__)


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

    with ending():
        serve(app, *at, said=said)
