"""The one aggregate: means and counts by hand, gaps, and bits that depend on nothing around a column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from models import aggregate as module
from models.aggregate import aggregate

NAN = float("nan")


def column(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, dtype=np.float32)[:, None]


def test_a_mean_is_over_the_samples_that_came() -> None:
    made = aggregate(column(1, NAN, 2, NAN, 6))
    assert made.whole.mean.tolist() == [3.0]
    assert made.whole.count.tolist() == [3]
    assert made.steps.mean.tolist() == [[3.0]]


def test_idle_is_zero_and_a_gap_is_nan() -> None:
    made = aggregate(np.concatenate((column(0, 0, 0, 0, 0), column(*[NAN] * 5)), axis=1))
    assert made.whole.mean[0] == 0.0
    assert np.isnan(made.whole.mean[1])
    assert made.whole.count.tolist() == [5, 0]


def test_an_hour_is_the_mean_of_its_minutes_not_of_its_five_minutes() -> None:
    minutes = np.full((60, 1), NAN, dtype=np.float32)
    minutes[0] = 10  # one sample in the first five minutes
    minutes[5:10] = 40  # five in the second
    made = aggregate(minutes)
    assert made.whole.mean.tolist() == [35.0]
    assert made.whole.count.tolist() == [6]
    assert made.steps.count[:3, 0].tolist() == [1, 5, 0]
    assert made.steps.mean[:2, 0].tolist() == [10.0, 40.0]


minutes_of_an_hour = st.lists(st.one_of(st.just(NAN), st.floats(0, 655, width=32)), min_size=60, max_size=60).map(
    lambda values: np.array(values, dtype=np.float32)
)


@given(st.lists(minutes_of_an_hour, min_size=1, max_size=5))
def test_a_columns_bits_do_not_depend_on_its_neighbours(columns: list[npt.NDArray[np.float32]]) -> None:
    together = aggregate(np.stack(columns, axis=1))
    for index, alone in enumerate(columns):
        single = aggregate(alone[:, None])
        assert single.whole.mean.tobytes() == together.whole.mean[index : index + 1].tobytes()
        assert single.steps.mean.tobytes() == together.steps.mean[:, index : index + 1].tobytes()
        five = aggregate(alone[5:10, None])
        assert five.whole.mean.tobytes() == single.steps.mean[1].tobytes()


@given(st.integers(1, 9))
def test_nor_on_the_chunk_that_it_falls_into(size: int) -> None:
    minutes = np.random.default_rng(size).random((60, 23), dtype=np.float32) * 100
    whole = aggregate(minutes)
    kept, module.CHUNK_COLUMNS = module.CHUNK_COLUMNS, size
    try:
        pieces = aggregate(minutes)
    finally:
        module.CHUNK_COLUMNS = kept
    assert whole.whole.mean.tobytes() == pieces.whole.mean.tobytes()
    assert whole.steps.mean.tobytes() == pieces.steps.mean.tobytes()
