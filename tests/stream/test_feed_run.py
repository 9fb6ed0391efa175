"""The producers of a feed as processes: stopped, killed, and agreeing with one alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.minutes import format_iso
from stream.clock import read_clock
from stream.kafka_tools import ensure_topics, read_topic, samples_topic
from stream.replay import open_trace
from stream.stores.open import open_stores
from tests.services import Kafka
from tests.stream.kafka_given import Asked, numbers

TRACE = "synthetic:vms=60,days=1,seed=3"
FAULTS = ("--late", "0.1", "--duplicate", "0.2", "--shuffle", "30", "--drop", "0.1", "--poison", "0.3", "--skew", "20")


@pytest.fixture
def asked(tmp_path: Path, kafka: Kafka, prefix: str) -> Asked:
    return given(tmp_path, kafka, prefix)


def given(folder: Path, kafka: Kafka, prefix: str) -> Asked:
    asked = Asked(folder, kafka, prefix)
    asked.configured()
    ensure_topics(asked.own, [samples_topic(asked.samples, 3)])
    return asked


@contextmanager
def feeding(asked: Asked, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A feed as a process of its own, once the first of its messages is in the topic."""
    program = [str(Path(sys.executable).with_name("zhuge")), "--config", str(asked.folder / "zhuge.toml"), "feed"]
    process = subprocess.Popen(
        [*program, TRACE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=asked.folder
    )
    try:
        end_s = time.monotonic() + 60
        while next(read_topic(asked.own, asked.samples), None) is None:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end_s, "nothing was fed within a minute"
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("producers", "stop"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
def test_a_feed_that_is_stopped_ends_clean(asked: Asked, producers: int, stop: signal.Signals) -> None:
    options = ("--speed", "600", "--producers", str(producers), "--acknowledged", "kept.parquet")
    with feeding(asked, *options) as process:
        process.send_signal(stop)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "zhuge: stopped" in err
    assert "Traceback" not in err
    records = list(read_topic(asked.own, asked.samples))
    assert numbers(out)["messages"] == len(records)
    assert pq.read_table(asked.folder / "kept.parquet").num_rows == numbers(out)["samples"]
    url = f"sqlite:{asked.folder / 'zhuge.sqlite'}"
    stores = open_stores(url, url, url)
    assert read_clock(stores.control).speed == 0.0
    stores.close()


@pytest.mark.slow
def test_several_producers_send_what_one_would(asked: Asked, tmp_path: Path, kafka: Kafka, prefix: str) -> None:
    hour = ("--until", format_iso(open_trace(TRACE).span.start + 60))
    asked.ask("feed", TRACE, *hour, *FAULTS, "--producers", "3")
    other = given(tmp_path, kafka, f"{prefix}other.")
    other.ask("feed", TRACE, *hour, *FAULTS)
    three, one = (Counter(record[2:4] for record in read_topic(fed.own, fed.samples)) for fed in (asked, other))
    assert three == one


@pytest.mark.slow
def test_a_producer_that_dies_ends_the_feed_in_words(asked: Asked) -> None:
    with feeding(asked, "--speed", "600", "--producers", "2") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        producers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(producers) == 2
        subprocess.run(["kill", "-9", producers[1]], check=True)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "zhuge: producer 1: expected to end by itself, got exit code -9" in err
