"""From rows to a fleet, and the split: what is refused, counted, and said."""

from __future__ import annotations

import numpy as np
import pytest

from batch.dataset import origins_of
from batch.recorded import Recorded, Samples, history_at
from batch.spans import ASKED_H, LEARNED_H, check_span, default_split, fleet_of
from models.errors import BadInput
from tests.batch.given import hourly_fleet
from tests.models.given import END, rhythm


def fleet(hours: int) -> Recorded:
    return hourly_fleet(rhythm(2, hours, seed=1))


def samples(cpu: list[float], step_s: int = 300) -> Samples:
    ts_s = END * 60 + step_s * np.arange(len(cpu), dtype=np.int64)
    return Samples(("vm-1",), 5, np.zeros(len(cpu), np.int64), ts_s, np.array(cpu, np.float32))


def test_impossible_values_are_refused_and_counted_and_a_gap_is_none_of_them() -> None:
    found, refused = fleet_of(samples([0.0, -1.0, np.nan, np.inf, 656.0, 150.0]))
    assert refused == 3
    np.testing.assert_array_equal(found.steps[0, :6], [0.0, np.nan, np.nan, np.nan, np.nan, 100.0])


def test_a_trace_of_nothing_but_impossible_values_is_refused() -> None:
    with pytest.raises(BadInput, match=r"expected loads of 0 to 655 %, got none, 2 refused"):
        fleet_of(samples([-1.0, np.inf]))


def test_a_wrong_time_does_not_make_a_fleet_of_years() -> None:
    with pytest.raises(BadInput, match=r"expected at most 400 days, got 500"):
        fleet_of(samples([1.0, 2.0], step_s=500 * 86_400))


def test_two_thirds_are_learned_from() -> None:
    found = fleet(24 * 12)
    assert default_split(found) == found.start + 8 * 24 * 60
    check_span(found, default_split(found))


def test_what_the_split_asks_for_is_what_training_needs() -> None:
    found = fleet(LEARNED_H + ASKED_H)
    split = found.start + LEARNED_H * 60
    check_span(found, split)
    origins_of(history_at(found, split, LEARNED_H))
    with pytest.raises(BadInput):
        origins_of(history_at(found, split - 60, LEARNED_H - 1))


def test_a_short_trace_is_told_how_many_days_are_needed_and_how_many_there_are() -> None:
    found = fleet(24)
    with pytest.raises(BadInput, match=r"at least 6\.0 days to learn from and 1\.1 to ask about, got 1\.0 days in all"):
        check_span(found, default_split(found))


@pytest.mark.parametrize("hours", [24, 24 * 12 - 3])
def test_a_split_too_near_an_end_is_told_where_it_may_lie(hours: int) -> None:
    found = fleet(24 * 12)
    with pytest.raises(BadInput, match=r"Split it with --split between 2024-09-28T01:00Z and 2024-10-02T22:00Z"):
        check_span(found, found.start + hours * 60)


def test_a_split_within_an_hour_is_refused() -> None:
    found = fleet(24 * 12)
    with pytest.raises(BadInput, match=r"a whole hour \(UTC\), got 2024-09-30T00:05Z\. Try 2024-09-30T01:00Z"):
        check_span(found, found.start + 8 * 24 * 60 + 5)
