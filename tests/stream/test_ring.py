"""The minute ring: its write rule commutes and repeats harmlessly, and a minute leaves it when its line comes round."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.minutes import Span
from stream.ring import RING_MIN, Ring

Sample = tuple[int, int, int, float]  # minute, row, second, value
ALL = slice(None)


def write(ring: Ring, samples: list[Sample]) -> None:
    minute, row, second, value = zip(*samples, strict=True)
    ring.write(
        np.array(minute, dtype=np.int64),
        np.array(row, dtype=np.int32),
        np.array(second, dtype=np.uint8),
        np.array(value, dtype=np.float32),
    )


def ring_of(*batches: list[Sample], head: int = 200, rows: int = 3) -> npt.NDArray[np.float32]:
    ring = Ring(rows)
    ring.advance(head)
    for batch in batches:
        write(ring, batch)
    return ring.span(Span(head - RING_MIN + 1, head + 1), ALL)


samples_of_ring = st.lists(
    st.tuples(
        st.integers(190, 200), st.integers(0, 2), st.integers(0, 59), st.sampled_from([0.0, 0.5, 1.0, 50.0, 100.0])
    ),
    min_size=1,
    max_size=60,
)


@given(samples_of_ring, st.randoms(use_true_random=False))
def test_any_order_any_split_and_any_repetition_give_the_same_bytes(samples: list[Sample], rng: random.Random) -> None:
    expected: dict[tuple[int, int], tuple[int, float]] = {}
    for minute, row, second, value in samples:
        expected[minute, row] = max(expected.get((minute, row), (-1, -1.0)), (second, value))
    shuffled = samples + rng.sample(samples, len(samples) // 2)
    rng.shuffle(shuffled)
    cut = rng.randrange(len(shuffled)) + 1
    batches = [shuffled[:cut], shuffled[cut:]] if cut < len(shuffled) else [shuffled]
    ring = ring_of(*batches)
    assert ring.tobytes() == ring_of(samples).tobytes()
    for (minute, row), (_, value) in expected.items():
        assert ring[minute - 200 + RING_MIN - 1, row] == np.float32(value)
    assert np.count_nonzero(~np.isnan(ring)) == len(expected)


def test_the_later_second_wins_and_a_tie_goes_to_the_larger() -> None:
    ring = ring_of([(200, 0, 10, 90.0), (200, 0, 50, 5.0), (200, 1, 7, 1.0), (200, 1, 7, 2.0), (200, 1, 7, 1.5)])
    assert ring[-1, :2].tolist() == [5.0, 2.0]


def test_zero_is_a_sample() -> None:
    ring = ring_of([(200, 0, 0, 0.0)])
    assert ring[-1, 0] == 0.0
    assert np.isnan(ring[-1, 1])


def test_a_minute_leaves_when_its_line_comes_round() -> None:
    ring = Ring(1)
    ring.advance(1000)
    write(ring, [(1000, 0, 0, 1.0), (999, 0, 0, 2.0)])
    ring.advance(1000 + RING_MIN - 1)
    assert ring.span(Span(1000, 1001), ALL).tolist() == [[1.0]]
    ring.advance(1000 + RING_MIN)
    assert np.isnan(ring.span(Span(1001, 1000 + RING_MIN + 1), ALL)).all()
    with pytest.raises(ValueError, match="outside of the ring"):
        ring.span(Span(1000, 1001), ALL)


def test_a_jump_over_the_whole_ring_empties_it() -> None:
    ring = Ring(2)
    ring.advance(1000)
    write(ring, [(1000, 1, 0, 1.0)])
    ring.advance(1000 + 5 * RING_MIN)
    assert np.isnan(ring.span(Span(ring.head or 0, (ring.head or 0) + 1), ALL)).all()


@pytest.mark.parametrize("minute", [72, 201])
def test_a_minute_outside_of_the_ring_is_refused(minute: int) -> None:
    ring = Ring(1)
    ring.advance(200)
    with pytest.raises(ValueError, match="outside of the ring"):
        write(ring, [(minute, 0, 0, 1.0)])


def test_growing_keeps_what_is_there() -> None:
    ring = Ring(1)
    ring.advance(5)  # minutes below zero are in the ring: minute 0 is a minute like others
    write(ring, [(5, 0, 3, 7.0), (-3, 0, 3, 8.0)])
    ring.grow(4)
    write(ring, [(5, 3, 0, 9.0)])
    assert ring.span(Span(5, 6), ALL)[0, [0, 3]].tolist() == [7.0, 9.0]
    assert ring.span(Span(-3, -2), slice(0, 1)).tolist() == [[8.0]]


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=5), st.integers(-5, 300))
def test_a_ring_that_grows_is_the_one_that_had_the_room_from_the_start(sizes: list[int], head: int) -> None:
    grown, whole = Ring(), Ring(max(sizes))
    for ring in (grown, whole):
        ring.advance(head)
    for number, rows in enumerate(sorted(sizes)):
        grown.grow(rows)
        samples = [(head - number, rows - 1, 7, float(number)), (head, rows // 2, 7, float(number))]
        for ring in (grown, whole):
            write(ring, samples)
            ring.advance(head + number)
    span = Span(whole.head - RING_MIN + 1, whole.head + 1) if whole.head is not None else Span(0, 0)
    assert grown.rows == whole.rows
    assert grown.size_bytes == whole.size_bytes == max(sizes) * RING_MIN * 5
    assert grown.span(span, ALL).tobytes() == whole.span(span, ALL).tobytes()


GROWING = """
import resource
import numpy as np
from stream.ring import Ring
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
ring, before = Ring(), peak()
ring.advance(1000)
for rows in range(2500, 265_001, 2500):  # just past a power of two, where the room has doubled last
    ring.grow(rows)
    row = np.arange(rows - 2500, rows, dtype=np.int32)
    ring.write(np.full(2500, 1000), row, np.zeros(2500, np.uint8), np.ones(2500, np.float32))
