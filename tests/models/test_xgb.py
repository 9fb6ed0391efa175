"""The champion: ordered, bounded, calibrated, the same whatever the fleet's order, and after a trip through bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import models.xgb
from models.conformal import CELLS
from models.errors import SetError
from models.features import features
from models.forecast import HOURS, Prediction, Rung, take_vms
from models.manifest import check_golden
from models.score import interval_coverage
from models.xgb import WIDENING_FILE, calibrate, from_files, golden_of, golden_words, to_files
from models.xgb_student import TABLE_FILE, TREES_FILE
from tests.models.given import END, Floats, history_of
from tests.models.taught import LATE, TRUTH, forecaster


def assert_bounded(said: Prediction) -> None:
    for values in (said.mean, said.p50, said.p90):
        assert ((values >= 0) & (values <= 100)).all()
    assert (said.p50 <= said.p90).all()
    assert np.isfinite(said.rank).all()


def test_a_prediction_is_whole_ordered_and_within_0_and_100() -> None:
    said = forecaster().predict(LATE)
    assert [values.shape for values in said] == [(60, HOURS)] * 4
    assert {values.dtype.name for values in said} == {"float32"}
    assert_bounded(said)
    assert forecaster().rung == Rung.CHAMPION


loads = arrays(
    np.float32,
    (3, 60),
    elements=st.one_of(st.floats(0, 100, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 1e9])),
    fill=st.sampled_from([np.float32(0), np.float32(30), np.float32(100)]),
)
widenings = arrays(np.float32, CELLS, elements=st.floats(-5, 5, width=32))


@settings(max_examples=60)
@given(loads, widenings)
def test_p50_stays_under_p90_and_both_within_0_and_100_whatever_came(mean: Floats, widening: Floats) -> None:
    mean[:, -1] = 50.0  # something is known of each
    assert_bounded(replace(forecaster(), widening=widening).predict(history_of(mean)))


def test_a_vm_never_seen_gets_nothing_and_its_neighbours_the_same_as_without_it() -> None:
    mean = LATE.mean[:3].copy()
    whole = forecaster().predict(history_of(mean, end=LATE.end))
    mean[1] = np.nan
    said = forecaster().predict(history_of(mean, end=LATE.end))
    for values, before in zip(said, whole, strict=True):
        assert np.isnan(values[1]).all()
        np.testing.assert_array_equal(values[[0, 2]], before[[0, 2]])


def test_neither_the_fleets_order_nor_batches_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = forecaster().predict(LATE)
    monkeypatch.setattr(models.xgb, "BATCH_VMS", 7)
    for rows in (np.arange(60), np.arange(59, -1, -1), np.array([31])):
        said = forecaster().predict(take_vms(LATE, rows))
        for values, before in zip(said, whole, strict=True):
            np.testing.assert_array_equal(values, before[rows])


def test_no_vm_is_no_error() -> None:
    assert forecaster().predict(history_of(np.empty((0, 336)))).mean.shape == (0, HOURS)


def test_doubles_are_read_as_the_floats_next_to_them() -> None:
    doubles: Any = LATE.mean.astype(np.float64)
    for values, before in zip(
        forecaster().predict(replace(LATE, mean=doubles)), forecaster().predict(LATE), strict=True
    ):
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, before)


def test_what_lies_outside_of_0_and_100_is_cut_and_counted() -> None:
    seen, champion = features(LATE), forecaster()
    champion.predict_seen(seen._replace(floor=np.full_like(seen.floor, 50.0), spread=np.full_like(seen.spread, 0.1)))
    assert champion.clipped == 0
    said = champion.predict_seen(seen._replace(floor=np.full_like(seen.floor, 5000.0)))
    assert (said.mean == 100).all()
    assert champion.clipped == 3 * 60 * HOURS
    floor = np.full_like(seen.floor, -5000.0)
    floor[:10] = np.nan  # what is not known is not cut
    assert (champion.predict_seen(seen._replace(floor=floor)).p50[10:] == 0).all()
    assert champion.clipped == 3 * (60 + 50) * HOURS


def test_where_nothing_moves_the_order_is_the_means() -> None:
    said = forecaster().predict(history_of(np.concatenate([np.full((1, 336), 30.0), LATE.mean[:1, -336:]])))
    np.testing.assert_array_equal(said.rank[0], said.mean[0])
    assert not np.array_equal(said.rank[1], said.mean[1])


def test_calibration_moves_the_bound_alone_and_covers_what_it_was_shown() -> None:
    seen = features(LATE)
    before = forecaster().predict_seen(seen)
    after = calibrate(forecaster(), seen, TRUTH).predict_seen(seen)
    for name in ("mean", "p50", "rank"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert interval_coverage(after.p90, TRUTH) == pytest.approx(0.9, abs=0.02)


def test_calibrating_again_does_not_add_up() -> None:
    seen = features(LATE)
    once = calibrate(forecaster(), seen, TRUTH)
    np.testing.assert_array_equal(calibrate(once, seen, TRUTH).widening, once.widening)


def test_golden_rows_are_predicted_again_from_the_files() -> None:
    champion, seen = forecaster(), features(LATE)
    golden = golden_of(champion, seen, 16)
    assert golden.rows.shape[0] == 16
    back = from_files(to_files(champion), "set-7", threads=1)
    check_golden(golden, golden_words(back, golden.rows))
    with pytest.raises(SetError, match="golden row"):
        check_golden(golden, golden_words(back, golden.rows + np.float32(3)))
    assert len(golden_of(champion, seen.take(slice(0, 5)), 16).rows) == 5


def test_a_forecaster_comes_back_from_its_files() -> None:
    calibrated = calibrate(forecaster(), features(LATE), TRUTH)
    back = from_files(to_files(calibrated), "set-7", threads=1)
    assert back.name == "set-7"
    for values, before in zip(back.predict(LATE), calibrated.predict(LATE), strict=True):
        np.testing.assert_array_equal(values, before)
    assert to_files(back) == to_files(calibrated)


def altered(files: Mapping[str, bytes], name: str, data: bytes | None) -> dict[str, bytes]:
    return {key: value for key, value in {**files, name: data}.items() if value is not None}


@pytest.mark.parametrize("name", [TREES_FILE, TABLE_FILE, WIDENING_FILE])
@pytest.mark.parametrize("data", [None, b"", b"{}", b"[1, 2]", b"{L", b"\xff\xfe", b"PK\x03\x04"])
def test_a_missing_or_broken_file_is_refused(name: str, data: bytes | None) -> None:
    with pytest.raises(SetError, match="model set set-7"):
        from_files(altered(to_files(forecaster()), name, data), "set-7", threads=1)


def of_hours(**values: Floats) -> dict[str, Prediction]:
    """What is said of VMs by hand, each alone."""
    said = forecaster().predict(history_of(np.stack(list(values.values()))))
    return {name: Prediction(*(part[k] for part in said)) for k, name in enumerate(values)}


def test_odd_histories_have_sane_forecasts() -> None:
    jump = np.full(336, 10.0, np.float32)
    jump[-24:] = 60.0
    lone = np.full(336, np.nan, np.float32)
    lone[-1] = 20.0
    flat = {"idle": 0.0, "constant": 30.0, "full": 100.0}
    said = of_hours(**{name: np.full(336, load, np.float32) for name, load in flat.items()}, jump=jump, lone=lone)
    for name, load in flat.items():
        assert said[name].p50 == pytest.approx(np.full(HOURS, load), abs=1.0)
        assert np.ptp(said[name].rank) <= 1.0
    assert said["jump"].p50[0] > 30.0
    assert said["lone"].p50[0] == pytest.approx(20.0, abs=5.0)
    assert_bounded(Prediction(*(np.stack(parts) for parts in zip(*said.values(), strict=True))))


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_a_vm_with_infinities_is_as_one_with_gaps_and_changes_no_neighbour(bad: float) -> None:
    mean = np.tile(LATE.mean[:, -336:], (20, 1))
    whole = forecaster().predict(history_of(mean, end=END))
    mean[700, 3::7], gaps = bad, mean.copy()
    gaps[700, 3::7] = np.nan
    said, other = (forecaster().predict(history_of(one, end=END)) for one in (mean, gaps))
    rest = np.delete(np.arange(1200), 700)
    for values, before, gap in zip(said, whole, other, strict=True):
        assert values[rest].tobytes() == before[rest].tobytes()
        assert values[700].tobytes() == gap[700].tobytes()
        assert np.isfinite(values[700]).all()
