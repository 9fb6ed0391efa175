"""A server for tests and laptops: started once on ports of its own, found again by its file, stopped by its own pid.

What one is (its configuration, command and probe) is a `Service`, a file of its own beside this one; how it is started,
waited for and stopped is here and the same for all.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.services import process
from deploy.services.process import Started
from models.errors import ZhugeError

HOME = Path(__file__).parents[2] / "data" / "services"
HOST = "127.0.0.1"
START_LIMIT_S, STOP_LIMIT_S, POLL_S = 90.0, 30.0, 0.1
LOWEST_PORT = 20_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class ServiceError(ZhugeError):
    """A server that cannot be started, or what it needs is missing."""


class Place(NamedTuple):
    """Where one server runs. `home`: what servers share (jars, certificates); `folder`: its own data and files."""

    home: Path
    folder: Path
    ports: Mapping[str, int]


class Service(NamedTuple):
    """What a server is, asked in this order. Adding one is a file beside kafka.py and its name in __main__.py.

    `needs` raises ServiceError where a program is missing; `config` is the text of its `config_file`; `prepare` makes
    what the first start needs; `answers` raises OSError until it serves; `facts` are what its clients need.
    """

    name: str
    ports: tuple[str, ...]
    config_file: str
    needs: Callable[[], None]
    config: Callable[[Place], str]
    prepare: Callable[[Place], None]
    command: Callable[[Place], list[str]]
    answers: Callable[[Place], None]
    facts: Callable[[Place], dict[str, str]]


class State(NamedTuple):
    """What `server.json` holds. `digest`: of what it was started with; `facts`: what its clients need."""

    ports: dict[str, int]
    process: Started
    digest: str
    log: str
    facts: dict[str, str]


def start(service: Service, folder: Path, home: Path) -> State:
    """Start a server, or find it running; either way it answers when this returns.

    It comes up on the ports that it had, or on others where a stranger has taken one. A server that runs with another
    configuration than today's is started again. ServiceError with the log's tail where it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        state = read(folder)
        ports = free_ports(service.ports) | (state.ports if state else {})
        if state and process.alive(state.process):
            place = Place(home, folder, ports)
            if state.digest == _digest(service, place):
                _await_answer(service, place, state)
                return state
            process.end(state.process, STOP_LIMIT_S)
        free = all(map(is_free, ports.values()))
        return _launch(service, Place(home, folder, ports if free else free_ports(service.ports)))


def stop(folder: Path) -> bool:
    """Stop the server of a folder; False where none runs."""
    with locked(folder / "lock") if folder.exists() else contextlib.nullcontext():
        state = read(folder)
        if state is None or not process.alive(state.process):
            return False
        process.end(state.process, STOP_LIMIT_S)
        return True


def running(folder: Path) -> State | None:
    """The server of a folder, if its process runs."""
    state = read(folder)
    return state if state and process.alive(state.process) else None


def read(folder: Path) -> State | None:
    """What `server.json` of a folder says, whether or not the server still runs; None before the first start."""
    try:
        found = json.loads((folder / "server.json").read_text("utf-8"))
        return State(found["ports"], Started(**found["process"]), found["digest"], found["log"], found["facts"])
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def locked(file: Path, *, wait: bool = True) -> Iterator[None]:
    """One at a time, among processes as well: the second waits, or gets BlockingIOError where it should not."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _launch(service: Service, place: Place) -> State:
    service.needs()
    (place.folder / service.config_file).write_text(service.config(place), "utf-8")
    service.prepare(place)
    log = place.folder / f"{service.name}.log"
    started = process.spawn(service.command(place), log)
    state = State(dict(place.ports), started, _digest(service, place), str(log), service.facts(place))
    _write(place.folder, state)  # before it answers: a start that is broken off can still be stopped
    _await_answer(service, place, state)
    return state


def _write(folder: Path, state: State) -> None:
    file = folder / "server.json"
    new = file.with_suffix(".new")
    new.touch(0o600)  # a password may stand in it
    text = json.dumps({**state._asdict(), "process": state.process._asdict()}, indent=2)
    new.write_text(text + "\n", "utf-8")
    new.replace(file)


def _await_answer(service: Service, place: Place, state: State) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            return service.answers(place)
        except OSError as error:
            ended = not process.alive(state.process)
            if ended or time.monotonic() > deadline:
                got = "its process ended" if ended else f"{error} after {START_LIMIT_S:.0f} s"
                process.kill(state.process)
                raise ServiceError(
                    f"{service.name} did not start",
                    expected=f"an answer on {HOST}:{place.ports[service.ports[0]]}",
                    got=got,
                    remedy=f"The end of {state.log}:\n{process.tail(Path(state.log).read_text('utf-8', 'replace'))}",
                ) from error
        time.sleep(POLL_S)


def _digest(service: Service, place: Place) -> str:
    return hashlib.sha256(json.dumps([service.config(place), service.command(place)]).encode()).hexdigest()


def free_ports(names: Sequence[str]) -> dict[str, int]:
    """Free ports below those that the kernel hands out: a client that calls a server which is down cannot take one."""
    highest = int(EPHEMERAL.read_text("ascii").split()[0]) if EPHEMERAL.exists() else 32_768
    ports: dict[str, int] = {}
    for name in names:
        candidates = (random.randrange(LOWEST_PORT, max(highest, LOWEST_PORT + 1_000)) for _ in range(1_000))
        ports[name] = next(port for port in candidates if port not in ports.values() and is_free(port))
    return ports


def is_free(port: int) -> bool:
    """Whether a server can listen on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections of the last run do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
