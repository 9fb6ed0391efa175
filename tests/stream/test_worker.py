"""How a worker process ends, whatever happens to it: asked, crashed, refused, or with something that will not stop."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.stream.worker_processes import Process, started, until, write_config, zhuge
from zhuge import cli, main

# The firehose's place is taken by a service that does what the argument says.
SCRIPT = """
import asyncio, logging, sys, threading
from mode import Service
from models.errors import StoreError
from stream import worker
from stream.logs import set_up

worker.STOP_WITHIN_S = 2.5  # of which Faust sleeps one
how = sys.argv[1]

class Odd(Service):
    @Service.task
    async def work(self):
        logging.getLogger("stream.odd").info("works")
        if how == "crashes":
            raise ValueError("odd\\nthing")
        if how == "refuses":
            raise StoreError("store", expected="a lock", got="none", remedy="Wait.")
        if how == "works in a thread":
            await asyncio.to_thread(threading.Event().wait, 60)
        await asyncio.Event().wait()

    async def on_stop(self):
        if how == "hangs":
            await asyncio.Event().wait()
        logging.getLogger("stream.odd").info("stopped")

class CannotStart(Service):
    async def on_start(self):
        raise ConnectionError("away")

set_up()
services = [CannotStart()] if how == "cannot start" else [Odd()]
sys.exit(worker.run(worker.services_app("test"), services))
"""


def messages(process: Process) -> list[str]:
    return [line["message"] for line in process.lines()]


def works(process: Process) -> None:
    until(lambda: '"works"' in process.log.read_text("utf-8"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_services_and_the_process_with_code_130(tmp_path: Path, how: signal.Signals) -> None:
    with started(["-c", SCRIPT, "works"], tmp_path) as process:
        works(process)
        code, took_s = process.stop(how)
        assert code == 130
        assert took_s < 5
        assert messages(process)[-1] == "stopped"


def test_a_crash_of_a_service_is_the_end_of_the_process(tmp_path: Path) -> None:
    with started(["-c", SCRIPT, "crashes"], tmp_path) as process:
        assert process.process.wait(30) == 1
        last = process.lines()[-1]
        assert (last["level"], last["message"]) == ("critical", r"the worker ends by a crash: ValueError('odd\nthing')")
        assert "in work" in last["traceback"]
        assert "stopped" in messages(process)


def test_what_a_service_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    with started(["-c", SCRIPT, "refuses"], tmp_path) as process:
        assert process.process.wait(30) == 2
        assert messages(process)[-1] == "the worker ends: store: expected a lock, got none. Wait."


def test_what_cannot_start_ends_the_process(tmp_path: Path) -> None:
    with started(["-c", SCRIPT, "cannot start"], tmp_path) as process:
        assert process.process.wait(30) == 1
        assert messages(process)[-1] == "the worker ends by a crash: ConnectionError('away')"


@pytest.mark.parametrize("how", ["hangs", "works in a thread"])
def test_what_will_not_stop_does_not_keep_the_process(tmp_path: Path, how: str) -> None:
    with started(["-c", SCRIPT, how], tmp_path) as process:
        works(process)
        code, took_s = process.stop()
        assert code == 130
        assert took_s < 5
        assert messages(process)[-1].startswith("not stopped within 2.5 s, so it ends at once")


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.slow
@pytest.mark.parametrize("worker", ["ingest", "forecast"])
def test_brokers_that_are_not_there_yet_are_waited_for(tmp_path: Path, nobody: str, worker: str) -> None:
    source = '[sources.s]\ntopic = "s"\nformat = "json"\nunit = "percent"\n'
    config = write_config(tmp_path, nobody, "x.", source)
    with started(zhuge(tmp_path / "data", config, "worker", worker), tmp_path) as process:
        until(lambda: "waiting for the brokers" in process.log.read_text("utf-8"))
        code, health = process.health()
        assert (code, health["status"]) == (503, "waiting")
        assert "brokers" in health["detail"]
        assert process.stop()[0] == 130
        told = [line for line in process.lines()[:-1] if line["level"] == "warning"]
        assert all(nobody in line["message"] for line in told)
        assert not any("traceback" in line for line in told)


@pytest.mark.parametrize(
    "words", [["forecast"], ["ingest"], ["ingest", "--source", "none"], ["receive"], ["ingest", "--port", "x"]]
)
def test_settings_that_cannot_be_are_refused_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    config = write_config(tmp_path, "nowhere", "x.")
    data = tmp_path / "data"
    monkeypatch.setattr(sys, "argv", ["zhuge", "--config", str(config), "--data", str(data), "worker", *words])
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        main()
    signal.signal(signal.SIGTERM, before)
    assert end.value.code == 2
    assert "expected" in capsys.readouterr().err or words[-1] == "x"
    assert not data.exists()


@pytest.mark.parametrize("words", [[], ["ingest"], ["forecast"], ["receive"]])
def test_help_shows_how_it_is_used(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    cli.main(["worker", *words, "--help"], standalone_mode=False)
    told = capsys.readouterr().out
    assert "Usage: " in told
    assert not words or "Examples:\n    zhuge worker" in told
