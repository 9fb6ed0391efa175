"""A champion from a seeded fleet: better than the peer, stored whole, promoted; refused where there is too little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import batch.train
from batch.train import How, train_champion
from models.baseline import hour_of_day_mean
from models.calibration import DEFAULT, Calibration, from_json
from models.errors import BadInput
from models.features import FEATURES
from models.forecast import HOURS, History, slice_history
from models.manifest import check_golden
from models.objects import FileObjects
from models.registry import champion, load_set
from models.score import interval_coverage, mae
from models.xgb import XgbForecaster, from_files
from tests.models.given import END, Floats, history_of, rhythm

HOURS_SEEN = 16 * 24


def no_table(forecaster: XgbForecaster, history: History, origins: list[int]) -> Calibration | None:
    return None


def nothing(share: float, what: str) -> None:
    """A progress that nobody watches."""


HOW = How(seed=5, threads=1, calibrate=no_table)  # one thread: several spin on a busy machine


def fleet() -> tuple[History, Floats]:
    """40 VMs: what training may see, and the next 26 hours."""
    load = rhythm(40, HOURS_SEEN + HOURS, seed=31)
    return slice_history(history_of(load), END - HOURS * 60), load[:, -HOURS:]


class Registry(NamedTuple):
    """Where set 1 is, what its training said of its progress, and the origins its confidence table was asked for."""

    objects: FileObjects
    shares: list[float]
    origins: list[int]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    made = Registry(FileObjects(tmp_path_factory.mktemp("registry")), [], [])

    def table(forecaster: XgbForecaster, history: History, origins: list[int]) -> Calibration:
        made.origins.extend(origins)
        return DEFAULT

    how = replace(HOW, calibrate=table)
    assert train_champion(fleet()[0], made.objects, how, lambda share, _: made.shares.append(share)) == 1
    return made


def test_the_champion_beats_the_hour_of_day_mean_on_hours_that_it_has_not_seen(registry: Registry) -> None:
    history, truth = fleet()
    forecaster = from_files(load_set(registry.objects, 1).files, "set-1", threads=2)
    said = forecaster.predict(history)
    assert mae(said.p50, truth) < 0.9 * mae(hour_of_day_mean(history), truth)
    assert mae(said.mean, truth) < 0.9 * mae(hour_of_day_mean(history), truth)
    assert 0.8 < interval_coverage(said.p90, truth) < 0.98


def test_the_set_is_promoted_and_says_what_it_was_made_from(registry: Registry) -> None:
    record = champion(registry.objects)
    assert record is not None
    assert record.set_number == 1
    facts = load_set(registry.objects, 1).facts
    assert facts.features == FEATURES
    assert (facts.data_first, facts.data_through) == (END - (HOURS_SEEN + HOURS) * 60, END - HOURS * 60)
    assert facts.based_on is None
    assert facts.scores["mae_pct"] < facts.scores["hour_of_day_mean_mae_pct"]
    assert 0.8 < facts.scores["interval_coverage"] < 0.98


def test_the_golden_rows_are_predicted_again_from_the_files(registry: Registry) -> None:
    stored = load_set(registry.objects, 1)
    forecaster = from_files(stored.files, "set-1", threads=1)
    assert len(stored.golden.rows) == batch.train.GOLDEN_ROWS
    check_golden(stored.golden, forecaster.predict_rows(stored.golden.rows))


def test_the_confidence_table_is_fitted_on_held_out_origins_and_stored(registry: Registry) -> None:
    stored = from_json(load_set(registry.objects, 1).files["calibration.json"])
    np.testing.assert_array_equal(stored.quantiles, DEFAULT.quantiles)
    assert registry.origins == [END - (HOURS + hours) * 60 for hours in (38, 26)]


def test_a_second_set_is_based_on_the_first_and_the_same_data_give_the_same_heads(registry: Registry) -> None:
    number = train_champion(fleet()[0], registry.objects, HOW, nothing)
    second = load_set(registry.objects, number)
    assert second.facts.based_on == 1
    first = load_set(registry.objects, 1)
    assert second.files == {name: data for name, data in first.files.items() if name != "calibration.json"}


def test_progress_only_rises(registry: Registry) -> None:
    assert registry.shares == sorted(registry.shares)
    assert 0 <= registry.shares[0] <= registry.shares[-1] <= 1


def test_too_short_a_history_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path / "registry")
    with pytest.raises(BadInput, match=r"at least 5\.7 days"):
        train_champion(history_of(rhythm(50, 5 * 24, seed=1)), objects, HOW, nothing)
    assert list(objects.list("")) == []


def test_too_few_hours_of_truth_are_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path / "registry")
    with pytest.raises(BadInput, match="at least 2,000 hours of truth"):
        train_champion(history_of(rhythm(1, 16 * 24, seed=1)), objects, HOW, nothing)
    assert list(objects.list("")) == []


def test_eleven_vms_are_enough(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path)
    number = train_champion(history_of(rhythm(11, 14 * 24, seed=8)), objects, HOW, nothing)
    record = champion(objects)
    assert record is not None
    assert record.set_number == number


def test_a_set_worse_than_the_peer_is_stored_and_not_promoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def oracle(history: History) -> Floats:
        column = (history.end - (END - HOURS_SEEN * 60)) // 60
        return rhythm(20, HOURS_SEEN, seed=2)[:, column:][:, :HOURS]

    monkeypatch.setattr(batch.train, "hour_of_day_mean", oracle)
    objects = FileObjects(tmp_path)
    with pytest.raises(BadInput, match=r"a median no worse than the hour-of-day mean's MAE of 0\.000"):
        train_champion(history_of(rhythm(20, HOURS_SEEN, seed=2)), objects, HOW, nothing)
    assert champion(objects) is None
    assert np.isfinite(load_set(objects, 1).facts.scores["mae_pct"])