print((peak() - before) / ring.size_bytes)
"""


def test_growing_block_by_block_takes_no_more_memory_than_the_cells_in_use() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", GROWING], cwd=root, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.1


def test_cells_that_are_cleared_can_be_written_again() -> None:
    ring = Ring(2)
    ring.advance(200)
    write(ring, [(198, 0, 59, 1.0), (200, 0, 59, 2.0), (199, 1, 59, 3.0), (197, 0, 59, 4.0)])
    assert ring.clear(0, Span(198, 10_000)) == [198, 200]
    write(ring, [(200, 0, 1, 0.0)])
    cells = ring.span(Span(197, 201), ALL)
    assert cells[:, 0].tolist()[::3] == [4.0, 0.0]
    assert np.isnan(cells[[1, 2], 0]).all()
    assert cells[2, 1] == 3.0
    assert ring.clear(0, Span(-(2**31), 198)) == [197]
    assert ring.clear(7, Span(198, 201)) == Ring(1).clear(0, Span(198, 201)) == []


def test_a_span_that_wraps_is_in_order() -> None:
    ring = Ring(1)
    ring.advance(RING_MIN + 2)
    write(ring, [(RING_MIN - 2 + k, 0, 0, float(k)) for k in range(5)])
    assert ring.span(Span(RING_MIN - 2, RING_MIN + 3), ALL)[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_writing_says_how_many_samples_found_their_minute_filled() -> None:
    ring = Ring(3)
    ring.advance(100)
    one = np.array([100, 100]), np.array([0, 1], np.int32), np.zeros(2, np.uint8), np.zeros(2, np.float32)
    assert ring.write(*one) == 0
    assert ring.write(*one) == 2
    more = np.array([99, 100]), np.array([0, 2], np.int32), np.zeros(2, np.uint8), np.zeros(2, np.float32)
    assert ring.write(*more) == 0
