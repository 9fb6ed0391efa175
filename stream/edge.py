"""The outermost layer: addresses are cut into segments before they are decoded, have a limit, and answers are armed.

A server hands the path over decoded, and then the id `a/window` could not be told from the question `window` about
`a`. Routes are therefore matched on the raw path, and `decode_id` reads the one segment that holds the id.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import BadInput
from stream.problems import Malformed, problem

MAX_ADDRESS_BYTES = 8_192
MAX_BODY_BYTES = 16 * 2**20  # 10,000 ids of 255 characters and what is beside them

# BokehJS styles its shadow roots with <style> elements and draws its icons from data: the only things beyond 'self'.
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"cache-control", b"no-cache"),  # asked again each time; an unchanged file answers 304
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


def edged(app: ASGIApp) -> ASGIApp:
    """`app` behind this layer."""

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def armed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        raw = scope["raw_path"].decode("latin-1")
        if len(raw) + len(scope["query_string"]) > MAX_ADDRESS_BYTES:
            await problem(414, _too_long(len(raw) + len(scope["query_string"])))(scope, receive, armed)
            return
        scope["path"] = raw
        await app(scope, _limited(receive), armed)

    return edge


def decode_id(segment: str) -> str:
    """The VM id in a raw path segment. Malformed where its percent-encoding is not UTF-8."""
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Malformed(
            "VM id in the address",
            expected="UTF-8, percent-encoded",
            got=ascii(segment),
            remedy="Encode the id as UTF-8 and then each byte as %XX.",
        ) from None


def _limited(receive: Receive) -> Receive:
    """`receive` that ends in a 413 where the body grows too large; the framework's own limit says it in plain text."""
    got_bytes = 0

    async def limited() -> Message:
        nonlocal got_bytes
        message = await receive()
        got_bytes += len(message.get("body", b""))
        if got_bytes > MAX_BODY_BYTES:
            raise HTTPException(413)
        return message

    return limited


def _too_long(got_bytes: int) -> BadInput:
    return BadInput(
        "address",
        expected=f"at most {MAX_ADDRESS_BYTES} bytes",
        got=f"{got_bytes} bytes",
        remedy="Ask POST /v1/windows, which takes ids and question in its body.",
    )
