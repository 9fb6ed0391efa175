"""The parts of the firehose's benchmark: what it loads, what it measures, and that it prints its figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stream.kafka import Connection
from stream.kafka_tools import read_topic
from stream.wire import Keys, Message, Wire, open_decoder
from tests.bench import ingest_peers
from tests.bench.ingest_load import PARTITIONS, Load, Loaded, closed, fill, grown
from tests.bench.ingest_rates import rates_of
from tests.bench.ingest_watch import Mark, Pace, cpu_s, pace_of, peak_mb
from tests.services import Kafka

INGEST = Path(__file__).with_name("ingest.py")
NAMES = {
    "host_samples_per_s",
    "single_samples_per_s",
    "arrow_samples_per_s",
    "peak_mb",
    "worker_cpu_s_per_m_samples",
    "faust_events_per_s",
    "flink_samples_per_s",
    "times_flink_per_core",
    "times_flink_per_core_single",
    "poison_half_ratio",
    "restart_to_live_s",
}


class Loose(msgspec.Struct):
    """A message without a broker."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int


def messages_of(connection: Connection, topic: str, partition: int) -> list[Message]:
    return [
        Loose(record.offset, record.key, record.value, record.timestamp_ms)
        for record in read_topic(connection, topic)
        if record.partition == partition
    ]


@pytest.mark.parametrize(
    ("form", "poisoned", "messages"), [("json", False, 600), ("host-json", False, 24), ("host-json", True, 48)]
)
def test_a_loaded_topic_has_each_sample_once_and_says_how_many_messages_that_took(
    kafka: Kafka, prefix: str, form: str, poisoned: bool, messages: int
) -> None:
    connection = Connection((kafka.bootstrap,))
    loaded = fill(connection, Load(f"{prefix}load", form, vms=200, minutes=3, poisoned=poisoned))
    assert loaded.messages == messages
    seen: set[tuple[str, int]] = set()
    bad = 0
    for partition in range(PARTITIONS):
        keys = Keys()
        found = open_decoder(Wire(form), keys).decode(messages_of(connection, loaded.load.topic, partition))
        read = [
            (keys[key].vm_id, ts_s // 60) for key, ts_s in zip(found.key.tolist(), found.ts_s.tolist(), strict=True)
        ]
        assert not seen.intersection(read)
        seen.update(read)
        bad += len(found.bad)
    assert len(seen) == loaded.load.samples == 600
    assert bad == (messages // 2 if poisoned else 0)


def test_arrow_messages_hold_every_sample(kafka: Kafka, prefix: str) -> None:
    connection = Connection((kafka.bootstrap,))
    loaded = fill(connection, Load(f"{prefix}load", "arrow", vms=2_500, minutes=2))
    every = [messages_of(connection, loaded.load.topic, partition) for partition in range(PARTITIONS)]
    found = [open_decoder(Wire("arrow"), Keys()).decode(messages) for messages in every]
    assert sum(map(len, every)) == loaded.messages
    assert sum(len(one.key) for one in found) == loaded.load.samples
    assert not any(one.bad for one in found)


def test_a_topic_grows_by_a_minute_and_is_closed_by_a_message_a_partition(kafka: Kafka, prefix: str) -> None:
    connection = Connection((kafka.bootstrap,))
    loaded = fill(connection, Load(f"{prefix}load", "host-json", vms=1_000, minutes=1))
    more = grown(connection, loaded)
    assert (more.load.minutes, more.messages) == (2, 2 * loaded.messages)
    whole = closed(connection, more)
    assert whole.messages == more.messages + PARTITIONS == len(list(read_topic(connection, loaded.load.topic)))


def test_a_pace_is_what_happened_after_the_first_commit_that_counts() -> None:
    marks = [Mark(10.0, 0, 1.0), Mark(20.0, 100, 5.0), Mark(22.0, 300, 6.0), Mark(24.0, 500, 6.5)]
    pace = pace_of(marks, 60)
    assert pace == Pace(400, 4.0, 1.5)
    assert pace.messages_per_s == 100


def test_one_commit_is_no_pace() -> None:
    with pytest.raises(RuntimeError, match="expected two commits"):
        pace_of([Mark(10.0, 0, 1.0), Mark(20.0, 100, 5.0)], 60)


def test_rates_are_medians_and_count_good_samples_only() -> None:
    loaded = Loaded(Load("t", "host-json", vms=25, minutes=10, poisoned=True), messages=20)
    rates = rates_of([Pace(20, 1.0, 0.5), Pace(20, 2.0, 0.5), Pace(20, 4.0, 1.5)], loaded)
    assert rates.messages_per_s == 10
    assert rates.samples_per_s == 125
    assert rates.cpu_s == pytest.approx(0.5 / 250)


def test_cpu_and_memory_of_a_process_are_seen_with_its_childrens() -> None:
    work = "import time\nx = bytearray(50_000_000)\nwhile time.process_time() < 0.5: pass\n"
    parent = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {work!r}])\nprint('done', flush=True)\ninput()"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        assert cpu_s(process.pid) >= 0.5
        assert 1 < peak_mb(process.pid) < 50  # its own, not its child's
        process.communicate(b"\n")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_benchmark_prints_each_of_its_figures_once_and_nothing_else() -> None:
    if not ingest_peers.HOME.is_built():
        pytest.skip("no PyFlink under data/peers: `.venv/bin/python -m tests.bench.ingest_peers` builds it")
    done = subprocess.run([sys.executable, str(INGEST), "--quick"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = [line.split(": ") for line in done.stdout.splitlines()]
    assert sorted(name for name, _ in figures) == sorted(NAMES)
    assert all(float(value) > 0 for _, value in figures)
