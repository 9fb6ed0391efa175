"""What a worker shows of itself over HTTP: /healthz for the platform that restarts it, /metrics for Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from models.errors import ZhugeError
from models.minutes import Minute, format_iso
from stream.firehose import FirehoseState
from stream.worker_metrics import CONTENT_TYPE


class Health(NamedTuple):
    """How a worker is. status: ok, waiting (a store or broker is away: `detail`) or stalled; the first alone is 200."""

    status: str
    detail: str
    facts: Mapping[str, object]


def worker_app(health: Callable[[], Health], metrics: Callable[[], bytes]) -> Starlette:
    """GET /healthz and /metrics; both are asked anew each time, in a thread."""

    def healthz(_request: Request) -> Response:
        try:
            found = health()
        except ZhugeError as error:
            found = Health("waiting", str(error), {})
        body = {"status": found.status, "detail": found.detail, **found.facts}
        return JSONResponse(body, status_code=200 if found.status == "ok" else 503)

    def scrape(_request: Request) -> Response:
        return Response(metrics(), media_type=CONTENT_TYPE)

    return Starlette(routes=[Route("/healthz", healthz), Route("/metrics", scrape)])


def receiver_app(receiver: ASGIApp, metrics: Callable[[], bytes], stop: Callable[[], Awaitable[None]]) -> Starlette:
    """`receiver` with GET /metrics before it; stop() is awaited at the end."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await stop()

    def scrape(_request: Request) -> Response:
        return Response(metrics(), media_type=CONTENT_TYPE)

    return Starlette(routes=[Route("/metrics", scrape), Mount("/", receiver)], lifespan=lifespan)


def status_of(trouble: str, quiet_s: float, stalled_after_s: float) -> tuple[str, str]:
    """Status and detail of a worker that did its last turn `quiet_s` seconds ago."""
    if quiet_s > stalled_after_s:
        return "stalled", f"no turn for {quiet_s:.0f} s; {trouble}" if trouble else f"no turn for {quiet_s:.0f} s"
    return ("waiting", trouble) if trouble else ("ok", "")


def ingest_health(state: FirehoseState, now: Minute, quiet_s: float, stalled_after_s: float, wall_s: float) -> Health:
    """Of an ingest worker. now: the fleet's minute. quiet_s: seconds since the last turn, or since the start."""
    parts = {
        str(part): {
            "watermark": None if mark is None else format_iso(mark),
            "watermark_age_s": None if mark is None else (now - mark) * 60,
            "lag": state.lag.get(part),
        }
        for part, mark in sorted(state.watermark.items())
    }
    commit_age_s = round(wall_s - state.last_commit_s, 1) if state.last_commit_s else None
    facts = {"behind": state.behind, "last_commit_age_s": commit_age_s, "partitions": parts}
    return Health(*status_of(state.trouble, quiet_s, stalled_after_s), facts)


class Shown:
    """What /healthz says: that the worker waits for its brokers, until it is told whom to ask."""

    def __init__(self) -> None:
        self.ask: Callable[[], Health] = lambda: Health("waiting", "for the brokers of our own topics", {})

    def health(self) -> Health:
        """What is to be said now."""
        return self.ask()
