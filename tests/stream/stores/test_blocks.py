from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.fleet import SLOTS
from stream.stores.blocks import GAP, MAX_PCT, Packed, decode, encode, merge_fuller, pack
from stream.stores.protocols import BlockRow
from tests.stream.stores.given import block_row, broken_row

HIGHEST = float(np.float32(MAX_PCT))
MEANS = hnp.arrays(np.float32, 50, elements=st.one_of(st.just(np.nan), st.floats(0, HIGHEST, width=32)))
CODES = hnp.arrays(np.uint16, 50)
COUNTS = hnp.arrays(np.uint8, 50)


def packed(mean: list[int], count: list[int]) -> Packed:
    return Packed(np.array(mean, np.uint16), np.array(count, np.uint8))


@given(MEANS)
def test_a_mean_comes_back_within_half_a_hundredth_and_a_gap_as_a_gap(mean: npt.NDArray[np.float32]) -> None:
    back = decode(encode(mean))
    assert back.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(back), np.isnan(mean))
    error = np.abs(back.astype(np.float64) - mean)
    assert np.nanmax(error, initial=0) <= 0.005 + 655.35 * 2**-23  # and what float32 itself cannot tell


@given(MEANS)
def test_what_was_decoded_is_encoded_to_the_same_bytes(mean: npt.NDArray[np.float32]) -> None:
    codes = encode(mean)
    assert encode(decode(codes)).tobytes() == codes.tobytes()


def test_zero_is_code_0_and_a_gap_is_code_65535_in_little_endian_bytes() -> None:
    assert encode(np.array([0.0, np.nan, 655.34, 2.56], np.float32)).tobytes() == b"\0\0\xff\xff\xfe\xff\0\1"


@pytest.mark.parametrize("value", [-0.01, -1e-6, 655.35, 1e9, np.inf, -np.inf])
def test_a_mean_that_no_code_can_hold_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"0 to 655\.34 percent"):
        encode(np.array([1.0, np.nan, value], np.float32))


def test_per_slot_the_fuller_count_wins_and_a_tie_goes_to_the_new_value() -> None:
    old, new = packed([10, 20, 30, GAP, 50], [5, 5, 5, 0, 1]), packed([11, 21, 31, 41, GAP], [4, 6, 5, 1, 0])
    merged = merge_fuller(old, new)
    np.testing.assert_array_equal(merged.mean, [10, 21, 31, 41, 50])
    np.testing.assert_array_equal(merged.count, [5, 6, 5, 1, 1])


@given(CODES, COUNTS, CODES, COUNTS)
def test_merging_again_changes_nothing(
    old_mean: npt.NDArray[np.uint16],
    old_count: npt.NDArray[np.uint8],
    new_mean: npt.NDArray[np.uint16],
    new_count: npt.NDArray[np.uint8],
) -> None:
    new = Packed(new_mean, new_count)
    once = merge_fuller(Packed(old_mean, old_count), new)
    twice = merge_fuller(once, new)
    np.testing.assert_array_equal(once.mean, twice.mean)
    np.testing.assert_array_equal(once.count, twice.count)
    np.testing.assert_array_equal(once.count, np.maximum(old_count, new_count))


def test_a_row_is_packed_as_it_is() -> None:
    row = pack(block_row({0: (0.0, 60), 7: (12.34, 3)}))
    assert (row.mean[0], row.mean[7], row.mean[1]) == (0, 1234, GAP)
    assert (row.count[0], row.count[7], row.count[1]) == (60, 3, 0)


def row_of(mean: npt.NDArray[np.float32], count: npt.NDArray[np.uint8]) -> BlockRow:
    return BlockRow(60, 0, 0, 0, 1, mean, count)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (broken_row(), "count 0 where and only where"),
        (row_of(np.zeros(SLOTS, np.float32), np.zeros(SLOTS, np.uint8)), "count 0 where and only where"),
        (row_of(np.zeros(SLOTS - 1, np.float32), np.ones(SLOTS - 1, np.uint8)), "expected 2500 means"),
        (block_row({}, step_min=15), "grid of 5 or 60"),
        (block_row({}, start=30), "grid of 5 or 60"),
        (block_row({}, epoch=-1), "block and epoch"),
        (block_row({}, epoch=2**31), "block and epoch"),
        (block_row({}, block=-1), "block and epoch"),
    ],
)
def test_a_row_that_breaks_its_promise_is_refused(row: BlockRow, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(row)
