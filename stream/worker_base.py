"""What every worker has: /healthz and /metrics while it runs, an end that is logged, its membership."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from models.errors import ZhugeError
from stream.broker import Membership
from stream.logs import set_up
from stream.serve import serving
from stream.settings import Settings
from stream.worker import INTERRUPTED, REFUSED
from stream.worker_http import Shown, worker_app

log = logging.getLogger(__name__)


@contextmanager
def showing(settings: Settings, port: int | None, metrics: Callable[[], bytes]) -> Iterator[Shown]:
    """/healthz and /metrics for the block; what /healthz asks is put into what this gives."""
    shown = Shown()
    app = worker_app(shown.health, metrics)
    with serving(app, settings.worker.host, settings.worker.port if port is None else port) as url:
        set_up()
        log.info("worker is at %s/healthz and %s/metrics", url, url, extra={"url": url})
        with ending():
            yield shown


@contextmanager
def ending() -> Iterator[None]:
    """An end before or beside Faust's own is logged like every other, and has its exit code."""
    try:
        yield
    except ZhugeError as error:
        log.critical("the worker ends: %s", error)
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        log.info("stopped")
        sys.exit(INTERRUPTED)


def member_of(settings: Settings, group: str) -> Membership:
    """How a worker is a member of `group`, as [kafka] says."""
    kafka = settings.kafka
    return Membership(group, kafka.session_timeout_ms, kafka.metadata_max_age_ms, kafka.instance)
