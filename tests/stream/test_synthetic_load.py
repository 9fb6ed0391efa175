from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models.minutes import DAY_MIN, HOUR_MIN, Span
from stream.synthetic_fleet import ZONES, Fleet, make_fleet
from stream.synthetic_load import HIGHEST_PCT, day_load

NOW = 29_552_400
FRIDAY = (NOW - 4 * DAY_MIN) // DAY_MIN  # 6 March 2026, before New York's change
SUNDAY = (NOW - 2 * DAY_MIN) // DAY_MIN  # 8 March: the day of the change
MONDAY = (NOW - DAY_MIN) // DAY_MIN


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return make_fleet(400, 7, Span(NOW - 16 * DAY_MIN, NOW))


def minutes_from(day: int, days: int) -> range:
    return range(day * DAY_MIN, (day + days) * DAY_MIN)


def of_kind(fleet: Fleet, *kinds: str) -> list[int]:
    return [vm for vm, kind in enumerate(fleet.kinds) if kind in kinds]


def test_an_idle_vm_is_exactly_zero_and_never_minus_zero(fleet: Fleet) -> None:
    values = day_load(fleet.load, 7, MONDAY)[:, of_kind(fleet, "idle")]
    assert values.shape == (DAY_MIN, 28)
    assert np.all(values == 0.0)
    assert not np.any(np.signbit(values))


def test_values_are_float32_from_zero_to_the_cap_and_some_are_above_100(fleet: Fleet) -> None:
    days = np.concatenate([day_load(fleet.load, 7, FRIDAY + day) for day in range(4)])
    assert days.dtype == np.float32
    assert np.nanmin(days) == 0.0
    assert 100 < np.nanmax(days) <= HIGHEST_PCT
    assert np.nanmean(days > 100) < 0.001


def test_a_busy_vm_stays_above_80(fleet: Fleet) -> None:
    assert day_load(fleet.load, 7, MONDAY)[:, of_kind(fleet, "busy")].min() > 80


@pytest.mark.parametrize("day", [FRIDAY, SUNDAY, MONDAY])
@pytest.mark.parametrize("zone", range(5))
def test_a_diurnal_vm_peaks_at_its_local_hour_before_on_and_after_the_day_of_the_dst_change(
    fleet: Fleet, day: int, zone: int
) -> None:
    still = fleet.load._replace(noise=np.zeros_like(fleet.load.noise))
    values = np.concatenate([day_load(still, 7, day + beside) for beside in (-1, 0, 1)])
    local = [datetime.fromtimestamp(minute * 60, ZoneInfo(ZONES[zone])) for minute in minutes_from(day - 1, 3)]
    that_day = [at.date() == datetime.fromtimestamp(day * DAY_MIN * 60, UTC).date() for at in local]
    minute_of_day = np.array([at.hour * HOUR_MIN + at.minute for at in local])[that_day]
    expected_min = fleet.load.shape.argmax(axis=0) * 15
    office = [
        vm for vm in of_kind(fleet, "diurnal") if fleet.load.zone[vm] == zone and expected_min[vm] < 17 * HOUR_MIN
    ]
    assert len(office) > 5
    for vm in office:
        assert abs(minute_of_day[values[that_day, vm].argmax()] - expected_min[vm]) <= 15


def test_weekends_are_quieter_for_diurnal_vms(fleet: Fleet) -> None:
    vms = of_kind(fleet, "diurnal")
    sunday = day_load(fleet.load, 7, SUNDAY)[:, vms].mean()
    assert sunday < 0.85 * day_load(fleet.load, 7, MONDAY)[:, vms].mean()


def test_a_weekly_vm_has_one_or_two_busy_weekdays(fleet: Fleet) -> None:
    vms = of_kind(fleet, "weekly")
    busy = (fleet.load.weekday[:, vms] == 1.0).sum(axis=0)
    assert set(busy) == {1, 2}
    assert not np.any(fleet.load.weekday[5:, vms] == 1.0)


