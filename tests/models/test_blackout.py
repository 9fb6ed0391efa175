"""Blackout hours: what is written, and which minutes it covers on ordinary and on DST days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.blackout import Rule, blacked_out, parse_rule
from models.errors import BadInput
from models.minutes import DAY_MIN, parse_iso

SPRING = "2026-03-29"  # Berlin skips 02:00-03:00
AUTUMN = "2026-10-25"  # Berlin repeats 02:00-03:00
NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = tuple(range(7))


def day_in(zone: str, date: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Every epoch minute of a local day: 1380, 1440 or 1500 of them."""
    start = datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(zone))
    end = (datetime.fromisoformat(date) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))
    return np.arange(int(start.timestamp()) // 60, int(end.timestamp()) // 60, dtype=np.int64)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("22:00-06:00", Rule(EVERY_DAY, 1320, 360)),
        ("mon-fri 08:00-18:00", Rule((0, 1, 2, 3, 4), 480, 1080)),
        ("sat,sun 00:00-24:00", Rule((5, 6), 0, 1440)),
        ("fri-mon,wed 01:05-02:10", Rule((0, 2, 4, 5, 6), 65, 130)),
        (" Tue  23:59-00:00 ", Rule((1,), 1439, 0)),
    ],
)
def test_a_rule_is_read(text: str, rule: Rule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "always",
        "8-18",
        "8:00-18:00",
        "08:00",
        "08:00-08:00",
        "24:00-06:00",
        "08:60-09:00",
        "08:00-24:01",
        "25:00-26:00",
        "monday 08:00-18:00",
        "mon- 08:00-18:00",
        "mon,,tue 08:00-18:00",
        "-fri 08:00-18:00",
        "mon-fri-sun 08:00-18:00",
        "mon-fri",
        "08:00-18:00 mon-fri",
    ],
)
def test_what_is_not_a_rule_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(BadInput, match="Write it like 22:00-06:00") as caught:
        parse_rule(text)
    assert repr(text) in str(caught.value)


def test_no_rules_cover_nothing() -> None:
    assert not blacked_out((), "Europe/Berlin", day_in("Europe/Berlin", SPRING)).any()


def test_the_span_is_half_open() -> None:
    noon = parse_iso("2026-03-10T12:00Z")
    covered = blacked_out(("12:00-12:03",), "UTC", np.arange(noon - 1, noon + 5, dtype=np.int64))
    assert covered.tolist() == [False, True, True, True, False, False]


def test_the_hour_that_spring_skips_covers_nothing() -> None:
    day = day_in("Europe/Berlin", SPRING)
    assert len(day) == 23 * 60
    assert not blacked_out(("02:00-03:00",), "Europe/Berlin", day).any()
    assert blacked_out(("01:00-04:00",), "Europe/Berlin", day).sum() == 120


def test_the_hour_that_autumn_repeats_is_covered_both_times() -> None:
    day = day_in("Europe/Berlin", AUTUMN)
    assert len(day) == 25 * 60
    covered = blacked_out(("02:00-03:00",), "Europe/Berlin", day)
    assert (day[covered] - day[0]).tolist() == list(range(120, 240))


@pytest.mark.parametrize("date", [SPRING, AUTUMN])
def test_a_whole_day_is_whole_on_dst_days(date: str) -> None:
    day = day_in("Europe/Berlin", date)
    around = np.arange(day[0] - 60, day[-1] + 61, dtype=np.int64)
    covered = blacked_out(("sun 00:00-24:00",), "Europe/Berlin", around)
    assert around[covered].tolist() == day.tolist()


@pytest.mark.parametrize(
    ("zone", "start_utc"), [("Asia/Kolkata", "02:30"), ("Asia/Kathmandu", "02:15"), ("Australia/Eucla", "23:15")]
)
def test_zones_with_half_and_quarter_hours(zone: str, start_utc: str) -> None:
    date = "2026-03-09" if zone.startswith("Australia") else "2026-03-10"
    start = parse_iso(f"{date}T{start_utc}Z")
    minutes = np.arange(start - 60, start + 120, dtype=np.int64)
    covered = blacked_out(("tue 08:00-09:00",), zone, minutes)
    assert minutes[covered].tolist() == list(range(start, start + 60))


def test_a_rule_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    friday = parse_iso("2026-03-13T00:00Z")
    minutes = np.arange(friday - DAY_MIN, friday + 3 * DAY_MIN, dtype=np.int64)
    covered = minutes[blacked_out(("fri 22:00-06:00",), "UTC", minutes)]
    assert covered.tolist() == list(range(friday + 22 * 60, friday + 30 * 60))


def test_rules_add_up_and_the_shape_is_kept() -> None:
    minutes = day_in("UTC", "2026-03-10").reshape(24, 60)
    covered = blacked_out(("01:00-02:00", "03:00-04:00"), "UTC", minutes)
    assert np.flatnonzero(covered.all(axis=1)).tolist() == [1, 3]
    assert covered.sum() == 120


zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])


@given(
    zone=zones,
    minute=st.integers(29_000_000, 31_000_000),
    days=st.sets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 1439),
    end=st.integers(1, 1440),
)
def test_a_minute_is_covered_where_its_wall_clock_says_so(
    zone: str, minute: int, days: set[int], start: int, end: int
) -> None:
    if start == end:
        end = start + 1
    names = ",".join(NAMES[d] for d in days)
    rule = f"{names} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(zone))
    wall = local.hour * 60 + local.minute
    if start < end:
        expected = local.weekday() in days and start <= wall < end
    else:
        expected = (local.weekday() in days and wall >= start) or ((local.weekday() - 1) % 7 in days and wall < end)
    assert blacked_out((rule,), zone, np.array([minute], dtype=np.int64))[0] == expected
