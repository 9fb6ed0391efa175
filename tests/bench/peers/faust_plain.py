"""Plain Faust, as its documentation has it: an agent that gets one host report after another, and a dict of sums.

A span's means are made when a report of a later one is a close delay past its end, and go nowhere: that is in Faust's
favour, as is that the sums would be lost with the process.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import faust

STEP_S, DELAY_S = 300, 180


class Report(faust.Record, serializer="json"):
    """One message a host and minute."""

    host: str
    ts: int
    vm: list[str]
    cpu: list[float]


def app_of(brokers: str, topic: str, group: str) -> faust.App:
    app = faust.App(group, broker=f"kafka://{brokers}", store="memory://", web_enabled=False, topic_partitions=4)
    reports = app.topic(topic, value_type=Report)
    sums: dict[int, dict[int, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(dict))

    @app.agent(reports)
    async def means(stream: faust.StreamT[Report]) -> None:
        async for event in stream.events():
            report, spans = event.value, sums[event.message.partition]
            span = spans[report.ts // STEP_S * STEP_S]
            for vm, cpu in zip(report.vm, report.cpu, strict=True):
                cell = span.get(vm)
                if cell is None:
                    span[vm] = [cpu, 1.0]
                else:
                    cell[0] += cpu
                    cell[1] += 1.0
            for closed in [start for start in spans if report.ts >= start + STEP_S + DELAY_S]:
                _ = {vm: total / count for vm, (total, count) in spans.pop(closed).items()}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    args = parser.parse_args()
    app = app_of(args.brokers, args.topic, args.group)
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main()
