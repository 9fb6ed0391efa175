"""The weekday outlook: by hand, against a count with calendar days, across DST changes and in half-hour zones."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models.forecast import HOURS
from models.minutes import parse_iso
from models.weekday import OUTLOOK_HOURS, PRIOR_KIND, PRIOR_WEEKDAY, weekday_outlook
from tests.models.given import END, Floats, history_of, rhythm

HISTORY_H = 14 * 24
FIRST = HOURS * 60  # minutes from the history's end to the outlook's first hour


def local(minute: int, zone: str) -> datetime:
    """The local time of an epoch minute."""
    return datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(zone))


def office(at: datetime) -> float:
    """Busy Monday to Friday from 9 to 17, idle at the weekend."""
    if at.weekday() >= 5:
        return 0.0
    return 60.0 if 9 <= at.hour < 17 else 10.0


def past(load: Callable[[datetime], float], end: int, zone: str, hours: int = HISTORY_H) -> Floats:
    """float32[1, hours] of the hours before `end`."""
    return np.array([[load(local(end - 60 * h, zone)) for h in range(hours, 0, -1)]], np.float32)


def ahead(end: int, zone: str) -> list[datetime]:
    """Local times of the outlook's hours."""
    return [local(end + FIRST + 60 * h, zone) for h in range(OUTLOOK_HOURS)]


def test_an_hour_of_a_weekday_by_hand() -> None:
    outlook = weekday_outlook(history_of(past(office, END, "UTC")))
    noon_of = {at.weekday(): j for j, at in enumerate(ahead(END, "UTC")) if at.hour == 12}
    usual = 10 * 60 / 14  # ten workdays at 60 and four days of a weekend at 0
    workdays, weekend = (10 * 60 + usual) / 11, (4 * 0 + usual) / 5
    assert outlook.mean[0, noon_of[0]] == pytest.approx((2 * 60 + 4 * workdays) / 6, rel=1e-5)
    assert outlook.mean[0, noon_of[6]] == pytest.approx((2 * 0 + 4 * weekend) / 6, rel=1e-5)
    assert outlook.mean.shape == outlook.p50.shape == outlook.p90.shape == (1, OUTLOOK_HOURS)


def test_more_weeks_are_believed_more() -> None:
    found = [weekday_outlook(history_of(past(office, END, "UTC", days * 24))).mean[0] for days in (14, 28, 60)]
    sunday = next(j for j, at in enumerate(ahead(END, "UTC")) if at.weekday() == 6 and at.hour == 12)
    assert found[0][sunday] > found[1][sunday] > 0
    np.testing.assert_array_equal(found[1], found[2])  # 28 days are all that is looked at


@pytest.mark.parametrize(
    ("end", "zone"),
    [
        ("2026-10-23T00:00Z", "Europe/Berlin"),  # the clocks go back on Sunday 25
        ("2026-03-27T00:00Z", "Europe/Berlin"),  # and forward on Sunday 29
        ("2026-03-06T07:00Z", "America/New_York"),
        ("2026-03-10T12:00Z", "Asia/Kolkata"),
        ("2026-03-10T12:00Z", "Asia/Kathmandu"),
        ("2026-04-03T05:00Z", "Australia/Lord_Howe"),  # back by half an hour on Sunday 5
    ],
)
def test_local_hours_count_across_dst_changes_and_in_half_hour_zones(end: str, zone: str) -> None:
    minute = parse_iso(end)
    rng = np.random.default_rng(3)
    level = rng.uniform(0, 90, (7, 24))
    values = past(lambda at: level[at.weekday(), at.hour], minute, zone)
    values[0, rng.random(HISTORY_H) < 0.2] = math.nan
    mean = weekday_outlook(history_of(values, end=minute, timezones=[zone])).mean[0]
    times = [local(minute - 60 * h, zone) for h in range(HISTORY_H, 0, -1)]
    known = [(at, float(v)) for at, v in zip(times, values[0], strict=True) if not math.isnan(v)]
    for at, said in zip(ahead(minute, zone), mean, strict=True):
        same = [(t.weekday(), v) for t, v in known if t.hour == at.hour]
        kind = [v for day, v in same if (day >= 5) == (at.weekday() >= 5)]
        own = [v for day, v in same if day == at.weekday()]
        of_kind = (sum(kind) + PRIOR_KIND * np.mean([v for _, v in same])) / (len(kind) + PRIOR_KIND)
        assert said == pytest.approx((sum(own) + PRIOR_WEEKDAY * of_kind) / (len(own) + PRIOR_WEEKDAY), rel=1e-4)


