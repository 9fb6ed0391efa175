"""Windows: the choice for one VM, against an oracle that counts minutes."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.blackout import blacked_out
from models.calibration import DEFAULT
from models.errors import BadInput
from models.forecast import HOURS
from models.minutes import DAY_MIN, parse_iso
from models.quiet import RECORD_MIN, allowed_starts, default_starts
from models.window import Ask, Choice, Window, choose
from tests.models.given import regretting
from tests.models.windows_given import hours, loads_by_minute, record_of, records

MIDNIGHT = parse_iso("2026-03-10T00:00Z")
USUAL = Ask(
    MIDNIGHT, MIDNIGHT + DAY_MIN, minutes=10, max_load_pct=80, min_confidence=0.8, k=3, rules=(), timezone="UTC"
)


def chosen(record: np.void, **changes: Any) -> Choice:  # noqa: ANN401 (as dataclasses.replace takes them)
    return choose(MIDNIGHT, record, replace(USUAL, **changes), DEFAULT)


def test_the_default_start_is_the_one_that_choose_takes() -> None:
    rng = np.random.default_rng(2)
    for level in rng.uniform(0, 30, (20, HOURS)):
        record = record_of(level, rng.integers(-5, 5, 12))
        allowed = allowed_starts(MIDNIGHT, "Asia/Kathmandu", ("22:00-06:00",), 2)
        start = default_starts(record["quiet"][None], allowed, 2, 0, 288)[0]
        best = chosen(record, rules=("22:00-06:00",), timezone="Asia/Kathmandu").best
        assert best.start == MIDNIGHT + 5 * int(start)


def test_an_idle_vm_gets_the_first_window_at_exactly_zero() -> None:
    choice = chosen(record_of(hours(0.0), spread=0.0))
    assert (choice.best.start, choice.best.expected_load_pct, choice.flagged) == (MIDNIGHT, 0.0, False)
    assert choice.now == choice.best == choice.earliest_acceptable


def test_a_vm_that_spikes_at_the_full_hour_never_gets_a_window_over_it() -> None:
    inside = np.full(12, -4)
    inside[0] = 44
    record = record_of(hours(10, 11, 10, 9, 10), inside)
    for minutes in range(10, 56):
        for window in chosen(record, minutes=minutes, k=12).alternatives:
            assert (window.start - MIDNIGHT) % 60 >= 5
            assert (window.start - MIDNIGHT) % 60 + minutes <= 60


def test_the_regret_to_expect_falls_with_what_a_window_promises() -> None:
    record = record_of(hours(10, 2, 10), spread=2.0)
    got = choose(MIDNIGHT, record, USUAL, regretting(DEFAULT))
    hope = ((2 + 25 * 10) / 26 - 2) / 2
    assert got.best.regret_expected == pytest.approx(1 - hope / 10, abs=1e-4)
    assert got.now.regret_expected == 1.0
    assert chosen(record).best.regret_expected is None  # nobody has measured what the default comes to


def test_a_length_off_the_grid_takes_its_share_of_the_last_step() -> None:
    inside = np.arange(12)
    now = chosen(record_of(hours(20), inside), minutes=13).now
    assert now.expected_load_pct == pytest.approx((5 * 20 + 5 * 21 + 3 * 22) / 13)


def test_now_is_judged_to_the_minute_and_the_rest_on_the_grid() -> None:
    choice = chosen(record_of(hours(20), np.arange(12)), start=MIDNIGHT + 3)
    assert choice.now.start == MIDNIGHT + 3
    assert choice.now.expected_load_pct == pytest.approx((2 * 20 + 5 * 21 + 3 * 22) / 10)
    assert choice.best.start % 5 == 0


def test_the_inside_of_an_hour_never_pushes_a_load_under_zero() -> None:
    assert chosen(record_of(hours(3), np.full(12, -9))).best.expected_load_pct == 0.0


def test_over_the_load_everywhere_the_surest_is_given_and_flagged() -> None:
    choice = chosen(record_of(hours(95, 95, 81, 95)), rules=("02:00-02:30",))
    assert choice.best.start == MIDNIGHT + 150
    assert choice.best.violates == ("max_load",)
    assert (choice.flagged, choice.earliest_acceptable, choice.now.acceptable) == (True, None, False)


def test_a_blackout_is_broken_only_where_it_leaves_nothing() -> None:
    record = record_of(hours(50, 95))
    loaded = chosen(record, rules=("00:00-01:00",))
    assert loaded.best.violates == ("max_load",)
    nothing = chosen(record, rules=("00:00-24:00",))
    assert nothing.best.violates == ("blackout",)
    assert nothing.best.start == MIDNIGHT


def test_a_deadline_too_near_gives_the_first_start_flagged() -> None:
    choice = chosen(record_of(hours(5)), start=MIDNIGHT + 3, end=MIDNIGHT + 14)
    assert (choice.best.start, choice.best.violates) == (MIDNIGHT + 5, ("deadline",))
    assert choice.now.acceptable
    assert choice.alternatives == (choice.best,)


@pytest.mark.parametrize("start", [MIDNIGHT - 1, MIDNIGHT + RECORD_MIN - 9, MIDNIGHT + RECORD_MIN - 11 + 2])
def test_outside_of_the_forecast_nothing_is_made_up(start: int) -> None:
    with pytest.raises(BadInput, match="hours of the forecast"):
        chosen(record_of(hours(5)), start=start, end=start + DAY_MIN)


def test_without_a_day_profile_the_hour_is_flat_and_no_nan_gets_out() -> None:
    record = record_of(hours(12.5), np.full(12, 9))
    for scale in (math.nan, math.inf):
        record["scale"] = scale
        best = chosen(record).best
        assert best.expected_load_pct == pytest.approx(12.5)
        assert math.isfinite(best.p90_load_pct)
        assert math.isfinite(best.confidence)


asks = st.builds(
    lambda start, length, **rest: replace(USUAL, start=MIDNIGHT + start, end=MIDNIGHT + start + length, **rest),
    st.integers(0, 1200),
    st.integers(125, 300),
    minutes=st.integers(10, 120),
    max_load_pct=st.floats(0, 100),
    k=st.integers(1, 20),
    rules=st.sets(st.sampled_from(["22:00-06:00", "tue 08:03-18:00", "00:00-24:00", "12:00-12:01"])).map(tuple),
    timezone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]),
)


@given(record=records, ask=asks)
def test_the_choice_agrees_with_counting_minutes(record: np.void, ask: Ask) -> None:
    choice = choose(MIDNIGHT, record, ask, DEFAULT)
    quiet, mean = loads_by_minute(record)
    black = blacked_out(ask.rules, ask.timezone, np.arange(MIDNIGHT, MIDNIGHT + RECORD_MIN, dtype=np.int64))

    def minutes_of(window: Window) -> slice:
        return slice(window.start - MIDNIGHT, window.start - MIDNIGHT + window.minutes)

    grid = range(-(-ask.start // 5) * 5, ask.end - ask.minutes + 1, 5)
    alone = [choose(MIDNIGHT, record, replace(ask, start=start), DEFAULT).now for start in grid]
    for window in (*alone, choice.now, *choice.alternatives):
        assert ask.start <= window.start
        assert window.start + window.minutes <= ask.end or "deadline" in window.violates
        assert ("blackout" in window.violates) == black[minutes_of(window)].any()
        assert window.expected_load_pct == pytest.approx(mean[minutes_of(window)].mean(), abs=1e-9)
        assert window.p90_load_pct >= window.expected_load_pct
        assert ("max_load" in window.violates) == (window.confidence < ask.min_confidence)
    acceptable = [window for window in alone if window.acceptable]
    assert choice.flagged == (not choice.best.acceptable) == (not acceptable)
    for window in acceptable:
        assert quiet[minutes_of(choice.best)].mean() >= quiet[minutes_of(window)].mean() - 1e-9
        assert choice.earliest_acceptable is not None
        assert choice.earliest_acceptable.start <= window.start
    assert choice.alternatives[0] == choice.best
    assert len(choice.alternatives) <= ask.k
    starts = sorted(window.start for window in choice.alternatives)
    assert all(after - before >= ask.minutes for before, after in pairwise(starts))
    assert {start % 5 for start in starts} == {0}
