"""Windows beyond the record, from the weekday outlook, and what holds for all: bounds, freedom, no overlap."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import DEFAULT
from models.errors import BadInput
from models.forecast import HOURS
from models.minutes import DAY_MIN, parse_iso
from models.quiet import RECORD_MIN
from models.weekday import OUTLOOK_HOURS, Outlook, weekday_outlook
from models.window import DOUBT, Ask, Choice, Window, choose
from tests.models.given import history_of, regretting, table_of
from tests.models.windows_given import Numbers, hours, loads_by_minute, record_of, records

THURSDAY = parse_iso("2026-03-12T00:00Z")
END_OF_ALL = THURSDAY + RECORD_MIN + OUTLOOK_HOURS * 60
USUAL = Ask(
    THURSDAY, THURSDAY + 5 * DAY_MIN, minutes=60, max_load_pct=80, min_confidence=0.8, k=3, rules=(), timezone="UTC"
)


def outlook_of(level: Numbers, spread: float = 2.0) -> Outlook:
    """An outlook with this hourly level (the last one to the end), the P90 `spread` points above."""
    mean = np.array([*level, *[level[-1]] * (OUTLOOK_HOURS - len(level))], dtype=np.float32)
    return Outlook(mean, mean, mean + np.float32(spread))


def chosen(record: np.void, outlook: Outlook | None, **changes: Any) -> Choice:  # noqa: ANN401 (as replace takes them)
    return choose(THURSDAY, record, replace(USUAL, **changes), DEFAULT, outlook)


def office(hour: int, night: float) -> float:
    """The load of a UTC hour: 60 Monday to Friday from 9 to 17, `night` outside of it, 2 at the weekend."""
    weekday, of_day = (hour // 24 + 3) % 7, hour % 24
    if weekday >= 5:
        return 2.0
    return 60.0 if 9 <= of_day < 17 else night


def test_asked_on_thursday_for_monday_an_office_vm_gets_the_weekend() -> None:
    first = THURSDAY // 60
    past = history_of([[office(first - k, 20.0) for k in range(336, 0, -1)]], end=THURSDAY)
    record = record_of(np.array([office(first + k, 20.0) for k in range(HOURS)]))
    got = chosen(record, weekday_outlook(past).of(0), max_load_pct=70)
    assert got.best.source == "weekday"
    assert THURSDAY + 2 * DAY_MIN <= got.best.start < THURSDAY + 4 * DAY_MIN
    assert (got.now.source, got.now.start) == ("forecast", THURSDAY)
    at_once = chosen(record, None, max_load_pct=70, end=THURSDAY + DAY_MIN)
    assert (at_once.best.source, at_once.best.start) == ("forecast", THURSDAY)


@pytest.mark.parametrize(("later", "source"), [(9.6, "forecast"), (9.4, "weekday")])
def test_a_later_window_must_be_clearly_quieter(later: float, source: str) -> None:
    assert DOUBT == 0.25
    best = chosen(record_of(hours(10, 60)), outlook_of(np.array([later]), spread=2.0)).best
    assert best.source == source


def test_an_idle_vm_waits_for_nothing() -> None:
    best = chosen(record_of(hours(0.0), spread=0.0), outlook_of(np.array([0.0]), spread=0.0)).best
    assert (best.start, best.source) == (THURSDAY, "forecast")


def test_equals_of_the_outlook_are_taken_in_order() -> None:
    got = chosen(record_of(hours(33.3, 70.1)), outlook_of(np.array([5.1]), spread=0.3), end=END_OF_ALL, k=20)
    assert [window.start for window in got.alternatives] == [THURSDAY + RECORD_MIN + 60 * k for k in range(20)]


def test_acceptable_goes_before_quiet() -> None:
    record, outlook = record_of(hours(50)), outlook_of(np.array([5.0]))
    assert chosen(record, outlook).best.source == "weekday"
    barred = chosen(record, outlook, rules=("fri-wed 00:00-24:00",))
    assert (barred.best.source, barred.best.acceptable) == ("forecast", True)
    loaded = chosen(record_of(hours(95)), outlook_of(np.array([90.0, 95.0, 20.0, 90.0])))
    assert (loaded.best.start, loaded.flagged) == (THURSDAY + RECORD_MIN + 120, False)
    assert loaded.earliest_acceptable is not None
    assert loaded.earliest_acceptable.start == loaded.best.start - 45  # most of it still in the 95 % before: 76.25 %


def test_the_inside_of_an_hour_goes_on_beyond_the_record() -> None:
    inside = np.full(12, -4)
    inside[0] = 44
    got = chosen(record_of(hours(60), inside), outlook_of(np.array([10.0])), minutes=30, k=20, end=END_OF_ALL)
    assert {window.source for window in got.alternatives} == {"weekday"}
    assert all(5 <= (window.start - THURSDAY) % 60 <= 30 for window in got.alternatives)
    assert got.best.expected_load_pct == pytest.approx(6.0, abs=1e-5)


def test_a_window_over_the_records_end_is_of_both_and_marked() -> None:
    start = THURSDAY + RECORD_MIN - 30
    got = chosen(record_of(hours(10)), outlook_of(np.array([20.0])), start=start)
    assert (got.now.start, got.now.source) == (start, "weekday")
    assert got.now.expected_load_pct == pytest.approx(15.0)


def test_the_champions_calibration_judges_its_own_windows_only() -> None:
    pessimist = table_of(1000.0)
    got = choose(THURSDAY, record_of(hours(30)), replace(USUAL, k=20), pessimist, outlook_of(np.array([50.0])))
    assert (got.now.violates, got.best.source, got.flagged) == (("max_load",), "weekday", False)


def test_of_the_outlooks_windows_nobody_has_measured_the_regret() -> None:
    outlook = outlook_of(np.array([1.0, 50.0]))
    ask = replace(USUAL, start=THURSDAY, k=20, end=END_OF_ALL)
    got = choose(THURSDAY, record_of(hours(50, 5, 50)), ask, regretting(DEFAULT), outlook)
    assert {window.source: window.regret_expected is None for window in got.alternatives} == {
        "forecast": False,
        "weekday": True,
    }


def test_outside_of_forecast_and_outlook_nothing_is_made_up() -> None:
    record, outlook = record_of(hours(10)), outlook_of(np.array([5.0]))
    last = chosen(record, outlook, start=END_OF_ALL - 60, end=END_OF_ALL + 999)
    assert last.alternatives == (last.best,)
    for start, known in [(END_OF_ALL - 59, outlook), (THURSDAY + RECORD_MIN - 59, None)]:
        with pytest.raises(BadInput, match="hours of the forecast"):
            chosen(record, known, start=start, end=END_OF_ALL)


@pytest.mark.parametrize(("end", "hours_out"), [("2026-03-26T00:00Z", 1), ("2026-10-22T00:00Z", 3)])
def test_blackout_hours_hold_beyond_the_record_on_dst_days(end: str, hours_out: int) -> None:
    first = parse_iso(end)
    ask = replace(USUAL, start=first, end=first + 7 * DAY_MIN, minutes=60, k=20, timezone="Europe/Berlin")
    hour = (RECORD_MIN + 2 * DAY_MIN) // 60 - HOURS  # hours of the outlook before Sunday 00:00 UTC
    level = np.full(OUTLOOK_HOURS, 50.0)
    level[hour - 2 : hour + 2] = 1.0
    rule = ("sun 01:00-03:00",)  # from Saturday's midnight UTC on; one hour of it is skipped, or comes twice
    free = choose(first, record_of(hours(60)), ask, DEFAULT, outlook_of(level))
    barred = choose(first, record_of(hours(60)), replace(ask, rules=rule), DEFAULT, outlook_of(level))
    quiet = [[window.start for window in got.alternatives if window.expected_load_pct < 2] for got in (free, barred)]
    assert len(quiet[0]) - len(quiet[1]) == min(hours_out, 2)


outlooks = st.builds(
    lambda level, spread: outlook_of(np.repeat(np.array(level), 4)[:OUTLOOK_HOURS], spread),
    st.lists(st.floats(0, 100), min_size=36, max_size=36),
    st.floats(0, 30),
)
asks = st.builds(
    lambda start, length, **rest: replace(USUAL, start=THURSDAY + start, end=THURSDAY + start + length, **rest),
    st.integers(0, 4000),
    st.integers(1, 7000),
    minutes=st.integers(10, 120),
    max_load_pct=st.floats(0, 100),
    min_confidence=st.floats(0, 1),
    k=st.integers(1, 20),
    rules=st.sets(st.sampled_from(["22:00-06:00", "sat 08:03-18:00", "mon-fri 00:00-24:00"])).map(tuple),
    timezone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]),
)


def badness(record: np.void, outlook: Outlook, ask: Ask, window: Window) -> tuple[tuple[int, float], float]:
    """What the choice makes least of: constraints broken and confidence lacking, then unquiet minutes.

    Where nothing ends in time: the minutes over the deadline.
    """
    if "deadline" in window.violates:
        return (4, 0.0), float(window.start + ask.minutes - ask.end)
    quiet, mean = loads_by_minute(record)
    inside = np.repeat(record["inside"] / 127 * float(record["scale"]), 5)
    later = np.maximum(np.repeat(outlook.mean.astype(np.float64), 60) + np.tile(inside, OUTLOOK_HOURS), 0)
    low, high = mean.min(), mean.max()
    waits = later + 0.25 * float((outlook.p90 - outlook.p50).mean())
    scaled = np.rint(255 * (1 - (waits - low) / max(high - low, 0.05)))
    minutes = slice(window.start - THURSDAY, window.start - THURSDAY + ask.minutes)
    standing = sum({"blackout": 2, "max_load": 1}[name] for name in window.violates)
    sure = round(window.confidence, 6) if "max_load" in window.violates else 1.0
    return (standing, -sure), -float(np.concatenate([quiet, scaled])[minutes].mean())


def assert_no_worse(got: tuple[tuple[int, float], float], than: tuple[tuple[int, float], float]) -> None:
    assert got[0] <= than[0]
    assert got[0] < than[0] or got[1] <= than[1] + 1  # one step of 255, where ours rounds otherwise


@given(record=records, outlook=outlooks, ask=asks)
def test_windows_keep_their_bounds_and_do_not_overlap(record: np.void, outlook: Outlook, ask: Ask) -> None:
    got = choose(THURSDAY, record, ask, DEFAULT, outlook)
    for window in (got.now, *got.alternatives):
        assert ask.start <= window.start
        assert window.start + ask.minutes <= min(ask.end, END_OF_ALL) or "deadline" in window.violates
        assert window.start + ask.minutes <= END_OF_ALL
        assert (window.source == "forecast") == (window.start + ask.minutes <= THURSDAY + RECORD_MIN)
        assert window.p90_load_pct >= window.expected_load_pct >= 0
    starts = sorted(window.start for window in got.alternatives)
    assert all(after - before >= ask.minutes for before, after in pairwise(starts))
    assert {start % 5 for start in starts} == {0}


freedoms = st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.floats(0, 100), st.integers(0, 3))


@given(record=records, outlook=outlooks, ask=asks, freedom=freedoms)
def test_more_freedom_never_gives_a_worse_window(
    record: np.void, outlook: Outlook, ask: Ask, freedom: tuple[int, int, float, int]
) -> None:
    earlier, later, load_pct, rules = freedom
    freer = [
        replace(ask, start=max(THURSDAY, ask.start - earlier)),
        replace(ask, end=ask.end + later),
        replace(ask, max_load_pct=max(ask.max_load_pct, load_pct)),
        replace(ask, rules=ask.rules[:rules]),
    ]
    asked = badness(record, outlook, ask, choose(THURSDAY, record, ask, DEFAULT, outlook).best)
    for free in freer:
        assert_no_worse(badness(record, outlook, free, choose(THURSDAY, record, free, DEFAULT, outlook).best), asked)


@given(record=records, outlook=outlooks, ask=asks)
def test_a_deadline_beyond_the_record_is_never_worse_than_one_within_it(
    record: np.void, outlook: Outlook, ask: Ask
) -> None:
    near = replace(ask, start=THURSDAY + ask.start % 1200, end=THURSDAY + DAY_MIN)
    far = replace(near, end=near.end + 4 * DAY_MIN)
    without = badness(record, outlook, near, choose(THURSDAY, record, near, DEFAULT).best)
    assert_no_worse(badness(record, outlook, far, choose(THURSDAY, record, far, DEFAULT, outlook).best), without)
