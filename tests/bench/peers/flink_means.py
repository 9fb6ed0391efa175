"""Runs files of Flink SQL that read a table `reports` and write a table `means`, in PyFlink's own environment.

The files stay as a user has them; only the places are changed: which brokers and topics, and that a job ends where its
topic ends now. Without `--means` the means go nowhere (Flink's blackhole): that is in Flink's favour.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from py4j.protocol import Py4JJavaError  # type: ignore[import-not-found]
from pyflink.table import EnvironmentSettings, TableEnvironment, TableResult  # type: ignore[import-not-found]

SETTING = re.compile(r"SET\s+'([^']+)'\s*=\s*'([^']*)'", re.IGNORECASE)
BLACKHOLE = "CREATE TABLE means (vm STRING, host STRING, ts BIGINT, cpu DOUBLE) WITH ('connector' = 'blackhole')"


def statements(text: str) -> Iterator[str]:
    """Those of a file where `--` begins a comment at a line's start only, and `;` ends a statement at a line's end."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    yield from filter(None, (part.strip() for part in re.split(r";\s*(?:\n|$)", code)))


def places(brokers: str, topic: str, group: str, means: str | None) -> Iterator[str]:
    """What is changed before a job is submitted."""
    yield (
        f"ALTER TABLE reports SET ('topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}', "
        f"'properties.group.id' = '{group}', 'scan.bounded.mode' = 'latest-offset')"
    )
    if means:
        yield f"ALTER TABLE means SET ('topic' = '{means}', 'properties.bootstrap.servers' = '{brokers}')"
    else:
        yield "DROP TABLE means"
        yield BLACKHOLE


def run(table: TableEnvironment, args: argparse.Namespace, sql: str, topic: str, group: str) -> None:
    """One file as one job, to its end."""
    for statement in statements(Path(sql).read_text("utf-8")):
        if setting := SETTING.fullmatch(statement):
            table.get_config().set(*setting.groups())
        elif statement.upper().startswith("INSERT"):
            for key, value in args.set:
                table.get_config().set(key, value)
            for change in places(args.brokers, topic, group, args.means):
                table.execute_sql(change)
            finish(table.execute_sql(statement), args.limit_s)
        else:
            table.execute_sql(statement)


def finish(job: TableResult, limit_s: int) -> None:
    """Wait for the job's end, and cancel it after `limit_s`."""
    try:
        job.wait(limit_s * 1000)
    except Py4JJavaError as error:
        if "TimeoutException" not in str(error):
            raise
        job.get_job_client().cancel().result()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--job", nargs=3, action="append", required=True, metavar=("SQL", "TOPIC", "GROUP"))
    parser.add_argument("--jar", type=Path, required=True, help="Flink's Kafka connector")
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--limit-s", type=int, default=3600, help="seconds after which a job is cancelled")
    parser.add_argument("--means", help="topic of the means; without it they go nowhere")
    parser.add_argument(
        "--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="after the file's"
    )
    args = parser.parse_args()
    for job in args.job:
        table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        table.get_config().set("pipeline.jars", args.jar.resolve().as_uri())
        run(table, args, *job)
    return 0


if __name__ == "__main__":
    sys.exit(main())
