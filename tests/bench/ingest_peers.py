"""The peers as processes: PyFlink, in an environment of its own that is built here, and plain Faust.

PyFlink is of the newest version that a Kafka connector is published for; Maven fetches that, pip-style locks with
hashes say the rest. Both stay under data/ and are built again only where a lock or the pom has changed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.services.java import need_java, program, run
from stream.kafka import Connection
from tests.bench.lines import say
from tests.bench.peer_home import PEERS, ROOT, building, home_of

POM = ROOT / "deploy" / "flink" / "pom.xml"
MEANS, SINGLES = ROOT / "deploy" / "flink" / "means.sql", PEERS / "singles.sql"
HOME = home_of("flink", POM)
TAIL_LINES = 30


class Flink(NamedTuple):
    """Where PyFlink's Python and the connector's jar are."""

    python: Path
    jar: Path


class Job(NamedTuple):
    """One job of Flink: its SQL, the topic that it reads and the group that it commits as."""

    sql: Path
    topic: str
    group: str


class Peer(NamedTuple):
    """A process that runs, and where it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def alive(self) -> None:
        """RuntimeError where it has failed."""
        if self.process.poll() not in (None, 0):
            raise RuntimeError(
                f"expected {self.log.name} to run, got exit code {self.process.returncode}:\n{self.tail()}"
            )

    def tail(self) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:])


def built() -> Flink:
    """PyFlink and its connector, built where they are not there yet.

    ServiceError where Java or Maven is missing, or the packages cannot be had.
    """
    need_java()
    jars = HOME.folder / "jars"
    if not HOME.is_built():
        with building(HOME, "PyFlink's environment (once, some 700 MB on disk)"):
            maven = [program("mvn"), "--quiet", "--batch-mode", "--file", str(POM), "dependency:copy-dependencies"]
            run([*maven, f"-DoutputDirectory={jars}", "-DexcludeTransitive=true"])
    return Flink(HOME.python, next(jars.glob("*.jar")))


def flink_command(flink: Flink, connection: Connection, jobs: Sequence[Job], extra: Sequence[str] = ()) -> list[str]:
    jobs_words = [word for job in jobs for word in ("--job", str(job.sql), job.topic, job.group)]
    where = ["--jar", str(flink.jar), "--brokers", ",".join(connection.brokers)]
    return [str(flink.python), str(PEERS / "flink_means.py"), *jobs_words, *where, *extra]


@contextlib.contextmanager
def flink_running(
    flink: Flink, connection: Connection, jobs: Sequence[Job], folder: Path, limit_s: int
) -> Iterator[Peer]:
    """The jobs, one after the other in one JVM, each for at most `limit_s`; a checkpoint commits every second."""
    told = {
        "parallelism.default": "1",
        "pipeline.object-reuse": "true",
        "execution.checkpointing.interval": "1 s",
        "execution.checkpointing.dir": (folder / "checkpoints").as_uri(),
    }
    extra = ["--limit-s", str(limit_s), *(word for key, value in told.items() for word in ("--set", key, value))]
    with _running(flink_command(flink, connection, jobs, extra), folder / "flink.log") as peer:
        yield peer


@contextlib.contextmanager
def faust_running(connection: Connection, topic: str, group: str, folder: Path) -> Iterator[Peer]:
    """The plain agent, in our own environment."""
    where = ["--brokers", ",".join(connection.brokers), "--topic", topic, "--group", group]
    with _running([sys.executable, str(PEERS / "faust_plain.py"), *where], folder / "faust.log") as peer:
        yield peer


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[Peer]:
    """A process and all that it starts, until the end of the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield Peer(process, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    say(f"PyFlink is at {built().python}")
