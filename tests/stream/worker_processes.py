"""Workers as processes, as a platform runs them: started, asked over HTTP, stopped, and their logs read."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Process:
    """A worker, and the file that it logs to."""

    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged: each line is JSON, or this fails."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def url(self) -> str:
        """Where it shows itself, once it says so."""
        found = until(lambda: [line["fields"]["url"] for line in self._whole() if "url" in line.get("fields", {})])
        return str(found[0])

    def health(self) -> tuple[int, dict[str, Any]]:
        answer = httpx.get(f"{self.url()}/healthz")
        return answer.status_code, answer.json()

    def well(self) -> dict[str, Any]:
        """Its health, once it is well."""
        return until(lambda: self.health()[1] if self.health()[0] == 200 else None)

    def metrics(self) -> dict[str, float]:
        lines = httpx.get(f"{self.url()}/metrics").text.splitlines()
        pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return {name: float(value) for name, _, value in pairs}

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Its exit code, and how many seconds it took to stop."""
        began_s = time.monotonic()
        self.process.send_signal(how)
        code = self.process.wait(LIMIT_S)
        return code, time.monotonic() - began_s

    def _whole(self) -> list[dict[str, Any]]:
        assert self.process.poll() is None, self.log.read_text("utf-8")
        text = self.log.read_text("utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def until(what: Callable[[], T | None]) -> T:
    """What it gives, once that is something; an AssertionError where it is not within a minute."""
    end_s = time.monotonic() + LIMIT_S
    while not (found := what()):
        assert time.monotonic() < end_s
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def started(command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """A process for the block; it does not outlive it. Its standard error is its log; its other output must be none."""
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env={**os.environ, **(env or {})}, stdout=file, stderr=file
        )
    try:
        yield Process(process, log)
    finally:
        process.kill()
        process.wait()


def zhuge(data: Path, config: Path, *words: str) -> list[str]:
    """The command line of one `zhuge`, with its stores in `data`."""
    return ["-c", "import zhuge; zhuge.main()", "--config", str(config), "--data", str(data), *words]


def write_config(folder: Path, brokers: str, prefix: str, more: str = "") -> Path:
    """Settings of a worker whose topics bear `prefix`, its page on a free port."""
    path = folder / "worker.toml"
    path.write_text(
        f"""
[kafka]
brokers = "{brokers}"
prefix = "{prefix}"
group = "{prefix}zhuge"
session_timeout_ms = 6000
metadata_max_age_ms = 1000
{more}""",
        "utf-8",
    )
    return path
