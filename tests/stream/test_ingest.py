"""From a log of samples to stored aggregates: stream equals batch, whatever the order, the splits and the restarts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.aggregate import aggregate
from models.errors import BadInput, StoreError
from models.minutes import Clock, Span
from stream.clock import write_clock
from stream.due import Rules
from stream.ingest import Ingest
from stream.samples import Unit
from stream.stores.blocks import decode, encode
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU
from tests.stream.fakes import LogSource, Sample, at, following, log_of, stores_in

START = 60 * 1000
HOURS = 3
VMS = 3
KEYS = [(f"vm-{k}", "h") for k in range(VMS)]
WALL_S = float(at(START + 10_000))


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    yield from following(tmp_path)


def run(source: LogSource, stores: Stores, rounds: int | None = None) -> Ingest:
    ingest = Ingest(source, stores, Rules(), lambda: WALL_S)
    while ingest.behind and rounds != 0:
        ingest.step()
        rounds = None if rounds is None else rounds - 1
    return ingest


def finish(ingest: Ingest, stores: Stores, now: int = START + HOURS * 60 + 5) -> None:
    """The clock goes on, nothing more comes: what is open closes."""
    write_clock(stores.control, Clock(speed=0.0, origin_minute=now))
    ingest.step()


def stored(stores: Stores, step_min: int, vm_id: str, span: Span) -> tuple[list[float], list[int]]:
    placement = stores.catalogue.find([vm_id])[vm_id].current
    cells = stores.series.read(METRIC_CPU, step_min, [placement.block], span)
    return cells.mean[:, placement.slot].tolist(), cells.count[:, placement.slot].tolist()


def everything(stores: Stores) -> dict[tuple[str, int], bytes]:
    """Mean and count of each VM, whatever its slot; NaN as it is."""
    span = Span(START, START + HOURS * 60)
    found = {}
    for vm in stores.catalogue.lives():
        for step_min in (5, 60):
            cells = stores.series.read(METRIC_CPU, step_min, [vm.current.block], span)
            mean, count = cells.mean[:, vm.current.slot], cells.count[:, vm.current.slot]
            found[vm.life.vm_id, step_min] = mean.tobytes() + count.tobytes()
    return found


def by_batch(samples: list[Sample]) -> dict[tuple[str, int], bytes]:
    """What the batch function makes of the same minutes, as stored."""
    minutes = np.full((HOURS * 60, VMS), np.nan, dtype=np.float32)
    best: dict[tuple[int, int], tuple[int, float]] = {}
    for key, ts_s, value in samples:
        cell = (ts_s // 60 - START, key)
        best[cell] = max(best.get(cell, (-1, -1.0)), (ts_s % 60, value))
    for cell, (_, value) in best.items():
        minutes[cell] = value
    found = {}
    for key in {sample[0] for sample in samples}:
        for step_min in (5, 60):
            made = [aggregate(minutes[m : m + step_min, [key]]).whole for m in range(0, HOURS * 60, step_min)]
            mean = np.concatenate([as_stored(a.mean) for a in made])
            found[f"vm-{key}", step_min] = mean.tobytes() + np.concatenate([a.count for a in made]).tobytes()
    return found


def as_stored(mean: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return decode(encode(mean))


minutes_of_test = st.integers(START, START + HOURS * 60 - 1)
values = st.one_of(st.just(0.0), st.floats(0, 150, width=32))
arrivals = st.lists(
    st.tuples(st.integers(0, VMS - 1), minutes_of_test, st.integers(0, 59), values, st.integers(0, 20)),
    min_size=1,
    max_size=80,
)


def batches_of(drawn: list[tuple[int, int, int, float, int]], size: int) -> tuple[list[Sample], list[list[Sample]]]:
    """Samples in order of arrival (up to 20 minutes late), every third of them twice, cut into batches."""
    by_arrival = sorted(drawn, key=lambda d: d[1] + d[4])
    samples = [(key, at(minute, second), value) for key, minute, second, value, _ in by_arrival]
    doubled = [s for index, sample in enumerate(samples) for s in ([sample, sample] if index % 3 == 0 else [sample])]
    return samples, [doubled[k : k + size] for k in range(0, len(doubled), size)]


@settings(max_examples=40)
@given(arrivals, st.integers(1, 30))
def test_the_streams_aggregates_equal_the_batch_functions_bit_for_bit(
    drawn: list[tuple[int, int, int, float, int]], size: int
) -> None:
    samples, batches = batches_of(drawn, size)
    with tempfile.TemporaryDirectory() as folder:
        stores = stores_in(Path(folder))
        write_clock(stores.control, Clock())
        finish(run(LogSource(KEYS, [log_of(*batches)]), stores), stores)
        assert everything(stores) == by_batch(samples)
        stores.close()


@settings(max_examples=40)
@given(arrivals, st.integers(1, 20), st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_a_successor_ends_with_the_same_aggregates_wherever_the_first_one_died(
    drawn: list[tuple[int, int, int, float, int]], size: int, rounds: list[int]
) -> None:
    samples, batches = batches_of(drawn, size)
    with tempfile.TemporaryDirectory() as folder:
        stores = stores_in(Path(folder))
        write_clock(stores.control, Clock())
        for count in rounds:  # each of these dies after so many rounds, with its ring
            run(LogSource(KEYS, [log_of(*batches)]), stores, count)
        finish(run(LogSource(KEYS, [log_of(*batches)]), stores), stores)
        assert everything(stores) == by_batch(samples)
        stores.close()


def test_a_replay_counts_nothing_twice(stores: Stores) -> None:
    batches = [[(0, at(START + m), 1.0), (0, at(START + m), -1.0)] for m in range(30)]
    first = run(LogSource(KEYS, [log_of(*batches)]), stores, 20)
    second = run(LogSource(KEYS, [log_of(*batches)]), stores)
    total = first.counts + second.counts
    assert (total["accepted"], total["impossible"]) == (30, 30)


def test_a_span_closes_three_minutes_after_the_watermark_passed_its_end(stores: Stores) -> None:
    source = LogSource(KEYS, [log_of(*[[(0, at(START + m), 1.0)] for m in range(9)])])
    run(source, stores, 8)
    assert stored(stores, 5, "vm-0", Span(START, START + 5))[1] == [0]
    run(source, stores)
    assert stored(stores, 5, "vm-0", Span(START, START + 5)) == ([1.0], [5])


def test_a_late_sample_reopens_its_span_and_its_hour(stores: Stores) -> None:
    on_time = [(0, at(START + m), 10.0) for m in range(60) if m != 7]
    late = (0, at(START + 7), 70.0)
    log = log_of(on_time, [(1, at(START + 63), 0.0)], [late], [(1, at(START + 92), 0.0)])
    finish(run(LogSource(KEYS, [log]), stores), stores)
    assert stored(stores, 60, "vm-0", Span(START, START + 60)) == ([11.0], [60])
    assert stored(stores, 5, "vm-0", Span(START + 5, START + 10)) == ([22.0], [5])


def test_an_older_sample_is_counted_and_changes_nothing(stores: Stores) -> None:
    on_time = [(0, at(START + m), 10.0) for m in range(60) if m != 7]
    log = log_of(on_time, [(1, at(START + 94), 0.0)], [(0, at(START + 7), 70.0)])
    ingest = run(LogSource(KEYS, [log]), stores)
    finish(ingest, stores)
    assert ingest.counts["late"] == 1
    assert stored(stores, 60, "vm-0", Span(START, START + 60)) == ([10.0], [59])


def test_what_cannot_be_is_counted_and_its_neighbours_stay(stores: Stores) -> None:
    bad = [float("nan"), -0.1, 655.36, float("inf")]
    minute = [(0, at(START + m, k), value) for m in range(5) for k, value in enumerate([*bad, 101.0])]
    ingest = run(LogSource(KEYS, [log_of(minute)]), stores)
    finish(ingest, stores)
    assert ingest.counts == {"accepted": 5, "impossible": 20, "over_100": 5}
    assert stored(stores, 5, "vm-0", Span(START, START + 5)) == ([101.0], [5])


def test_a_sample_of_the_future_is_refused(stores: Stores) -> None:
    write_clock(stores.control, Clock(speed=0.0, origin_minute=START))
    log = log_of([(0, at(START + 5), 1.0), (0, at(START + 6), 1.0), (1, at(START * 1000), 1.0)])
    ingest = run(LogSource(KEYS, [log]), stores)
    assert ingest.counts == {"accepted": 1, "ahead": 2}
    assert ingest.watermark == START + 5


def test_an_idle_partition_neither_blocks_the_others_nor_runs_ahead_of_what_it_has(stores: Stores) -> None:
    busy = log_of(*[[(0, at(START + m), 1.0)] for m in range(70)])
    idle = log_of([(1, at(START), 5.0)], part=1)
    ingest = run(LogSource(KEYS, [busy, idle]), stores)
    assert stored(stores, 60, "vm-0", Span(START, START + 60)) == ([1.0], [60])
    finish(ingest, stores, START + 70)
    assert stored(stores, 60, "vm-1", Span(START, START + 60)) == ([5.0], [1])
    assert ingest.counts["late"] == 0


def test_a_store_is_fed_by_one_source(stores: Stores) -> None:
    run(LogSource(KEYS, [log_of([(0, at(START), 1.0)])]), stores)
    other = LogSource(KEYS, [log_of([(0, at(START), 1.0)])])
    other.name = "another log"
    with pytest.raises(BadInput, match="one fed by"):
        Ingest(other, stores, Rules(), lambda: WALL_S)


def test_two_processes_do_not_share_a_partition(stores: Stores) -> None:
    batches = [[(0, at(START + m), 1.0)] for m in range(4)]
    first = Ingest(LogSource(KEYS, [log_of(*batches)]), stores, Rules(), lambda: WALL_S)
    second = Ingest(LogSource(KEYS, [log_of(*batches)]), stores, Rules(), lambda: WALL_S)
    second.step()
    with pytest.raises(StoreError, match="another process"):
        first.step()


def test_a_unit_that_nobody_knows_is_refused(stores: Stores) -> None:
    source = LogSource(KEYS, [[]])
    source.unit = "parsecs"  # type: ignore[assignment]
    with pytest.raises(BadInput, match="percent or fraction"):
        Ingest(source, stores, Rules(), lambda: WALL_S)


def test_fractions_become_percent(stores: Stores) -> None:
    source = LogSource(KEYS, [log_of([(0, at(START + m), 0.25) for m in range(5)])])
    source.unit = Unit.FRACTION
    finish(run(source, stores), stores)
    assert stored(stores, 5, "vm-0", Span(START, START + 5)) == ([25.0], [5])


def test_the_ring_must_hold_what_may_be_reopened() -> None:
    Rules(close_delay_min=7, reopen_for_min=60)
    with pytest.raises(BadInput, match="at most 67 minutes together"):
        Rules(close_delay_min=8, reopen_for_min=60)
