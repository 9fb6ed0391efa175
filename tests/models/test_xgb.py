"""The heads: learned, ordered, bounded, repeatable, and the same after a trip through bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest

import models.xgb
from models.errors import SetError
from models.features import features
from models.forecast import HOURS, Rung, slice_history
from models.score import interval_coverage
from models.xgb import HEADS, Effort, XgbForecaster, calibrate, from_files, to_files, train
from tests.models.given import END, Floats, history_of, rhythm

LATE = slice_history(history_of(rhythm(60, 400, seed=11)), END - HOURS * 60)
TRUTH = rhythm(60, 400, seed=11)[:, -HOURS:]


class Trained(NamedTuple):
    forecaster: XgbForecaster
    X: Floats
    y: Floats


def rows() -> tuple[Floats, Floats]:
    """Rows of 60 VMs at six earlier origins."""
    history = history_of(rhythm(60, 400, seed=11))
    origins = [END - hours * 60 for hours in range(2 * HOURS, 2 * HOURS + 42, 7)]
    X = np.concatenate([features(slice_history(history, origin)) for origin in origins])
    ends = [400 - (END - origin) // 60 for origin in origins]
    return X, np.concatenate([history.mean[:, end : end + HOURS].reshape(-1) for end in ends])


def nothing(what: str, share: float) -> None:
    """A progress that nobody watches."""


@pytest.fixture(scope="module")
def trained() -> Trained:
    X, y = rows()
    return Trained(train(X, y, Effort(seed=1, threads=1), nothing), X, y)


def test_progress_names_each_head_before_it_is_trained() -> None:
    X, y = rows()
    told: list[tuple[str, float]] = []
    train(X[:500], y[:500], Effort(seed=1, threads=1), lambda what, share: told.append((what, round(share, 2))))
    assert told == [("training the mean", 0.0), ("training the p50", 0.33), ("training the p90", 0.67)]


def test_same_data_and_seed_give_the_same_bytes_and_another_seed_does_not(trained: Trained) -> None:
    again = train(trained.X, trained.y, Effort(seed=1, threads=1), nothing)
    other = train(trained.X, trained.y, Effort(seed=2, threads=1), nothing)
    assert to_files(again) == to_files(trained.forecaster)
    assert to_files(other) != to_files(trained.forecaster)


def test_a_prediction_is_whole_ordered_and_within_0_and_100(trained: Trained) -> None:
    said = trained.forecaster.predict(LATE)
    for values in (said.mean, said.p50, said.p90):
        assert values.shape == (60, HOURS)
        assert values.dtype == np.float32
        assert ((values >= 0) & (values <= 100)).all()
    assert (said.p50 <= said.p90).all()
    assert trained.forecaster.rung == Rung.CHAMPION


def test_a_vm_never_seen_gets_nothing_and_its_neighbours_the_same_as_without_it(trained: Trained) -> None:
    mean = LATE.mean[:2].copy()
    alone = trained.forecaster.predict(history_of(mean, end=LATE.end))
    mean[0] = np.nan
    said = trained.forecaster.predict(history_of(mean, end=LATE.end))
    assert np.isnan([said.mean[0], said.p50[0], said.p90[0]]).all()
    np.testing.assert_array_equal(said.mean[1], alone.mean[1])


def test_chunks_do_not_show(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained.forecaster.predict(LATE)
    monkeypatch.setattr(models.xgb, "CHUNK_VMS", 7)
    chunked = trained.forecaster.predict(LATE)
    np.testing.assert_array_equal(chunked.p90, whole.p90)
    np.testing.assert_array_equal(chunked.mean, whole.mean)


def test_no_vm_is_no_error(trained: Trained) -> None:
    assert trained.forecaster.predict(history_of(np.empty((0, 336)))).mean.shape == (0, HOURS)


def test_calibration_only_widens_the_bound_and_covers_what_it_was_shown(trained: Trained) -> None:
    X, y = features(LATE), TRUTH.reshape(-1)
    before = trained.forecaster.predict_rows(X)
    after = calibrate(trained.forecaster, X, y).predict_rows(X)
    np.testing.assert_array_equal(after[:, :2], before[:, :2])
    assert (after[:, 2] >= before[:, 2]).all()
    assert interval_coverage(after[:, 2], y) >= 0.899


def test_a_forecaster_comes_back_from_its_files(trained: Trained) -> None:
    calibrated = calibrate(trained.forecaster, features(LATE), TRUTH.reshape(-1))
    back = from_files(to_files(calibrated), "set-7", threads=1)
    assert back.name == "set-7"
    np.testing.assert_array_equal(back.predict(LATE).p90, calibrated.predict(LATE).p90)
    np.testing.assert_array_equal(back.predict(LATE).mean, calibrated.predict(LATE).mean)
    assert to_files(back) == to_files(calibrated)


def altered(files: Mapping[str, bytes], name: str, data: bytes | None) -> dict[str, bytes]:
    return {key: value for key, value in {**files, name: data}.items() if value is not None}


@pytest.mark.parametrize("name", [*(f"{head}.ubj" for head in HEADS), "p90_widening.json"])
@pytest.mark.parametrize("data", [None, b"", b"{}", b"[1, 2]", b"{L", b"\xff\xfe"])
def test_a_missing_or_broken_file_is_refused(trained: Trained, name: str, data: bytes | None) -> None:
    with pytest.raises(SetError, match="model set set-7"):
        from_files(altered(to_files(trained.forecaster), name, data), "set-7", threads=1)