def test_a_cron_vm_spikes_in_the_first_minutes_of_each_hour(fleet: Fleet) -> None:
    values = day_load(fleet.load, 7, MONDAY)[:, of_kind(fleet, "cron")].reshape(24, HOUR_MIN, -1)
    spiking, rest = values[:, :3].mean(axis=1), values[:, 6:].mean(axis=1)
    assert np.mean(spiking > rest + 10) > 0.95


def test_a_nightly_batch_runs_at_its_local_hour(fleet: Fleet) -> None:
    load = fleet.load._replace(spike=np.where(fleet.load.spike > 0, 1e-3, 0).astype(np.float32))
    values = day_load(load, 7, MONDAY)
    for vm in of_kind(fleet, "cron"):
        zone = ZoneInfo(ZONES[load.zone[vm]])
        moments = [datetime.fromtimestamp(minute * 60, zone) for minute in minutes_from(MONDAY, 1)]
        local = np.array([moment.hour * HOUR_MIN + moment.minute for moment in moments])
        start = load.batch_start_min[vm]
        running = (local >= start) & (local < start + load.batch_len_min[vm])
        assert running.sum() == load.batch_len_min[vm]
        assert values[running, vm].mean() > values[~running, vm].mean() + 15


def test_a_drifting_vm_moves_its_level_over_days(fleet: Fleet) -> None:
    vms = of_kind(fleet, "drift")
    means = np.array([day_load(fleet.load, 7, FRIDAY - 8 + day)[:, vms].mean(axis=0) for day in range(12)])
    assert np.all(np.ptp(means, axis=0) > 15)


def test_bursts_come_at_other_times_each_day(fleet: Fleet) -> None:
    vms = of_kind(fleet, "bursty")
    days = [day_load(fleet.load, 7, day)[:, vms].reshape(24, HOUR_MIN, -1).mean(axis=1) for day in (MONDAY, MONDAY + 1)]
    alike = [np.corrcoef(days[0][:, i], days[1][:, i])[0, 1] for i in range(len(vms))]
    assert abs(float(np.mean(alike))) < 0.2


def test_gappy_vms_lose_minutes_and_hours_and_sparse_ones_nearly_all(fleet: Fleet) -> None:
    values = np.concatenate([day_load(fleet.load, 7, FRIDAY + day) for day in range(4)])
    lost = np.isnan(values).reshape(4 * 24, HOUR_MIN, -1)
    gappy, sparse = lost[:, :, of_kind(fleet, "gappy")], lost[:, :, of_kind(fleet, "sparse")]
    assert 0.05 < gappy.mean() < 0.15
    assert np.any(gappy.all(axis=1))
    assert sparse.mean() > 0.9
    whole = of_kind(fleet, "diurnal", "weekly", "cron", "drift", "bursty", "idle", "busy", "moved", "resized")
    assert not np.any(lost[:, :, whole])


def test_midnight_shows_no_seam(fleet: Fleet) -> None:
    load = fleet.load._replace(lost_hours=np.zeros_like(fleet.load.noise), lost_minutes=np.zeros_like(fleet.load.noise))
    today, tomorrow = (day_load(load, 7, day) for day in (MONDAY, MONDAY + 1))
    vms = of_kind(fleet, "diurnal", "drift")
    at_midnight = np.abs(tomorrow[0, vms] - today[-1, vms])
    within = np.abs(np.diff(today[:, vms], axis=0)).mean(axis=0)
    assert at_midnight.mean() < 2 * within.mean()


def test_a_resize_multiplies_the_percent_from_its_minute_on(fleet: Fleet) -> None:
    load = fleet.load
    vm = of_kind(fleet, "resized")[0]
    at = int(load.resized_at[vm])
    values = day_load(load, 7, at // DAY_MIN)[:, vm]
    same = day_load(load._replace(resize_factor=np.ones_like(load.resize_factor)), 7, at // DAY_MIN)[:, vm]
    cut = at % DAY_MIN
    np.testing.assert_array_equal(values[:cut], same[:cut])
    np.testing.assert_array_equal(values[cut:], same[cut:] * load.resize_factor[vm])
