"""What teachers see, by hand: lags, neighbours, ranks, calendar; nothing of the future; gaps stay gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.features import features
from models.forecast import HOURS, slice_history, take_vms
from models.hour_features import HOUR_FEATURES, SCALE_FREE, hour_features
from models.minutes import parse_iso
from tests.models.given import END, Floats, history_of, rhythm

NAN = np.nan


def column(X: Floats, name: str, vm: int = 0) -> Floats:
    """float32[HOURS]: one feature of one VM by lead."""
    found: Floats = X[vm, :, HOUR_FEATURES.index(name)]
    return found


def test_every_feature_has_a_name_of_its_own_and_a_column() -> None:
    assert len(set(HOUR_FEATURES)) == len(HOUR_FEATURES)
    X = hour_features(history_of(rhythm(3, 336, seed=1)))
    assert X.shape == (3, HOURS, len(HOUR_FEATURES))
    assert X.dtype == np.float32
    assert np.isfinite(X).all()


def test_the_future_does_not_reach_the_features() -> None:
    history = history_of(rhythm(4, 400, seed=2))
    other = replace(history, mean=np.roll(history.mean, 7, axis=1).copy())
    other.mean[:, :370] = history.mean[:, :370]
    assert not np.array_equal(other.mean, history.mean)
    before, after = (hour_features(slice_history(one, END - 30 * 60)) for one in (history, other))
    np.testing.assert_array_equal(before, after)


def test_lags_and_their_neighbours_are_of_the_right_hours() -> None:
    hours = np.arange(336, dtype=np.float32) / 4
    X = hour_features(history_of([hours]))
    lead = np.arange(HOURS)
    assert column(X, "lead_h").tolist() == lead.tolist()
    assert column(X, "ago_1d_pct").tolist() == [*hours[-24:], *hours[-24:-22]]
    assert column(X, "ago_2d_pct").tolist() == [*hours[-48:-24], *hours[-48:-46]]
    assert column(X, "ago_7d_pct").tolist() == hours[336 - 168 + lead].tolist()
    assert column(X, "near_7d_pct") == pytest.approx(hours[336 - 168 + lead])
    # Two of the five have not come yet: the last one stands for them.
    assert column(X, "near_1d_pct")[23] == pytest.approx((hours[-3] + hours[-2] + 3 * hours[-1]) / 5)
    assert column(X, "last_1h_pct").tolist() == [hours[-1]] * HOURS
    assert column(X, "last_2h_pct").tolist() == [hours[-2]] * HOURS
    assert column(X, "last_3h_mean_pct") == pytest.approx(np.full(HOURS, hours[-2]))
    assert column(X, "last_1d_mean_pct") == pytest.approx(np.full(HOURS, hours[-24:].mean()))
    assert column(X, "week_mean_pct")[0] == pytest.approx(hours[168::24].mean())
    assert column(X, "week_std_pct")[0] == pytest.approx(hours[168::24].std(), rel=1e-4)


def test_the_profile_around_the_hour_goes_round_the_clock() -> None:
    X = hour_features(history_of([np.tile(np.arange(24), 14)]))
    for name, hours in {"2h_before": -2, "1h_before": -1, "1h_after": 1, "2h_after": 2}.items():
        assert column(X, f"profile_{name}_pct") == pytest.approx((np.arange(HOURS) + hours) % 24, abs=1e-4)
    assert column(X, "profile_rank") == pytest.approx(np.r_[np.arange(24), 0, 1] / 23)
    assert column(X, "after_best_h").tolist() == [*range(24), 0, 1]


def test_floor_level_and_spread_are_those_of_the_features() -> None:
    history = history_of(rhythm(4, 336, seed=3))
    X, seen = hour_features(history), features(history)
    for vm in range(4):
        np.testing.assert_allclose(column(X, "floor_pct", vm), seen.floor[vm], rtol=1e-4)
        assert column(X, "level_pct", vm)[0] == pytest.approx(seen.level[vm], rel=1e-5)
        assert column(X, "spread_pct", vm)[0] == pytest.approx(seen.spread[vm], rel=1e-4)


def test_levels_come_in_spreads_too() -> None:
    X = hour_features(history_of(rhythm(1, 336, seed=3)))
    level, spread = column(X, "level_pct"), column(X, "spread_pct")
    for name in ("floor", "ago_1d", "last_6h_mean"):
        np.testing.assert_allclose(
            column(X, f"{name}_spreads"), (column(X, f"{name}_pct") - level) / spread, rtol=1e-4, atol=1e-5
        )


def test_what_is_free_of_scale_holds_no_percent_but_the_level() -> None:
    names = [HOUR_FEATURES[k] for k in SCALE_FREE]
    assert [name for name in names if name.endswith("_pct")] == ["level_pct"]
    assert len(names) == len(set(names)) > 20


def test_the_hour_and_weekday_are_the_target_hours_own_in_the_vms_timezone() -> None:
    X = hour_features(history_of(np.ones((3, 48)), timezones=("UTC", "Asia/Kathmandu", "America/St_Johns")))
    assert column(X, "local_hour_h")[[0, 23, 24]].tolist() == [0, 23, 0]
    assert column(X, "local_weekday")[[0, 23, 24]].tolist() == [4, 4, 5]  # Friday, then Saturday
    assert column(X, "local_hour_h", vm=1)[0] == 5.75  # +05:45
    assert column(X, "local_hour_h", vm=2)[0] == 21.5  # -02:30 in summer
    assert column(X, "local_weekday", vm=2)[[0, 3]].tolist() == [3, 4]


def test_the_local_hour_follows_summer_time_within_the_forecast() -> None:
    eve = parse_iso("2024-03-30T12:00Z")  # from 01:00Z on the 31st Berlin is at +02:00
    X = hour_features(history_of(np.ones((1, 48)), end=eve, timezones=("Europe/Berlin",)))
    assert column(X, "local_hour_h")[[0, 12, 13]].tolist() == [13, 1, 3]


def test_a_gap_stays_a_gap_and_the_rest_of_the_row_is_known() -> None:
    mean = rhythm(1, 336, seed=3)
    mean[0, -24 + 5] = NAN
    X = hour_features(history_of(mean))
    assert np.flatnonzero(np.isnan(column(X, "ago_1d_pct"))).tolist() == [5]
    assert np.isnan(column(X, "ago_1d_rank")[5])
    assert np.isfinite(column(X, "floor_pct")).all()
    assert column(X, "known_share")[0] == pytest.approx(335 / 336)


def test_a_vm_at_zero_is_known_and_one_never_seen_is_not() -> None:
    X = hour_features(history_of(np.stack([np.zeros(336), np.full(336, NAN)])))
    assert column(X, "floor_pct").tolist() == [0] * HOURS
    assert (column(X, "spread_pct") > 0).all()
    assert np.isfinite(X[0]).all()
    assert np.isnan(column(X, "floor_pct", vm=1)).all()
    assert column(X, "known_share", vm=1).tolist() == [0] * HOURS


def test_a_vms_rows_do_not_depend_on_its_neighbours() -> None:
    history = history_of(rhythm(5, 336, seed=5), timezones=("UTC", "Asia/Tokyo", "UTC", "Asia/Kolkata", "UTC"))
    whole = hour_features(history)
    np.testing.assert_array_equal(hour_features(take_vms(history, np.array([3, 1]))), whole[[3, 1]])


def test_loads_over_a_hundred_count_as_a_hundred() -> None:
    over, full = np.full((1, 336), 182.0), np.full((1, 336), 100.0)
    np.testing.assert_array_equal(hour_features(history_of(over)), hour_features(history_of(full)))
