"""One worker, `zhuge worker ingest`, as a process with a config and stores of its own, and what it got done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.minutes import STEP_MIN, Clock, Span, ceil_to, floor_to
from stream.clock import write_clock
from stream.kafka import Connection, topics_of
from stream.kafka_tools import ensure_topics, own_topics
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import METRIC_CPU
from tests.bench.ingest_load import Loaded
from tests.bench.ingest_watch import Mark, follow, watched
from tests.faults.workers import SOURCE, Worker, Workers

LIMIT_S = 240.0  # nothing here takes so long


@dataclass(frozen=True, slots=True)
class Bench:
    """One topic, read by one worker at a time, which keeps what it stores in `folder`."""

    connection: Connection
    loaded: Loaded
    folder: Path

    @property
    def prefix(self) -> str:
        return f"{self.folder.name}."

    @property
    def group(self) -> str:
        return f"{self.prefix}workers.{SOURCE}"


@contextlib.contextmanager
def prepared(connection: Connection, loaded: Loaded, folder: Path) -> Iterator[tuple[Bench, Workers]]:
    """Stores with a clock that follows the samples, our own topics, and a config; workers end with the block."""
    folder.mkdir()
    bench = Bench(connection, loaded, folder)
    ensure_topics(connection, own_topics(topics_of(bench.prefix)))
    with stores_of(bench) as stores:
        write_clock(stores.control, Clock())
    config = folder / "worker.toml"
    config.write_text(config_text(bench), "utf-8")
    with Workers(config, folder) as workers:
        yield bench, workers


def config_text(bench: Bench) -> str:
    return f"""\
[stores]
cstore = "sqlite:{bench.folder}/cstore.sqlite"
control = "sqlite:{bench.folder}/control.sqlite"
answers = "sqlite:{bench.folder}/cstore.sqlite"
registry = "file:{bench.folder}/registry"

[kafka]
brokers = "{",".join(bench.connection.brokers)}"
prefix = "{bench.prefix}"
group = "{bench.prefix}workers"
instance = "bench"

[sources.{SOURCE}]
topic = "{bench.loaded.load.topic}"
format = "{bench.loaded.load.form}"
unit = "percent"
"""


@contextlib.contextmanager
def stores_of(bench: Bench) -> Iterator[Stores]:
    cstore, control = (f"sqlite:{bench.folder}/{name}.sqlite" for name in ("cstore", "control"))
    stores = open_stores(cstore, control, cstore)
    try:
        yield stores
    finally:
        stores.close()


def read_all(bench: Bench, workers: Workers, worker: Worker, messages: int) -> list[Mark]:
    """Marks until `messages` are stored and committed. StoreError where the worker ends, RuntimeError if it hangs."""
    end_s = time.monotonic() + LIMIT_S

    def alive() -> None:
        workers.see_to()
        if time.monotonic() > end_s:
            raise RuntimeError(f"expected {messages:,} messages within {LIMIT_S:g} s, got\n{workers.tails()}")

    with watched(bench.connection, bench.group) as group:
        return follow(group, worker.process.pid, lambda mark: mark.done >= messages, alive)


def check_stored(bench: Bench) -> None:
    """RuntimeError where the stored 5-minute rows do not have every good sample of the topic just once."""
    load = bench.loaded.load
    span = Span(floor_to(load.first, STEP_MIN), ceil_to(load.first + load.minutes, STEP_MIN))
    with stores_of(bench) as stores:
        blocks = sorted(int(key.split("/")[1]) for key in stores.control.list("block/"))
        found = sum(int(stores.series.read(METRIC_CPU, STEP_MIN, [block], span).count.sum()) for block in blocks)
    if found != load.samples:
        raise RuntimeError(f"{load.topic}: expected {load.samples:,} samples in stored aggregates, got {found:,}")
