from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from models.errors import BadInput
from stream.serve import bind, serving, url_of


async def hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])

# Answers slowly, says that it has begun, and is then told to stop.
SLOW = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from stream.serve import serve

async def slow(request):
    print("begun", flush=True)
    await asyncio.sleep(0.5)
    return PlainTextResponse("done")

serve(Starlette(routes=[Route("/", slow)]), "127.0.0.1", 0, lambda url: print(url, flush=True))
"""


def test_it_serves_on_a_free_port_and_lets_go_of_it() -> None:
    with serving(APP) as url:
        assert httpx.get(url).text == "hello"
    port = int(url.rpartition(":")[2])
    bind("127.0.0.1", port).close()


def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    with bind("127.0.0.1", 0) as bound, socket.create_connection(bound.getsockname()):
        accepted, _ = bound.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_busy_port_is_refused_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match="expected a free port, got one that another process listens on"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(BadInput, match="expected an address of this machine"):
        bind(host, 0)


def test_the_url_of_a_socket_on_every_interface_can_be_opened() -> None:
    with bind("0.0.0.0", 0) as bound:  # noqa: S104
        assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_the_url_of_an_ipv6_socket_has_brackets() -> None:
    with bind("::1", 0) as bound:
        assert url_of(bound) == f"http://[::1]:{bound.getsockname()[1]}"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered_before_it_stops(stop: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SLOW]
    with (
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        assert process.stdout is not None
        answer = pool.submit(httpx.get, process.stdout.readline().strip(), timeout=30.0)
        assert process.stdout.readline() == "begun\n"
        process.send_signal(stop)
        assert answer.result().text == "done"
    assert process.returncode == -stop
