"""`make cluster`: its configuration, how it knows that ingest has caught up, and the whole of it with a small fleet."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy import cluster
from deploy.services import process, server
from models.errors import ZhugeError
from stream.client import Client
from stream.settings import load_settings

LIMIT_S = 240.0


def test_its_settings_are_those_of_the_template_with_its_own_addresses(tmp_path: Path) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text(cluster.settings(cluster.TEMPLATE.read_text("utf-8"), "127.0.0.1:23456", 8081), "utf-8")
    found = load_settings(str(file), {}).settings
    assert (found.kafka.brokers, found.serve.port) == ("127.0.0.1:23456", 8081)
    assert {found.stores.cstore, found.stores.control, found.stores.answers} == {"sqlite:data/cluster/zhuge.sqlite"}
    assert found.stores.registry == "file:data/cluster/registry"
    assert found.sources.keys() == load_settings(str(cluster.TEMPLATE), {}).settings.sources.keys()


def test_a_template_that_has_changed_is_an_error_and_not_a_strangers_broker() -> None:
    with pytest.raises(ZhugeError, match='expected brokers = "127'):
        cluster.settings('[kafka]\nbrokers = "kafka-1:9092"\n', "127.0.0.1:23456", 8081)


class Healthz(BaseHTTPRequestHandler):
    """Answers with what its server holds."""

    def do_GET(self) -> None:
        code, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def healthz() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Healthz) as found:
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        yield found
        found.shutdown()


def body(*lags: int | None, behind: bool = False) -> dict[str, Any]:
    return {"behind": behind, "partitions": {str(part): {"lag": lag} for part, lag in enumerate(lags)}}


@pytest.mark.parametrize(
    ("code", "answer", "expected"),
    [
        (200, body(0, 0, 0, 0), True),
        (200, body(0, 0, 0, 7), False),
        (200, body(0, 0, 0, None), False),
        (200, body(0, 0, 0, 0, behind=True), False),
        (200, body(0, 0), False),
        (503, {"status": "waiting"}, False),
    ],
)
def test_ingest_has_caught_up_when_every_partition_has(
    healthz: HTTPServer, code: int, answer: dict[str, Any], expected: bool
) -> None:
    healthz.answer = (code, answer)  # type: ignore[attr-defined]
    assert cluster.caught_up(healthz.server_port) is expected


def test_a_worker_that_is_not_there_yet_has_not_caught_up() -> None:
    assert not cluster.caught_up(server.free_ports(["none"])["none"])


def start(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], Path]:
    log = folder / "log"
    command = [sys.executable, "-m", "deploy.cluster", *arguments]
    with log.open("w") as out:
        environment = os.environ | {"PYTHONPATH": str(cluster.ROOT)}
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out, text=True)
    return running, log


def wait_for(running: subprocess.Popen[str], log: Path, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert running.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.2)


def page_of(running: subprocess.Popen[str], log: Path) -> str:
    """Where the page is, once the fleet is live."""
    live = re.compile(r"Live at .*: (http://\S+)/$", re.MULTILINE)
    wait_for(running, log, lambda: live.search(log.read_text("utf-8")) is not None)
    found = live.search(log.read_text("utf-8"))
    assert found is not None
    return found[1]


def end(running: subprocess.Popen[str]) -> int:
    """Ctrl-C; its exit code."""
    running.send_signal(signal.SIGINT)
    return running.wait(LIMIT_S)


def broker_of(folder: Path) -> process.Started:
    state = server.read(folder / "data" / "cluster" / "kafka")
    assert state is not None
    return state.process


FED = ("--trace", "synthetic:vms=40,days=3", "--speed", "3600")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_small_fleet_lives_on_real_services_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    running, log = start(tmp_path, *FED)
    try:
        with Client(page_of(running, log)) as client:
            first = client.window("vm-000010")
            assert first["rung"] == "hour_of_day"  # three days of 40 VMs are too little to train on
            wait_for(running, log, lambda: client.window("vm-000010")["data_through"] > first["data_through"])
            reached = client.window("vm-000010")["data_through"]
    finally:
        code = end(running)
    assert code == cluster.INTERRUPTED, log.read_text("utf-8")
    assert not process.alive(broker_of(tmp_path))

    running, log = start(tmp_path, *FED)
    try:
        with Client(page_of(running, log)) as client:
            wait_for(running, log, lambda: client.window("vm-000010")["data_through"] > reached)
        process.kill(broker_of(tmp_path))
        running.wait(LIMIT_S)
    finally:
        code = end(running)
    assert code == cluster.BAD_INPUT
    assert "The past of" not in log.read_text("utf-8")
    assert "cluster: kafka ended" in log.read_text("utf-8")


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    with server.locked(tmp_path / "data" / "cluster.lock"):
        running, log = start(tmp_path)
        assert running.wait(60) == cluster.BAD_INPUT
    assert f"another one runs in {tmp_path}" in log.read_text("utf-8")
