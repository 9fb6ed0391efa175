"""How the servers of `make services` are started, found again and stopped, on a server that starts in no time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.services import process, server
from deploy.services.server import HOST, Place, Service, ServiceError

ROOT = Path(__file__).parents[1]


def nothing(*_: object) -> None:
    """A step that a small server does not need."""


def listens(place: Place) -> None:
    socket.create_connection((HOST, place.ports["web"]), timeout=1).close()


def web(place: Place) -> list[str]:
    return [sys.executable, "-m", "http.server", str(place.ports["web"]), "--bind", HOST, "-d", str(place.folder)]


SMALL = Service(
    name="small",
    ports=("web",),
    config_file="small.conf",
    needs=nothing,
    config=lambda place: f"port={place.ports['web']}\n",
    prepare=nothing,
    command=web,
    answers=listens,
    facts=lambda place: {"url": f"http://{HOST}:{place.ports['web']}"},
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "small"
    server.stop(tmp_path / "small")


def start(folder: Path, service: Service = SMALL) -> server.State:
    return server.start(service, folder, folder.parent)


def test_a_second_start_finds_the_first(folder: Path) -> None:
    first = start(folder)
    assert start(folder) == first
    assert server.running(folder) == first
    assert (folder / "small.conf").read_text("utf-8") == f"port={first.ports['web']}\n"
    assert first.facts == {"url": f"http://{HOST}:{first.ports['web']}"}


def test_starts_at_the_same_time_are_one(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len({state.process for state in pool.map(start, [folder] * 4)}) == 1


def test_a_killed_server_comes_back_on_its_ports(folder: Path) -> None:
    first = start(folder)
    process.kill(first.process)
    assert server.running(folder) is None
    again = start(folder)
    assert (again.ports, again.facts) == (first.ports, first.facts)
    assert again.process != first.process
    assert (folder / "small.log.1").exists()


def test_where_a_stranger_has_its_port_it_takes_another(folder: Path) -> None:
    first = start(folder)
    server.stop(folder)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((HOST, first.ports["web"]))
        stranger.listen()
        assert start(folder).ports != first.ports


def test_ports_lie_below_those_that_the_kernel_hands_to_clients(folder: Path) -> None:
    lowest = int(server.EPHEMERAL.read_text("ascii").split()[0])
    assert server.LOWEST_PORT <= start(folder).ports["web"] < lowest


def test_another_configuration_starts_it_again(folder: Path) -> None:
    first = start(folder)
    changed = start(folder, SMALL._replace(config=lambda _: "port=the same\n"))
    assert changed.ports == first.ports
    assert changed.process != first.process
    assert not process.alive(first.process)


def test_one_more_port_is_found_beside_those_it_has(folder: Path) -> None:
    first = start(folder)
    more = SMALL._replace(ports=("web", "more"), config=lambda place: f"{place.ports['more']}")
    assert start(folder, more).ports["web"] == first.ports["web"]


def test_it_is_stopped_once_and_stopping_nothing_is_fine(folder: Path) -> None:
    assert not server.stop(folder)
    first = start(folder)
    assert server.stop(folder)
    assert not process.alive(first.process)
    assert not server.stop(folder)


def test_a_strangers_process_with_the_same_pid_is_left_alone(folder: Path) -> None:
    state = start(folder)
    server.stop(folder)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        reused = process.Started(stranger.pid, state.process.since)
        assert not process.alive(reused)
        process.kill(reused)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_that_ends_at_once_is_an_error_with_the_end_of_its_log(folder: Path) -> None:
    broken = SMALL._replace(command=lambda _: ["sh", "-c", "echo no space left on device >&2; exit 3"])
    with pytest.raises(ServiceError, match=r"(?s)small did not start: .* its process ended.*no space left on device"):
        start(folder, broken)
    assert server.running(folder) is None


def test_a_server_that_never_answers_is_an_error_and_is_not_left_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "START_LIMIT_S", 0.2)
    silent = SMALL._replace(command=lambda _: ["sleep", "60"])
    with pytest.raises(ServiceError, match="Connection refused after"):
        start(folder, silent)
    assert server.running(folder) is None


def test_a_process_that_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    started = process.spawn(["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"], log)
    while "deaf" not in log.read_text("ascii"):
        assert process.alive(started)
    assert not process.end(started, 0.1)
    assert not process.alive(started)


def test_a_started_process_hears_no_ctrl_c_of_the_terminal(folder: Path) -> None:
    pid = start(folder).process.pid
    assert os.getsid(pid) == pid != os.getsid(0)


def command_line(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "deploy.services", *words]
    return subprocess.run(line, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_without_java_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = command_line("start", "--home", str(tmp_path), PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        "services: no java on the PATH: expected Java 17 or later, and Maven, got none. "
        "Install them: sudo apt-get install default-jre-headless maven\n"
    )


def test_an_old_java_is_refused(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.22\" 2024-01-16' >&2\n", "ascii")
    java.chmod(0o755)
    done = command_line("start", "--home", str(tmp_path), PATH=str(tmp_path))
    assert done.returncode == 2
    assert "expected version 17 or later, got openjdk version" in done.stderr


def test_stop_and_status_where_nothing_runs_are_fine(tmp_path: Path) -> None:
    for command, said in (("stop", "kafka: nothing to stop\n"), ("status", "kafka: not running\n")):
        done = command_line(command, "--home", str(tmp_path))
        assert (done.returncode, done.stdout) == (0, said)


def test_an_unknown_server_is_named() -> None:
    done = command_line("start", "kafkaa")
    assert done.returncode == 2
    assert "no such server: kafkaa" in done.stderr


def test_no_signal_goes_to_a_process_that_has_ended(tmp_path: Path) -> None:
    started = process.spawn(["true"], tmp_path / "log")
    assert process.gone(started, 10)
    process.send(started, signal.SIGKILL)
