"""The receiver of Prometheus remote-write 1.0: what is posted goes to a source's topic before it is acknowledged.

Prometheus sends again after a 5xx, and never after another 4xx: so 503 where the topic did not take it, 400 for what
can never be read. Reports written twice by that are harmless, as a sample that is there twice changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models.errors import BadInput, StoreError
from stream.problems import problem
from stream.receive_write import MAX_BODY_BYTES, MAX_REFUSED, Report, Rule, TooLarge, Written, read_write

Send = Callable[[Sequence[Report]], Awaitable[None]]  # returns when all are acknowledged, StoreError where not

SEND_TIMEOUT_S = 20.0  # below the 30 s for which Prometheus waits
RETRY_AFTER_S = 5


class Unsupported(BadInput):
    """Another protocol than remote-write 1.0: 415."""


def create_receiver(rule: Rule, send: Send, counts: Counter[str]) -> Starlette:
    """The ASGI app: POST /api/v1/write and GET /healthz.

    `counts`: samples that were written, others (gaps and other metrics), refused (series or samples), and requests by
    their answer, `status_204` and so on.
    """

    async def write(request: Request) -> Response:
        response = await _write(request)
        counts[f"status_{response.status_code}"] += 1
        return response

    async def _write(request: Request) -> Response:
        try:
            _check_protocol(request)
            written = await run_in_threadpool(read_write, await _body(request), rule)
            if written.reports:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await send(written.reports)
        except BadInput as error:
            return problem(_status(error), error)
        except (StoreError, TimeoutError) as error:
            return problem(503, _not_taken(error), {"Retry-After": str(RETRY_AFTER_S)})
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        counts.update(samples=written.samples, others=written.others, refused=len(written.refused))
        return problem(400, _partly(written)) if written.refused else Response(status_code=204)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/api/v1/write", write, methods=["POST"]), Route("/healthz", healthz)])


def _status(error: BadInput) -> int:
    match error:
        case Unsupported():
            return 415
        case TooLarge():
            return 413
        case _:
            return 400


def _check_protocol(request: Request) -> None:
    """Unsupported for what is no remote-write 1.0: another encoding, another message, or version 2."""
    headers = request.headers
    kind, _, parameters = headers.get("content-type", "").partition(";")
    proto = parameters.strip().removeprefix("proto=").strip('"') or "prometheus.WriteRequest"
    said = {
        "Content-Type": (kind.strip().lower(), "application/x-protobuf"),
        "proto of the Content-Type": (proto, "prometheus.WriteRequest"),
        "Content-Encoding": (headers.get("content-encoding", "").lower(), "snappy"),
    }
    for name, (got, expected) in said.items():
        if got != expected:
            raise _unsupported(name, expected, got)
    version = headers.get("x-prometheus-remote-write-version", "0.1.0")
    if not version.startswith(("0.", "1.")):
        raise _unsupported("X-Prometheus-Remote-Write-Version", "0.1.0 or 1.x", version)


def _unsupported(name: str, expected: str, got: str) -> Unsupported:
    remedy = "Use remote-write 1.0: protobuf_message prometheus.WriteRequest in the remote_write of Prometheus."
    return Unsupported(name, expected=expected, got=ascii(got), remedy=remedy)


async def _body(request: Request) -> bytes:
    """The body, as far as it may be long. TooLarge as soon as it is seen to be longer."""
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > MAX_BODY_BYTES:
            raise TooLarge(
                "request body",
                expected=f"at most {MAX_BODY_BYTES} bytes",
                got="more",
                remedy="Lower max_samples_per_send of the remote_write's queue_config.",
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _not_taken(error: StoreError | TimeoutError) -> StoreError:
    if isinstance(error, StoreError):
        return error
    return StoreError(
        "the source's topic",
        expected=f"an acknowledgement within {SEND_TIMEOUT_S:g} s",
        got="none",
        remedy="See whether its brokers are up; the request may be sent again.",
    )


def _partly(written: Written) -> BadInput:
    """The protocol asks for 400 where any sample is invalid; the valid ones have been written."""
    named = "; ".join(written.refused[:MAX_REFUSED])
    return BadInput(
        f"{len(written.refused)} series or samples",
        expected="labels that name a VM and a host, and possible times and values",
        got=ascii(named)[1:-1],
        remedy=f"Correct receive.vm_label and receive.host_label; the other {written.samples} samples were taken.",
    )
