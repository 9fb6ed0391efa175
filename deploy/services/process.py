"""Processes that outlive the command that started them: known by pid and start time, never by pid alone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

BOOT = Path("/proc/sys/kernel/random/boot_id")
POLL_S = 0.02
UTF8 = {"LC_ALL": "C.UTF-8"}  # a JVM reads paths by its locale


class Started(NamedTuple):
    """A process that was started here. `since`: boot and clock tick of its start, so a reused pid is another."""

    pid: int
    since: str


def spawn(command: Sequence[str], log: Path) -> Started:
    """Start `command` in a session of its own (Ctrl-C does not reach it), its output in a new `log`.

    The log of the run before is kept beside it as `.1`. OSError where the program is not there.
    """
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    outputs = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawnp(command[0], list(command), os.environ | UTF8, file_actions=outputs, setsid=True)
    return Started(pid, _since(pid) or "ended at once")


def alive(started: Started) -> bool:
    """Whether that very process still runs."""
    with contextlib.suppress(ChildProcessError):  # a child that ended stays a zombie until somebody asks
        os.waitpid(started.pid, os.WNOHANG)
    return _since(started.pid) == started.since


def send(started: Started, number: signal.Signals) -> None:
    """Send a signal to that very process; nothing where it has ended."""
    if alive(started):
        with contextlib.suppress(ProcessLookupError):
            os.kill(started.pid, number)


def end(started: Started, limit_s: float) -> bool:
    """Ask a process to end, and kill it after `limit_s`. Returns whether it ended when asked."""
    send(started, signal.SIGTERM)
    if gone(started, limit_s):
        return True
    kill(started)
    return False


def kill(started: Started) -> None:
    """End a process now (kill -9), and wait until it is gone."""
    send(started, signal.SIGKILL)
    gone(started, 30.0)


def gone(started: Started, limit_s: float) -> bool:
    """Whether the process has ended within `limit_s`."""
    deadline = time.monotonic() + limit_s
    while alive(started):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def tail(text: str, lines: int = 20) -> str:
    """The last lines of what a program said, indented; a word where it said nothing."""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (nothing)"


def _since(pid: int) -> str | None:
    """Boot and start tick of a process; None where there is none, or only what is left of one that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return None
    ended = fields[0] in "ZX" and threads <= 1  # while other threads still end, its ports are not free
    return None if ended else f"{BOOT.read_text('ascii').strip()} {fields[19]}"
