from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.errors import StoreError
from models.minutes import REAL_TIME, Clock
from stream.clock import CLOCK_KEY, WATERMARK_PREFIX, newest_minutes, now, read_clock, write_clock
from stream.samples import Batch
from stream.stores.protocols import Versioned
from tests.stream.fakes import at, samples_of

START = 60_000


class MemoryControl:
    """Control in a dict; `rival` is applied just before the next change, as another process would."""

    def __init__(self) -> None:
        self.records: dict[str, Versioned] = {}
        self.rival: list[tuple[str, int, str | None]] = []

    def get(self, key: str) -> Versioned | None:
        return self.records.get(key)

    def list(self, prefix: str) -> dict[str, Versioned]:
        return {key: self.records[key] for key in sorted(self.records) if key.startswith(prefix)}

    def apply(self, changes: Sequence[tuple[str, int, str | None]]) -> bool:
        rival, self.rival = self.rival, []
        if rival:
            self.apply(rival)
        versions = {key: record.version for key, record in self.records.items()}
        if any(versions.get(key, 0) != expected for key, expected, _ in changes):
            return False
        for key, expected, value in changes:
            if value is None:
                self.records.pop(key, None)
            else:
                self.records[key] = Versioned(expected + 1, value)
        return True


def test_without_a_record_the_clock_is_real_time() -> None:
    control = MemoryControl()
    assert read_clock(control) == REAL_TIME
    assert now(control, wall_s=600.0) == 10


def test_a_replay_of_the_past_runs_from_its_origin_at_its_speed() -> None:
    control = MemoryControl()
    write_clock(control, Clock(speed=60.0, origin_minute=1_000.0, origin_wall_s=5_000.0))
    assert now(control, wall_s=5_000.0) == 1_000
    assert now(control, wall_s=5_090.0) == 1_090


def test_a_following_clock_stands_at_the_highest_watermark() -> None:
    control = MemoryControl()
    write_clock(control, Clock(origin_minute=100.0))
    assert now(control, wall_s=9e9) == 100
    control.apply([(f"{WATERMARK_PREFIX}0", 0, '{"minute": 130}'), (f"{WATERMARK_PREFIX}1", 0, '{"minute": 125}')])
    assert now(control, wall_s=9e9) == 130


def test_a_watermark_before_1970_counts_too() -> None:
    control = MemoryControl()
    write_clock(control, Clock())
    control.apply([(f"{WATERMARK_PREFIX}0", 0, '{"minute": -5}')])
    assert now(control, wall_s=0.0) == -5


def test_the_last_writer_wins_even_against_a_rival() -> None:
    control = MemoryControl()
    write_clock(control, Clock(speed=2.0))
    control.rival = [(CLOCK_KEY, 1, '{"speed": 3.0, "origin_minute": 0, "origin_wall_s": 0}')]
    write_clock(control, Clock(speed=4.0))
    assert read_clock(control).speed == 4.0
    assert control.records[CLOCK_KEY].version == 3


@pytest.mark.parametrize("value", ["", "{}", "[1]", '{"speed": "x", "origin_minute": 0, "origin_wall_s": 0}'])
def test_a_broken_clock_record_is_said_so(value: str) -> None:
    control = MemoryControl()
    control.apply([(CLOCK_KEY, 0, value)])
    with pytest.raises(StoreError, match="clock"):
        now(control, 0.0)


def test_a_broken_watermark_is_said_so() -> None:
    control = MemoryControl()
    write_clock(control, Clock())
    control.apply([(f"{WATERMARK_PREFIX}3", 0, "soon")])
    with pytest.raises(StoreError, match="watermark/3"):
        now(control, 0.0)


def test_whether_a_sample_is_ahead_is_judged_by_when_the_log_got_it() -> None:
    samples = samples_of([(0, at(START + 3), 1.0), (0, at(START + 9), 1.0)])
    arrived_s = np.array([600.0, 1200.0])
    batch = Batch(0, 0, 2, (), samples, arrived_s=arrived_s)
    clock = Clock(speed=0.5, origin_minute=START, origin_wall_s=600.0)
    newest = newest_minutes(clock, batch, 1e9)
    assert np.asarray(newest).tolist() == [START, START + 5]
    assert newest_minutes(clock, replace(batch, arrived_s=None), 1200.0) == START + 5
    early = replace(batch, samples=samples_of([(0, at(START - 5), 1.0), (0, at(START), 1.0)]))
    assert newest_minutes(clock, early, 1e9) == START
