"""Features by hand; nothing of the future; gaps, idle VMs and time zones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.features import FEATURES, features
from models.forecast import HOURS, slice_history, take_vms
from models.minutes import parse_iso
from tests.models.given import END, Floats, history_of, rhythm

NAN = np.nan


def column(X: Floats, name: str, vm: int = 0) -> Floats:
    """float32[HOURS]: one feature of one VM by lead."""
    found: Floats = X.reshape(-1, HOURS, len(FEATURES))[vm, :, FEATURES.index(name)]
    return found


def test_every_feature_has_a_name_of_its_own_and_a_column() -> None:
    assert len(set(FEATURES)) == len(FEATURES)
    X = features(history_of(rhythm(3, 336, seed=1)))
    assert X.shape == (3 * HOURS, len(FEATURES))
    assert X.dtype == np.float32
    assert np.isfinite(X).all()


def test_the_future_does_not_reach_the_features() -> None:
    history = history_of(rhythm(4, 400, seed=2))
    other = replace(history, mean=np.roll(history.mean, 7, axis=1).copy())
    other.mean[:, :370] = history.mean[:, :370]
    assert not np.array_equal(other.mean, history.mean)
    origin = END - 30 * 60
    np.testing.assert_array_equal(features(slice_history(history, origin)), features(slice_history(other, origin)))


def test_lags_and_their_neighbours_are_of_the_right_hours() -> None:
    hours = np.arange(336, dtype=np.float32) / 4
    X = features(history_of([hours]))
    lead = np.arange(HOURS)
    assert column(X, "ago_1d_pct").tolist() == [*hours[-24:], *hours[-24:-22]]
    assert column(X, "ago_2d_pct").tolist() == [*hours[-48:-24], *hours[-48:-46]]
    assert column(X, "ago_7d_pct").tolist() == hours[336 - 168 + lead].tolist()
    assert column(X, "near_7d_pct") == pytest.approx(hours[336 - 168 + lead])
    assert column(X, "last_1h_pct").tolist() == [hours[-1]] * HOURS
    assert column(X, "last_2h_pct").tolist() == [hours[-2]] * HOURS
    assert column(X, "last_3h_mean_pct") == pytest.approx(np.full(HOURS, hours[-2]))
    assert column(X, "last_1d_mean_pct") == pytest.approx(np.full(HOURS, hours[-24:].mean()))
    assert column(X, "week_mean_pct")[0] == pytest.approx(hours[168::24].mean())
    assert column(X, "week_std_pct")[0] == pytest.approx(hours[168::24].std(), rel=1e-4)


def test_ranks_run_from_the_quietest_to_the_busiest_hour_of_the_day() -> None:
    X = features(history_of([np.tile(np.arange(24), 14)]))
    assert column(X, "profile_rank") == pytest.approx(np.r_[np.arange(24), 0, 1] / 23)
    assert column(X, "after_best_h").tolist() == [*range(24), 0, 1]


def test_the_hour_and_weekday_are_the_target_hours_own_in_the_vms_timezone() -> None:
    X = features(history_of(np.ones((3, 48)), timezones=("UTC", "Asia/Kathmandu", "America/St_Johns")))
    assert column(X, "local_hour_h")[[0, 23, 24]].tolist() == [0, 23, 0]
    assert column(X, "local_weekday")[[0, 23, 24]].tolist() == [4, 4, 5]  # Friday, then Saturday
    assert column(X, "local_hour_h", vm=1)[0] == 5.75  # +05:45
    assert column(X, "local_hour_h", vm=2)[0] == 21.5  # -02:30 in summer
    assert column(X, "local_weekday", vm=2)[[0, 3]].tolist() == [3, 4]
    assert column(X, "lead_h").tolist() == list(range(HOURS))


def test_the_local_hour_follows_summer_time_within_the_forecast() -> None:
    eve = parse_iso("2024-03-30T12:00Z")  # from 01:00Z on the 31st Berlin is at +02:00
    X = features(history_of(np.ones((1, 48)), end=eve, timezones=("Europe/Berlin",)))
    assert column(X, "local_hour_h")[[0, 12, 13]].tolist() == [13, 1, 3]


def test_a_gap_stays_a_gap_and_the_rest_of_the_row_is_known() -> None:
    mean = rhythm(1, 336, seed=3)
    mean[0, -24 + 5] = NAN
    X = features(history_of(mean))
    assert np.flatnonzero(np.isnan(column(X, "ago_1d_pct"))).tolist() == [5]
    assert np.isnan(column(X, "ago_1d_rank")[5])
    assert np.isfinite(column(X, "floor_pct")).all()
    assert column(X, "known_share")[0] == pytest.approx(335 / 336)


def test_a_vm_at_zero_is_known_and_one_never_seen_is_not() -> None:
    X = features(history_of(np.stack([np.zeros(336), np.full(336, NAN)])))
    assert column(X, "floor_pct").tolist() == [0] * HOURS
    assert (column(X, "spread_pct") > 0).all()
    assert np.isfinite(X[:HOURS]).all()
    assert np.isnan(column(X, "floor_pct", vm=1)).all()
    assert column(X, "known_share", vm=1).tolist() == [0] * HOURS


def test_relative_features_are_free_of_scale() -> None:
    mean = rhythm(1, 336, seed=4) / 4
    X = features(history_of(np.concatenate([mean, 2 * mean])))
    for name in FEATURES:
        if name.endswith("_rank"):
            np.testing.assert_array_equal(column(X, name), column(X, name, vm=1))
        elif name.endswith("_spreads"):
            np.testing.assert_allclose(column(X, name), column(X, name, vm=1), rtol=0.1, atol=0.05)


def test_a_vms_features_do_not_depend_on_its_neighbours() -> None:
    history = history_of(rhythm(5, 336, seed=5), timezones=("UTC", "Asia/Tokyo", "UTC", "Asia/Kolkata", "UTC"))
    whole = features(history).reshape(5, HOURS, -1)
    np.testing.assert_array_equal(features(take_vms(history, np.array([3, 1]))), whole[[3, 1]].reshape(2 * HOURS, -1))


def test_loads_over_a_hundred_count_as_a_hundred() -> None:
    over, full = np.full((1, 336), 182.0), np.full((1, 336), 100.0)
    np.testing.assert_array_equal(features(history_of(over)), features(history_of(full)))
