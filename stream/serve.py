"""Serving an app over HTTP: the port is bound first, so that a busy one is a clear refusal and not a traceback."""

from __future__ import annotations

import errno
import gc
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn

from models.errors import BadInput

App = Callable[..., Awaitable[None]]  # any ASGI application
LOCALHOST = "127.0.0.1"
_STOP_WITHIN_S = 5


def serve(app: App, host: str = LOCALHOST, port: int = 8080, said: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is being answered; `said` gets the URL once the port is bound.

    Port 0: a free one. BadInput where the address cannot be bound. After SIGINT, KeyboardInterrupt goes on.
    """
    with bind(host, port) as bound:
        said(url_of(bound))
        _server(app).run(sockets=[bound])


@contextmanager
def serving(app: App, host: str = LOCALHOST, port: int = 0) -> Iterator[str]:
    """Serve from a thread of this process for as long as the block runs; gives the URL. BadInput as `serve`."""
    with bind(host, port) as bound:
        server = _server(app)
        thread = threading.Thread(target=server.run, args=([bound],), name="serve", daemon=True)
        thread.start()
        try:
            yield url_of(bound)  # the socket listens already: a client that comes too early waits, it is not refused
        finally:
            server.should_exit = True
            thread.join()


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; BadInput where the address is no one's, another's or not ours to take."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.create_server((host, port), family=family, backlog=2048)
        # Accepted sockets inherit it; asyncio sets it only on those it made itself. Without it a kept connection waits
        # 40 ms for the acknowledgement of the headers before the body follows.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return bound
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                expected, got = "a free port", "one that another process listens on"
            case errno.EACCES:
                expected, got = "a port that this user may take", "no permission"
            case _:
                expected, got = "an address of this machine", error.strerror or str(error)
        raise BadInput(
            f"address {host}:{port}",
            expected=expected,
            got=got,
            remedy="Give another --host or --port (0: a free one).",
        ) from error


def url_of(bound: socket.socket) -> str:
    """`http://127.0.0.1:8080`; for a socket on every interface, the address that this machine reaches itself by."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": LOCALHOST, "::": "::1"}.get(host, host)  # noqa: S104 (shown, not bound)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(app: App) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_config=None,  # its own handlers would write lines of another form beside a worker's
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_WITHIN_S,
    )
    config.load()
    # What start-up made stays for good: left to the collector, its full passes would be the tail of the latencies.
    gc.collect()
    gc.freeze()
    return uvicorn.Server(config)
