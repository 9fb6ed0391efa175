"""The Flink SQL job that we ship writes means that our ingest reads. It needs PyFlink, which the benchmark builds."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stream.kafka import Connection
from stream.kafka_tools import Record, TopicSpec, ensure_topics, read_topic
from stream.wire import Keys, Wire, open_decoder
from tests.bench import ingest_peers
from tests.bench.ingest_load import FACES, START, Load, closed, fill, fleet_of
from tests.services import Kafka

STEP_MIN, MINUTES = 5, 10
Means = dict[tuple[str, int], float]  # by VM and start of the 5 minutes


class Mean(msgspec.Struct):
    """What the job writes."""

    vm: str
    host: str
    ts: int
    cpu: float


class Written:
    """A record as the firehose gets it."""

    def __init__(self, record: Record) -> None:
        self.offset, self.key, self.value = record.offset, record.key, record.value
        self.timestamp = record.timestamp_ms


@pytest.fixture(scope="module")
def flink() -> ingest_peers.Flink:
    """PyFlink where a benchmark has built it: hundreds of megabytes are not fetched for a test."""
    if not ingest_peers.HOME.is_built():
        pytest.skip("no PyFlink under data/peers: `.venv/bin/python -m tests.bench.ingest_peers` builds it")
    return ingest_peers.built()


@pytest.fixture
def connection(kafka: Kafka) -> Connection:
    return Connection((kafka.bootstrap,))


def expected(load: Load) -> Means:
    fleet = fleet_of(load)
    sums: dict[tuple[str, int], list[float]] = defaultdict(list)
    for minute in range(load.first, load.first + load.minutes):
        for vms, values in zip(fleet.vms, fleet.cpu[minute % FACES], strict=True):
            for vm_id, value in zip(vms, values, strict=True):
                sums[vm_id, minute // STEP_MIN * STEP_MIN * 60].append(value)
    return {key: sum(values) / len(values) for key, values in sums.items()}


def written(connection: Connection, topic: str) -> Iterator[tuple[Record, Mean]]:
    for record in read_topic(connection, topic):
        yield record, msgspec.json.decode(record.value or b"", type=Mean)


@pytest.mark.slow
def test_the_sql_job_writes_the_means_that_our_ingest_reads(
    flink: ingest_peers.Flink, connection: Connection, prefix: str, tmp_path: Path
) -> None:
    load = Load(f"{prefix}samples", "host-json", 500, MINUTES, poisoned=True)
    closed(connection, fill(connection, load))
    ensure_topics(connection, [TopicSpec(f"{prefix}means", 2)])
    job = ingest_peers.Job(ingest_peers.MEANS, load.topic, f"{prefix}flink")
    extra = ["--means", f"{prefix}means", "--set", "execution.checkpointing.dir", (tmp_path / "kept").as_uri()]
    command = ingest_peers.flink_command(flink, connection, [job], extra)
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    end_s = (START + MINUTES) * 60
    found = [(record, mean) for record, mean in written(connection, f"{prefix}means") if mean.ts < end_s]
    assert {(mean.vm, mean.ts): mean.cpu for _, mean in found} == pytest.approx(expected(load))
    assert len(found) == len(expected(load))
    assert all(record.key == mean.host.encode() for record, mean in found)

    keys = Keys()
    decoder = open_decoder(Wire("json", interval_min=STEP_MIN), keys)
    read = decoder.decode([Written(record) for record, _ in found])
    assert read.bad == []
    assert [keys[key].vm_id for key in read.key.tolist()] == [mean.vm for _, mean in found]
    assert read.ts_s.tolist() == [mean.ts for _, mean in found]
    assert read.value.tolist() == [mean.cpu for _, mean in found]