def test_the_same_local_hour_is_another_utc_hour_after_the_change() -> None:
    end = parse_iso("2026-10-23T00:00Z")  # until Saturday nine o'clock is 07:00 UTC, from Sunday on 08:00
    outlook = weekday_outlook(history_of(past(office, end, "Europe/Berlin"), end=end, timezones=["Europe/Berlin"]))
    monday = 3 * 24 - HOURS
    busy = np.flatnonzero(outlook.mean[0, monday : monday + 24] > 40)
    assert busy.tolist() == list(range(8, 16))


def test_an_idle_vm_is_expected_at_exactly_zero_and_a_constant_one_where_it_is() -> None:
    outlook = weekday_outlook(history_of([[0.0] * HISTORY_H, [100.0] * HISTORY_H, [20.0] * HISTORY_H]))
    for row, level in enumerate([0.0, 100.0, 20.0]):
        np.testing.assert_allclose(outlook.mean[row], level, rtol=1e-5)
        np.testing.assert_allclose(outlook.p90[row], level, rtol=1e-5)


def test_under_24_known_hours_there_is_no_outlook_and_neighbours_are_not_disturbed() -> None:
    values = rhythm(4, HISTORY_H, seed=1)
    alone = weekday_outlook(history_of(values[3:]))
    values[0, : HISTORY_H - 23] = math.nan
    values[1, : HISTORY_H - 24] = math.nan
    values[2] = math.inf
    outlook = weekday_outlook(history_of(values))
    for part, part_alone in zip(outlook, alone, strict=True):
        assert np.isnan(part).all(axis=1).tolist() == [True, False, True, False]
        assert not np.isnan(part[[1, 3]]).any()
        np.testing.assert_allclose(part[3], part_alone[0], rtol=1e-4)


@pytest.mark.parametrize("hours", [40, 200, 336, 400, 672])
def test_bounds_hold_for_histories_of_every_length(hours: int) -> None:
    values = rhythm(50, hours, seed=hours)
    values[np.random.default_rng(hours).random(values.shape) < 0.1] = math.nan
    outlook = weekday_outlook(history_of(values))
    assert (outlook.p50 == outlook.mean).all()
    assert (outlook.p50 >= 0).all()
    assert (outlook.p50 <= outlook.p90).all()
    assert (outlook.p90 <= 100).all()


def test_nine_of_ten_hours_lie_under_the_p90() -> None:
    ahead_h = HOURS + OUTLOOK_HOURS
    values = rhythm(300, HISTORY_H + ahead_h, seed=5)
    outlook = weekday_outlook(history_of(values[:, :HISTORY_H], end=END - ahead_h * 60))
    assert 0.85 <= (values[:, HISTORY_H + HOURS :] <= outlook.p90).mean() <= 0.97


def test_a_profile_that_had_seen_two_days_is_no_measure_of_one_that_has_seen_sixteen() -> None:
    end = parse_iso("2026-03-09T00:00Z")  # a Monday: two weeks before, the longer one had seen a weekend
    outlook = [weekday_outlook(history_of(past(office, end, "UTC", days * 24), end=end)) for days in (14, 16)]
    margins = [float((one.p90 - one.p50).mean()) for one in outlook]
    assert margins[1] < margins[0] + 3
