"""Real workers as processes: started, killed, stopped and watched; none outlives the block, and their logs are kept."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from models.errors import StoreError
from stream.kafka import Connection

ROOT = Path(__file__).parents[2]
SOURCE = "fleet"
SESSION_TIMEOUT_MS = 3_000  # so long a killed worker keeps its partitions
METADATA_MAX_AGE_MS = 1_000  # so soon a partition that was added is seen
TAIL_LINES = 30
STOP_S = 30.0
INTERRUPTED = 130  # the exit code of a command that was asked to end


class Worker(NamedTuple):
    """One process, and where it writes."""

    number: int
    process: subprocess.Popen[bytes]
    log: Path


class Workers:
    """Those that run: of one source, each `zhuge worker ingest` with the config of this world."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.running: list[Worker] = []
        self._config, self._folder = config, folder
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait()

    def start(self) -> Worker:
        """One more."""
        self._number += 1
        log = self._folder / f"worker-{self._number}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command(self._config),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(Worker(self._number, process, log))
        return self.running[-1]

    def kill(self, worker: Worker) -> None:
        """kill -9, and all that it may have started."""
        os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
        self.running.remove(worker)

    def stop(self, worker: Worker) -> None:
        """Ask it to end. StoreError where it does not, or ends as if something had gone wrong."""
        worker.process.terminate()
        self.running.remove(worker)
        try:
            code = worker.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait()
            code = None
        if code != INTERRUPTED:
            raise self._unwell(worker, f"exit code {INTERRUPTED} within {STOP_S:g} s of SIGTERM", f"{code}")

    def pause(self, worker: Worker) -> None:
        """SIGSTOP."""
        os.killpg(worker.process.pid, signal.SIGSTOP)

    def resume(self, worker: Worker) -> None:
        """SIGCONT."""
        os.killpg(worker.process.pid, signal.SIGCONT)

    def see_to(self) -> None:
        """StoreError where one of them has ended by itself: nothing that is done to it here is a reason to."""
        for worker in self.running:
            if (code := worker.process.poll()) is not None:
                raise self._unwell(worker, "to run on", f"exit code {code}")

    def tails(self) -> str:
        """The last lines of every worker that runs."""
        return "\n".join(_tail(worker) for worker in self.running)

    def _unwell(self, worker: Worker, expected: str, got: str) -> StoreError:
        remedy = f"What it said last:\n{_tail(worker)}"
        return StoreError(f"worker {worker.number}", expected=expected, got=got, remedy=remedy)


def command(config: Path) -> list[str]:
    """What one worker is started with."""
    return [sys.executable, "-c", "from zhuge import main; main()", "--config", str(config), "worker", "ingest"]


def _tail(worker: Worker, lines: int = TAIL_LINES) -> str:
    text = worker.log.read_text("utf-8", "replace").splitlines()
    return "\n".join([f"  worker {worker.number}, {worker.log}:", *(f"    {line}" for line in text[-lines:])])


def config_text(connection: Connection, prefix: str, topic: str, folder: Path, *, unit: str = "percent") -> str:
    """TOML of a worker: everything under `folder`, the cstore and the control store in two files."""
    return f"""\
[stores]
cstore = "sqlite:{folder}/cstore.sqlite"
control = "sqlite:{folder}/control.sqlite"
answers = "sqlite:{folder}/cstore.sqlite"
registry = "file:{folder}/registry"

[kafka]
brokers = "{",".join(connection.brokers)}"
prefix = "{prefix}"
group = "{prefix}workers"
session_timeout_ms = {SESSION_TIMEOUT_MS}
metadata_max_age_ms = {METADATA_MAX_AGE_MS}

[sources.{SOURCE}]
topic = "{topic}"
format = "host-json"
unit = "{unit}"
"""
