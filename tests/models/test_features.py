"""Features by hand; nothing of the future; gaps, idle VMs, hosts and time zones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import models.features
from models.baseline import HourOfDay
from models.features import DAYS, FEATURES, Seen, features
from models.forecast import HOURS, slice_history, take_vms
from models.minutes import parse_iso
from tests.models.given import END, Floats, history_of, rhythm

NAN = np.nan
DAILY = np.tile(np.arange(24), 14)


def value(seen: Seen, name: str, vm: int = 0) -> float:
    return float(seen.X[vm, FEATURES.index(name)])


def by_lead(seen: Seen, name: str, vm: int = 0) -> Floats:
    """float32[24]: one of DAYS of one VM, by lead."""
    assert name in DAYS
    return np.array([value(seen, f"{name}_{lead:02}h_spreads", vm) for lead in range(24)], np.float32)


def percent(seen: Seen, name: str, vm: int = 0) -> Floats:
    """The same as a load."""
    return np.asarray(by_lead(seen, name, vm) * seen.spread[vm] + seen.level[vm])


def wave(period_h: int, amplitude: float = 20.0) -> Floats:
    return np.asarray(50 + amplitude * np.sin(2 * np.pi * np.arange(336) / period_h), dtype=np.float32)


def test_every_feature_has_a_name_of_its_own_and_a_column() -> None:
    assert len(set(FEATURES)) == len(FEATURES)
    seen = features(replace(history_of(rhythm(3, 336, seed=1)), host=np.zeros(3, np.int32)))
    assert seen.X.shape == (3, len(FEATURES))
    assert seen.floor.shape == (3, HOURS)
    assert all(part.dtype == np.float32 and np.isfinite(part).all() for part in seen)


def test_level_and_spread_by_hand() -> None:
    seen = features(history_of([DAILY]))
    assert seen.level[0] == pytest.approx(11.5)
    assert seen.spread[0] == pytest.approx(11.5 - 0 + 0.02 * 11.5 + 0.1)
    assert by_lead(seen, "profile") == pytest.approx((np.arange(24) - 11.5) / 11.83, abs=1e-5)
    assert value(seen, "quietest_h") == 0
    assert value(seen, "level_log") == pytest.approx(np.log(11.6), abs=1e-5)
    assert value(seen, "spread_log") == pytest.approx(np.log(11.83), abs=1e-5)


def test_the_floor_is_what_the_hour_of_day_forecasts() -> None:
    mean = rhythm(8, 400, seed=6)
    mean[1, np.random.default_rng(6).random(400) < 0.3] = NAN
    mean[2, :-50], mean[3] = NAN, 0.0
    history = history_of(mean)
    said = HourOfDay().predict(history).mean
    np.testing.assert_allclose(np.clip(features(history).floor, 0, 100), said, rtol=1e-4, atol=1e-4)


def test_the_future_does_not_reach_the_features() -> None:
    history = history_of(rhythm(4, 400, seed=2))
    other = replace(history, mean=np.roll(history.mean, 7, axis=1).copy(), count=np.roll(history.count, 7, axis=1))
    other.mean[:, :370], other.count[:, :370] = history.mean[:, :370], history.count[:, :370]
    assert not np.array_equal(other.mean, history.mean)
    origin = END - 30 * 60
    for before, after in zip(*(features(slice_history(one, origin)) for one in (history, other)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_days_are_of_the_right_hours() -> None:
    hours = np.arange(336, dtype=np.float32) / 40  # a level of few spreads, so that nothing is cut at 20
    seen = features(history_of([hours]))
    assert percent(seen, "last_day") == pytest.approx(hours[-24:], abs=1e-3)
    assert percent(seen, "day_before") == pytest.approx(hours[-48:-24], abs=1e-3)
    assert percent(seen, "week_ago") == pytest.approx(hours[168:192], abs=1e-3)
    assert percent(seen, "week_mean")[3] == pytest.approx(hours[171::24].mean(), abs=1e-3)
    assert by_lead(seen, "week_std")[3] * seen.spread[0] == pytest.approx(hours[171::24].std(), abs=1e-3)


def test_the_last_hours_are_in_spreads_over_the_level() -> None:
    mean = DAILY.astype(np.float32)
    mean[-3:] = [4, 8, 15]
    seen = features(history_of([mean]))

    def near(name: str) -> float:
        return value(seen, name) * float(seen.spread[0]) + float(seen.level[0])

    assert near("last_1h_spreads") == pytest.approx(15, abs=1e-4)
    assert near("last_2h_spreads") == pytest.approx(8, abs=1e-4)
    assert near("last_3h_spreads") == pytest.approx(9, abs=1e-4)
    assert near("last_6h_spreads") == pytest.approx((18 + 19 + 20 + 4 + 8 + 15) / 6, abs=1e-4)
    assert near("last_1d_spreads") == pytest.approx(mean[-24:].mean(), abs=1e-4)
    assert near("low_spreads") == pytest.approx(0, abs=1e-4)
    assert near("high_spreads") == pytest.approx(23, abs=1e-4)


def test_the_trend_is_the_last_week_over_the_one_before() -> None:
    seen = features(history_of([DAILY + np.repeat([0.0, 10.0], 168)]))
    assert value(seen, "trend_spreads") * seen.spread[0] == pytest.approx(10.0, abs=1e-3)
    assert value(seen, "variation") == pytest.approx(np.arange(24).std() / (seen.level[0] + 0.1), rel=1e-4)


def test_what_repeats_each_day_is_seen_as_daily() -> None:
    seen = features(history_of([wave(24), wave(12), wave(168), np.full(336, 30.0)]))
    assert value(seen, "same_1d") == pytest.approx(312 / 336, abs=1e-3)  # over 312 of 336 hours
    assert value(seen, "same_7d") == pytest.approx(168 / 336, abs=1e-3)
    assert value(seen, "same_1h") == pytest.approx(np.cos(2 * np.pi / 24) * 335 / 336, abs=5e-3)
    assert (value(seen, "daily_power"), value(seen, "half_daily_power")) == pytest.approx((1, 0), abs=1e-3)
    assert (value(seen, "daily_power", 1), value(seen, "half_daily_power", 1)) == pytest.approx((0, 1), abs=1e-3)
    assert value(seen, "daily_power", 2) == pytest.approx(0, abs=1e-3)
    assert value(seen, "same_7d", 2) == pytest.approx(168 / 336, abs=1e-3)
    assert [value(seen, name, 3) for name in ("same_1d", "same_7d", "daily_power")] == [0, 0, 0]


def test_hours_over_the_profile_by_more_than_usual_are_counted() -> None:
    mean = np.full(336, 10.0, np.float32)
    mean[-6:] = 40.0  # six of the last day's hours, six of the week's 168
    seen = features(history_of([mean]))
    assert value(seen, "over_1d_share") == pytest.approx(6 / 24)
    assert value(seen, "over_7d_share") == pytest.approx(6 / 168)


def test_the_hosts_column_is_the_mean_over_its_vms() -> None:
    history = history_of(rhythm(5, 336, seed=7))
    seen = features(replace(history, host=np.array([4, 0, 4, -1, 4], np.int32)))
    own = [value(seen, "last_3h_spreads", vm) for vm in range(5)]
    mean = (own[0] + own[2] + own[4]) / 3
    assert [value(seen, "host_spreads", vm) for vm in (0, 2, 4)] == pytest.approx([mean] * 3, abs=1e-6)
    assert value(seen, "host_spreads", 1) == own[1]
    assert np.isnan(value(seen, "host_spreads", 3))


def test_a_neighbour_on_the_host_that_says_nothing_does_not_count() -> None:
    mean = rhythm(2, 336, seed=7)
    mean[1] = NAN
    seen = features(replace(history_of(mean), host=np.zeros(2, np.int32)))
    assert value(seen, "host_spreads") == value(seen, "last_3h_spreads")
    assert np.isnan(value(seen, "host_spreads", 1))


def test_the_hour_and_weekday_are_of_the_first_hour_to_come_in_the_vms_timezone() -> None:
    seen = features(history_of(np.ones((3, 48)), timezones=("UTC", "Asia/Kathmandu", "America/St_Johns")))
    assert [value(seen, "local_hour_h", vm) for vm in range(3)] == [0, 5.75, 21.5]  # +05:45, -02:30 in summer
    assert [value(seen, "local_weekday", vm) for vm in range(3)] == [4, 4, 3]  # Friday, there still Thursday


@pytest.mark.parametrize(("end", "hour"), [("2024-03-31T00:00Z", 1.0), ("2024-03-31T01:00Z", 3.0)])
def test_the_local_hour_follows_summer_time(end: str, hour: float) -> None:
    seen = features(history_of(np.ones((1, 48)), end=parse_iso(end), timezones=("Europe/Berlin",)))
    assert value(seen, "local_hour_h") == hour


def test_what_the_counts_and_the_inventory_say() -> None:
    mean = np.full((2, 336), 5.0)
    mean[1, :-84] = NAN
    history = replace(
        history_of(mean),
        interval_min=np.array([1, 5], np.uint8),
        count=np.where(np.isnan(mean), 0, [[60], [12]]).astype(np.uint8),
        created_at=np.array([END - 600 * 60, END - 84 * 60], np.int64),
        vcpus=np.array([NAN, 8], np.float32),
        scale=np.repeat(np.array([[0.0], [2.0]], np.float32), 24, axis=1),
    )
    seen = features(history)
    assert [value(seen, "data_coverage_7d", vm) for vm in (0, 1)] == [1.0, 0.5]
    assert [value(seen, "known_share", vm) for vm in (0, 1)] == [1.0, 0.25]
    assert [value(seen, "age_h", vm) for vm in (0, 1)] == [600, 84]
    assert np.isnan(value(seen, "vcpus"))
    assert value(seen, "vcpus", 1) == 8
    assert value(seen, "inside_spreads") == 0
    assert value(seen, "inside_spreads", 1) == pytest.approx(2.0 / seen.spread[1])


def test_relative_features_are_free_of_scale() -> None:
    mean = rhythm(1, 336, seed=4) / 4 + 5
    seen = features(history_of(np.concatenate([mean, 2 * mean])))
    for k, name in enumerate(FEATURES):
        if name.endswith("_spreads") and name != "host_spreads":
            assert seen.X[0, k] == pytest.approx(seen.X[1, k], rel=0.1, abs=0.05), name


def test_a_rows_taken_is_the_row() -> None:
    seen = features(history_of(rhythm(5, 336, seed=5)))
    for part, taken in zip(seen, seen.take(np.array([3, 1])), strict=True):
        np.testing.assert_array_equal(taken, part[[3, 1]])


def test_a_vms_features_do_not_depend_on_its_place_or_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    mean = rhythm(15, 336, seed=5)
    mean[3, 5::24], mean[4, -30:] = NAN, NAN
    history = history_of(mean, timezones=("UTC", "Asia/Tokyo", "Asia/Kolkata") * 5)
    whole = features(history)
    monkeypatch.setattr(models.features, "CHUNK_VMS", 7)  # 15 = 7 + 7 + 1, if no heed were taken
    for rows in (np.arange(15), np.arange(14, -1, -1), np.array([3, 1]), np.array([3]), np.array([14])):
        for part, taken in zip(whole, features(take_vms(history, rows)), strict=True):
            np.testing.assert_array_equal(taken, part[rows])


def test_no_vm_is_no_error() -> None:
    assert features(history_of(np.empty((0, 336)))).X.shape == (0, len(FEATURES))


def test_doubles_are_read_as_the_floats_next_to_them() -> None:
    history = history_of(rhythm(4, 336, seed=9))
    doubles: Any = history.mean.astype(np.float64) * (1 + 1e-12)
    double = replace(history, mean=doubles)
    for part, other in zip(features(history), features(double), strict=True):
        assert other.dtype == np.float32
        np.testing.assert_array_equal(other, part)
