"""Several processes in one terminal: each line under its name, all stopped together, the one that dies is named."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, Self, cast

from models.errors import ZhugeError

STOP_LIMIT_S = 30.0
TAIL_LINES = 20
COLOURS = (36, 33, 35, 32, 34, 31)


class ProcessDied(ZhugeError):  # noqa: N818 (read as a sentence)
    """A process that was to run ended, or a step failed."""


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    """One process and its last words. `lasting`: it is to run until the end; else it is a step."""

    name: str
    process: subprocess.Popen[str]
    lasting: bool
    words: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


def readable(line: str) -> str:
    """A JSON line of a worker's log as a person reads it, a traceback below it; any other line as it is."""
    try:
        record = json.loads(line)
        told = f"{record['time'][11:19]} {record['level']} {record['logger']}: {record['message']}"
    except (ValueError, TypeError, KeyError):
        return line
    fields = "".join(f"  {name}={value}" for name, value in record.get("fields", {}).items())
    return "\n".join([told + fields, *record.get("traceback", "").splitlines()])


class Together(AbstractContextManager["Together"]):
    """Processes that live as long as the block; they are stopped in the reverse order of their start.

    Each runs in a session of its own, so Ctrl-C reaches this process alone, which then asks them to end.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, out: IO[str] | None = None) -> None:
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._out = out or sys.stdout
        self._members: list[_Member] = []
        self._ended: queue.Queue[_Member] = queue.Queue()
        self._readers: dict[_Member, threading.Thread] = {}

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a process that is to run until the end."""
        self._begin(name, command, lasting=True)

    def run(self, name: str, command: Sequence[str], *, may_fail: bool = False) -> bool:
        """Run a step to its end; whether it succeeded. ProcessDied where it must and does not, or another one ends."""
        step = self._begin(name, command, lasting=False)
        while (ended := self._ended.get()) is not step:
            self._check(ended)
        self._members.remove(step)
        if not may_fail:
            self._check(step)
        return step.process.returncode == 0

    def watch(self, limit_s: float | None = None) -> None:
        """Wait. ProcessDied as soon as one ends; back after `limit_s`, if there is one."""
        try:
            self._check(self._ended.get(timeout=limit_s))
        except queue.Empty:
            return

    def say(self, line: str, name: str = "cluster") -> None:
        """One line to the terminal, under a name."""
        self._out.write(f"{self._label(name)} {line}\n")
        self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for member in reversed(self._members):
                self._end(member)
        except KeyboardInterrupt:  # asked twice: at once, then, but nothing is left behind
            for member in self._members:
                member.process.kill()

    def _begin(self, name: str, command: Sequence[str], *, lasting: bool) -> _Member:
        process = subprocess.Popen(  # noqa: S603 (our own commands)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        member = _Member(name, process, lasting)
        self._members.append(member)
        reader = threading.Thread(target=self._read, args=(member,), name=name, daemon=True)
        self._readers[member] = reader
        reader.start()
        return member

    def _read(self, member: _Member) -> None:
        with cast("IO[str]", member.process.stdout) as lines:
            for line in lines:
                for shown in readable(line.rstrip()).split("\n"):
                    member.words.append(shown)
                    self.say(shown, member.name)
        member.process.wait()
        self._ended.put(member)

    def _check(self, member: _Member) -> None:
        code = member.process.returncode
        if code == 0 and not member.lasting:
            return
        got = f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
        words = "\n".join(f"    {line}" for line in member.words) or "    (nothing)"
        expected = "a process that runs until Ctrl-C" if member.lasting else "exit code 0"
        raise ProcessDied(f"{member.name} ended", expected=expected, got=got, remedy=f"Its last words:\n{words}")

    def _end(self, member: _Member) -> None:
        member.process.terminate()
        try:
            member.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.say(f"did not end within {STOP_LIMIT_S:.0f} s and is killed", member.name)
            member.process.kill()
        self._readers[member].join(5.0)  # not for ever: a grandchild may hold the pipe

    def _label(self, name: str) -> str:
        text = f"{name:>8} |"
        if not self._out.isatty():
            return text
        return f"\033[{COLOURS[sum(name.encode()) % len(COLOURS)]}m{text}\033[0m"
