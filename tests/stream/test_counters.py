"""Counters: differences of neighbours, gaps, order, and that it does not matter where a log is cut into batches."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.counters import Counters, Rates

Sample = tuple[int, int, float]  # key, epoch second, counter; its offset is its place in the log


class Rate(NamedTuple):
    offset: int
    ts_s: int
    value: float
    since: int


def rates_of(counters: Counters, log: list[Sample], first_offset: int = 0) -> Rates:
    columns = list(zip(*log, strict=True)) or [(), (), ()]
    return counters.rates(
        np.array(columns[0], dtype=np.int32),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.float64),
        np.arange(first_offset, first_offset + len(log), dtype=np.int64),
    )


def told(rates: Rates, first_offset: int = 0) -> list[Rate]:
    assert [column.dtype.name for column in rates] == ["int64", "int64", "float32", "int64", "int64"]
    columns = (rates.chosen + first_offset, rates.ts_s, np.nan_to_num(rates.value, nan=-1.0), rates.since)
    return [Rate(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def test_a_rate_is_the_difference_of_neighbours_in_the_middle_between_them() -> None:
    rates = rates_of(Counters(1), [(0, 600, 10.0), (1, 600, 5.0), (0, 660, 40.0), (1, 660, 5.0), (0, 720, 160.0)])
    assert told(rates) == [Rate(2, 630, 50.0, 0), Rate(3, 630, 0.0, 1), Rate(4, 690, 200.0, 2)]
    assert rates.ts_s[0] // 60 == 10  # the minute in which the work was done
    assert list(rates.fell) == []


def test_the_predecessor_may_be_in_an_earlier_batch() -> None:
    counters = Counters(1)
    assert told(rates_of(counters, [(7, 600, 1.0)], 100)) == []
    assert told(rates_of(counters, [], 101)) == []
    assert told(rates_of(counters, [(3, 600, 0.0), (7, 660, 7.0)], 101), 101) == [Rate(102, 630, 10.0, 100)]


def test_a_counter_that_falls_is_a_gap_and_begins_anew() -> None:
    rates = rates_of(Counters(1), [(0, 0, 100.0), (0, 60, 3.0), (0, 120, 9.0)])
    assert told(rates) == [Rate(2, 90, 10.0, 1)]
    assert list(rates.fell) == [1]


@pytest.mark.parametrize(("interval_min", "longest_s"), [(1, 150), (5, 750)])
def test_neighbours_too_far_apart_are_a_gap_and_no_fall(interval_min: int, longest_s: int) -> None:
    near = rates_of(Counters(interval_min), [(0, 0, 0.0), (0, longest_s, 15.0)])
    assert told(near) == [Rate(1, longest_s // 2, float(np.float32(1500 / longest_s)), 0)]
    far = rates_of(Counters(interval_min), [(0, 0, 0.0), (0, longest_s + 1, 15.0), (0, longest_s + 61, 15.0)])
    assert told(far) == [Rate(2, longest_s + 31, 0.0, 1)]
    assert list(far.fell) == []


def test_what_is_not_later_is_nothing_new() -> None:
    log = [(0, 60, 6.0), (0, 60, 99.0), (0, 0, 0.0), (0, 120, 12.0), (0, 90, 50.0), (0, 180, 12.0)]
    assert told(rates_of(Counters(1), log)) == [Rate(3, 90, 10.0, 0), Rate(5, 150, 0.0, 3)]


def test_an_impossible_counter_is_a_rate_of_nan_and_nobodys_predecessor() -> None:
    log = [(0, 0, 0.0), (0, 60, np.nan), (0, 61, -1.0), (0, 62, np.inf), (0, 120, 12.0), (1, 5, np.nan)]
    rates = rates_of(Counters(1), log)
    impossible = [Rate(1, 60, -1, 1), Rate(2, 61, -1, 2), Rate(3, 62, -1, 3), Rate(5, 5, -1, 5)]
    assert told(rates) == sorted([*impossible, Rate(4, 60, 10.0, 0)])


def test_the_first_second_of_the_epoch_and_a_counter_of_zero_are_like_others() -> None:
    assert told(rates_of(Counters(1), [(0, 0, 0.0), (0, 60, 0.0)])) == [Rate(1, 30, 0.0, 0)]


def one_by_one(log: list[Sample], interval_min: int) -> tuple[list[Rate], list[int]]:
    """The same in plain words, a sample at a time."""
    last: dict[int, tuple[int, float, int]] = {}
    rates, fell = [], []
    for offset, (key, ts_s, value) in enumerate(log):
        if key in last and ts_s <= last[key][0]:
            continue
        if key in last:
            then_s, then, since = last[key]
            if value < then:
                fell.append(offset)
            elif ts_s - then_s <= 2.5 * 60 * interval_min:
                rate = float(np.float32(100 * (value - then) / (ts_s - then_s)))
                rates.append(Rate(offset, (then_s + ts_s) // 2, rate, since))
        last[key] = (ts_s, value, offset)
    return rates, fell


LOGS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 900) | st.integers(0, 2**36), st.integers(0, 50).map(float)),
    max_size=40,
)


@given(LOGS, st.lists(st.integers(0, 40), max_size=6), st.sampled_from([1, 5]))
def test_wherever_a_log_is_cut_the_same_rates_come_out(log: list[Sample], cuts: list[int], interval_min: int) -> None:
    counters = Counters(interval_min)
    edges = sorted({0, len(log), *(cut for cut in cuts if cut < len(log))})
    rates: list[Rate] = []
    fell: list[int] = []
    for start, end in pairwise(edges):
        found = rates_of(counters, log[start:end], start)
        rates += told(found, start)
        fell += (found.fell + start).tolist()
    assert (rates, fell) == one_by_one(log, interval_min)


@given(LOGS, st.data())
def test_a_replay_from_the_predecessor_gives_a_rate_again(log: list[Sample], data: st.DataObject) -> None:
    rates = told(rates_of(Counters(1), log))
    if not rates:
        return
    wanted = data.draw(st.sampled_from(rates))
    again = told(rates_of(Counters(1), log[wanted.since :], wanted.since), wanted.since)
    assert wanted in again
