"""What a benchmark sees of other processes from outside: CPU and memory of a tree, and what a group has committed.

Linux only (`/proc`). Who reads a topic is measured by what it has committed to the broker, ours and peers alike. Rates
are between two marks, so that neither a start nor the first sight of a million VMs is in them.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from stream.kafka import Connection

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it reads its schemas by a function that is going away
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
POLL_S = 0.1


class Mark(NamedTuple):
    """At `at_s` (monotonic), `done` messages were committed and the process tree had used `cpu_s`."""

    at_s: float
    done: int
    cpu_s: float


class Pace(NamedTuple):
    """What happened between two marks."""

    messages: int
    took_s: float
    cpu_s: float

    @property
    def messages_per_s(self) -> float:
        return self.messages / self.took_s

    @property
    def cpu_s_a_message(self) -> float:
        return self.cpu_s / self.messages


class Group:
    """What one group has committed. The state is the client."""

    def __init__(self, admin: KafkaAdminClient, name: str) -> None:
        self._admin, self._name = admin, name

    def done(self) -> int:
        """Messages that are handled for good.

        Our commits' offset is where a replay begins; their metadata say how far all is handled.
        """
        try:
            found = self._admin.list_group_offsets([self._name])[self._name]
        except KafkaError as error:
            if not error.retriable:
                raise
            return 0  # a broker that has just been started makes the groups' topic when the first one asks
        return sum(json.loads(said.metadata)["handled"] if said.metadata else said.offset for said in found.values())


@contextmanager
def watched(connection: Connection, group: str) -> Iterator[Group]:
    """The group's commits, for the block."""
    admin = KafkaAdminClient(bootstrap_servers=list(connection.brokers))
    try:
        yield Group(admin, group)
    finally:
        admin.close()


def follow(group: Group, pid: int, until: Callable[[Mark], bool], alive: Callable[[], None]) -> list[Mark]:
    """A mark whenever more is committed, until `until` says so of one; `alive` raises where waiting is in vain."""
    marks = [Mark(time.monotonic(), group.done(), cpu_s(pid))]
    while not until(marks[-1]):
        time.sleep(POLL_S)
        alive()
        done = group.done()
        if done > marks[-1].done:
            marks.append(Mark(time.monotonic(), done, cpu_s(pid)))
    return marks


def pace_of(marks: list[Mark], after: int) -> Pace:
    """Between the first mark that has `after` messages or more behind it, and the last one.

    RuntimeError where there are not two such marks.
    """
    steady = [mark for mark in marks if mark.done >= after]
    if len(steady) < 2:
        raise RuntimeError(f"expected two commits after {after:,} messages, got {[mark.done for mark in marks]}")
    first, last = steady[0], steady[-1]
    return Pace(last.done - first.done, last.at_s - first.at_s, last.cpu_s - first.cpu_s)


def cpu_s(pid: int) -> float:
    """User and system seconds of a process and all below it, with those of children that have ended."""
    parents = {one: int(fields[1]) for one in _pids() if (fields := _stat(one)) is not None}
    tree = [pid]
    for one in tree:
        tree += [child for child, parent in parents.items() if parent == one]
    found = [fields for one in tree if (fields := _stat(one)) is not None]
    return sum(int(ticks) for fields in found for ticks in fields[11:15]) / TICKS_PER_S  # utime, stime, cutime, cstime


def peak_mb(pid: int) -> float:
    """The most memory that one process has had resident (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6  # Linux counts in KiB
    raise RuntimeError(f"/proc/{pid}/status: expected a line VmHWM, got none")


def _pids() -> Iterator[int]:
    return (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on; None where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
