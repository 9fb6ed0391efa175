"""Windows: quietness and default starts over arrays; the choice for one VM, against an oracle that counts minutes."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.blackout import blacked_out
from models.calibration import DEFAULT
from models.errors import BadInput
from models.forecast import FORECAST_DTYPE, HOURS, NO_START, STARTS
from models.minutes import DAY_MIN, parse_iso
from models.window import RECORD_MIN, Ask, Choice, Window, allowed_starts, choose, default_starts, quietness

MIDNIGHT = parse_iso("2026-03-10T00:00Z")
FLAT_INSIDE = np.zeros(12, dtype=np.float32)
ONE = 12  # steps in an hour
USUAL = Ask(
    MIDNIGHT, MIDNIGHT + DAY_MIN, minutes=10, max_load_pct=80, min_confidence=0.8, k=3, rules=(), timezone="UTC"
)
Numbers = npt.NDArray[Any]


def hours(*values: float) -> npt.NDArray[np.float32]:
    """The given levels hour by hour, the last one to the end of the record."""
    return np.array([*values, *[values[-1]] * (HOURS - len(values))], dtype=np.float32)


def record_of(level: Numbers, inside: Numbers = FLAT_INSIDE, spread: float = 2.0) -> np.void:
    """A record with this hourly level as mean and P50, the P90 `spread` points above; inside: int8[12] at scale 127."""
    record = np.zeros(1, dtype=FORECAST_DTYPE)
    record["mean"], record["p50"] = np.rint(level * 100), np.rint(level * 100)
    record["p90"] = np.rint((level + spread) * 100)
    record["inside"], record["scale"] = inside, 127.0
    record["quiet"] = quietness(np.atleast_2d(level).astype(np.float32), np.atleast_2d(inside).astype(np.float32))
    return np.void(record[0])


def chosen(record: np.void, **changes: Any) -> Choice:  # noqa: ANN401 (as dataclasses.replace takes them)
    return choose(MIDNIGHT, record, replace(USUAL, **changes), DEFAULT)


def test_quietness_by_hand() -> None:
    inside = np.zeros(12, dtype=np.float32)
    inside[0], inside[1] = 30.0, -20.0
    quiet = quietness(np.array([hours(10, 60)]), np.array([inside]))[0]
    # loads: 40, 0 (clipped from -10), 10 ...; then 90, 40, 60 ...
    assert quiet[:3].tolist() == [round(255 * 50 / 90), 255, round(255 * 80 / 90)]
    assert quiet[ONE : ONE + 3].tolist() == [0, round(255 * 50 / 90), round(255 * 30 / 90)]
    assert quiet.dtype == np.uint8


def test_a_flat_vm_is_quiet_everywhere_and_a_vm_without_numbers_nowhere() -> None:
    level = np.array([hours(0.0), hours(33.3), hours(math.nan)])
    quiet = quietness(level, np.zeros((3, 12), dtype=np.float32))
    assert quiet.min(axis=1).tolist() == [255, 255, 0]
    assert quiet.max(axis=1).tolist() == [255, 255, 0]


def test_an_hour_without_a_number_is_never_quiet_and_does_not_disturb_the_others() -> None:
    quiet = quietness(np.array([hours(1, math.nan, 3)]), np.zeros((1, 12), dtype=np.float32))[0]
    assert quiet[[0, ONE, 2 * ONE]].tolist() == [255, 0, 0]


def test_every_vm_has_its_own_scale_whatever_chunk_it_falls_into() -> None:
    rng = np.random.default_rng(1)
    level, inside = rng.gamma(2.0, 10.0, (5000, HOURS)), rng.normal(0, 3, (5000, 12))
    quiet = quietness(level.astype(np.float32), inside.astype(np.float32))
    load = np.maximum(level[:, :, None] + inside[:, None, :], 0).reshape(5000, STARTS)
    low, high = load.min(axis=1, keepdims=True), load.max(axis=1, keepdims=True)
    assert np.abs(quiet - 255 * (high - load) / (high - low)).max() < 0.51


def test_starts_are_allowed_where_no_minute_is_blacked_out() -> None:
    allowed = allowed_starts(MIDNIGHT, "UTC", ("tue 01:03-01:04",), 2)
    assert np.flatnonzero(~allowed).tolist() == [ONE - 1, ONE, STARTS - 1]  # 00:55 and 01:00; the last ends outside


@pytest.mark.parametrize(("date", "hours_out"), [("2026-03-28", 1), ("2026-10-24", 3)])
def test_allowed_starts_on_dst_days(date: str, hours_out: int) -> None:
    first = parse_iso(f"{date}T21:00Z")
    allowed = allowed_starts(first, "Europe/Berlin", ("sun 01:00-03:00",), 1)
    assert (~allowed).sum() == hours_out * ONE


def test_default_starts_by_hand() -> None:
    quiet = np.zeros((5, STARTS), dtype=np.uint8)
    quiet[0, [3, 4, 9, 10]] = 200  # two equal windows: the earlier
    quiet[1, [0, 1]], quiet[1, [20, 21]] = 99, 100  # the quietest begins before first_step
    quiet[2, :] = 255
    quiet[3, [29, 30]], quiet[3, 5] = 255, 1  # the quietest ends after last_step
    allowed = np.ones((5, STARTS), dtype=np.bool_)
    allowed[2] = False
    starts = default_starts(quiet, allowed, steps=2, first_step=1, last_step=30)
    assert starts.tolist() == [3, 20, NO_START, 28, NO_START]
    assert starts.dtype == np.uint16


def test_default_starts_take_one_mask_for_all_and_a_span_too_short_for_any() -> None:
    quiet = np.full((2, STARTS), 7, dtype=np.uint8)
    allowed = np.arange(STARTS) >= 40
    assert default_starts(quiet, allowed, 3, 0, STARTS).tolist() == [40, 40]
    assert default_starts(quiet, allowed, 3, 50, 52).tolist() == [NO_START, NO_START]


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


def loads_by_minute(record: np.void) -> tuple[Numbers, Numbers]:
    """Quietness and mean load at every minute of the record."""
    step = np.arange(RECORD_MIN) // 5
    mean = record["mean"][step // 12] / 100 + record["inside"][step % 12] / 127 * float(record["scale"])
    return record["quiet"][step], np.maximum(mean, 0)


records = st.builds(
    lambda level, inside, spread: record_of(np.array(level), np.array(inside), spread),
    st.lists(st.floats(0, 100), min_size=HOURS, max_size=HOURS),
    st.lists(st.integers(-20, 40), min_size=12, max_size=12),
    st.floats(0, 30),
)
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
