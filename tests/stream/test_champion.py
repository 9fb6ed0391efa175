"""The forecasters in force: the champion above the rungs without training; a set that must not serve is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import models.manifest
from models.calibration import DEFAULT, to_json
from models.errors import SetError
from models.features import FEATURES, features
from models.forecast import HOURS, Rung
from models.manifest import Facts, Golden, libraries
from models.objects import FileObjects
from models.registry import promote, save_set
from models.xgb import XgbForecaster, golden_of, to_files
from stream.champion import UNTRAINED, Champion
from stream.live import Fleet
from stream.settings import Settings
from tests.models.taught import LATE, forecaster
from tests.stream.small_fleet import IDS, NOW, fill

FACTS = Facts(FEATURES, 0, LATE.end, LATE.end, {"mae_pct": 2.0}, None)


def store(folder: Path, facts: Facts = FACTS, golden: Golden | None = None, **more: bytes) -> Champion:
    """The registry with a trained set as its champion."""
    return promoted(folder, forecaster(), facts, golden, **more)


def promoted(
    folder: Path, made: XgbForecaster, facts: Facts = FACTS, golden: Golden | None = None, **more: bytes
) -> Champion:
    objects = FileObjects(folder)
    files = {**to_files(made), **{name.replace("_", "."): data for name, data in more.items()}}
    number = save_set(objects, files, facts, golden or golden_of(made, features(LATE), 8))
    promote(objects, number, f"nonce-{number}", "test", LATE.end)
    return Champion(f"file:{folder}", threads=1, device="cpu")


def test_without_a_set_the_rungs_below_answer(tmp_path: Path) -> None:
    champion = Champion(f"file:{tmp_path}", threads=1, device="cpu")
    forecasters, name = champion.in_force()
    assert [one.rung for one in forecasters] == [Rung.HOUR_OF_DAY, Rung.KIND]
    assert (name, champion.exists()) == (UNTRAINED, False)
    assert champion.calibration(name) is DEFAULT


def test_the_promoted_set_is_on_top_and_forecasts_as_it_did(tmp_path: Path) -> None:
    champion = store(tmp_path)
    forecasters, name = champion.in_force()
    assert [one.rung for one in forecasters] == [Rung.CHAMPION, Rung.HOUR_OF_DAY, Rung.KIND]
    assert (name, champion.exists()) == ("set-00000001", True)
    for values, before in zip(forecasters[0].predict(LATE), forecaster().predict(LATE), strict=True):
        np.testing.assert_array_equal(values, before)


def test_a_newer_set_is_taken_at_once_and_each_is_loaded_once(tmp_path: Path) -> None:
    champion = store(tmp_path)
    first = champion.in_force()[0][0]
    assert champion.in_force()[0][0] is first
    store(tmp_path)
    assert champion.in_force()[1] == "set-00000002"


def test_a_sets_confidence_table_is_its_own_and_the_default_where_it_brought_none(tmp_path: Path) -> None:
    table = replace(DEFAULT, quantiles=DEFAULT.quantiles + np.float32(1))
    champion = store(tmp_path, calibration_json=to_json(table))
    np.testing.assert_array_equal(champion.calibration("set-00000001").quantiles, table.quantiles)
    store(tmp_path)
    assert champion.calibration("set-00000002") is DEFAULT


@pytest.mark.parametrize("names", [FEATURES[:-1], FEATURES[::-1], (*FEATURES, "new_pct")])
def test_a_set_of_another_feature_list_is_refused_by_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    golden = Golden(np.zeros((1, len(names)), np.float32), np.zeros((1, 1), np.float32))
    champion = store(tmp_path, replace(FACTS, features=names), golden)
    with pytest.raises(SetError, match=f"model set set-00000001: expected the {len(FEATURES)} features"):
        champion.in_force()


def test_a_set_of_another_xgboost_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(models.manifest, "libraries", lambda: {"numpy": "2.0", "xgboost": "1.7.6"})
        champion = store(tmp_path)
    with pytest.raises(SetError, match=rf"model set set-00000001.*XGBoost {libraries()['xgboost']}.*1\.7\.6"):
        champion.in_force()


def test_a_set_that_answers_otherwise_than_when_it_was_made_is_refused(tmp_path: Path) -> None:
    golden = golden_of(forecaster(), features(LATE), 4)
    champion = store(tmp_path, golden=Golden(golden.rows, golden.expected + np.float32(0.02)))
    with pytest.raises(SetError, match="golden row 0, output 0"):
        champion.in_force()


def test_what_a_run_clipped_is_told_run_by_run(tmp_path: Path) -> None:
    """A set that says 5,000 spreads more than it learned: every hour of every head is over 100 %."""
    made = forecaster()
    loud = replace(made.student, middle=made.student.middle + np.float32(5000))
    stores = fill(tmp_path)
    fleet = Fleet(stores, promoted(tmp_path / "sets", replace(made, student=loud)), Settings())
    first, second = fleet.forecast(NOW), fleet.forecast(NOW)
    stores.close()
    known = len(IDS) - 1  # of one VM nothing came
    assert first.clipped == second.clipped == 3 * HOURS * known
    assert fleet.champion.clipped == first.clipped + second.clipped
