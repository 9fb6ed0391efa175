"""A champion from a seeded fleet: better than the peer, stored whole, promoted; refused where there is too little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import batch.train
from batch.recorded import history_at
from batch.rolling import Asked, asked_at
from batch.train import How, train_champion
from models import xgb_student
from models.baseline import hour_of_day_mean
from models.calibration import LENGTHS_MIN, confidence, expected_regret, from_json
from models.effort import Effort
from models.errors import BadInput
from models.features import FEATURES
from models.forecast import HOURS, History
from models.manifest import check_golden
from models.minutes import Minute
from models.objects import FileObjects
from models.registry import champion, load_set
from models.score import interval_coverage, mae
from models.xgb import from_files, golden_words
from tests.batch.given import hourly_fleet
from tests.models.given import END, Floats, history_of, rhythm

SEEN_H = 16 * 24
FLEET = hourly_fleet(rhythm(40, SEEN_H + HOURS, seed=31))
ORIGIN = END - HOURS * 60
HISTORY, TRUTH = history_at(FLEET, ORIGIN, SEEN_H), FLEET.hours[:, -HOURS:]


def asked(origin: Minute) -> Asked:
    return asked_at(FLEET, origin)


def unasked(origin: Minute) -> Asked:
    raise AssertionError(f"asked at {origin}")


def nothing(share: float, what: str) -> None:
    """A progress that nobody watches."""


EFFORT = Effort(seed=5, threads=1, vm_days=200)  # one thread: several spin on a busy machine
HOW = How(EFFORT, asked)


class Registry(NamedTuple):
    """Where set 1 is, what its training said of its progress, and the origins at which it asked."""

    objects: FileObjects
    shares: list[float]
    origins: list[int]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    made = Registry(FileObjects(tmp_path_factory.mktemp("registry")), [], [])

    def noted(origin: Minute) -> Asked:
        made.origins.append(origin)
        return asked(origin)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(xgb_student, "ROUNDS", 30)
        how = How(replace(EFFORT, vm_days=400), noted, price=0.0)
        assert train_champion(HISTORY, made.objects, how, lambda share, _: made.shares.append(share)) == 1
    return made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Students that learn next to nothing, for what does not ask how well they learned."""
    monkeypatch.setattr(xgb_student, "ROUNDS", 2)


def test_the_champion_beats_the_hour_of_day_mean_on_hours_that_it_has_not_seen(registry: Registry) -> None:
    said = from_files(load_set(registry.objects, 1).files, "set-1", threads=1).predict(HISTORY)
    assert mae(said.p50, TRUTH) < 0.9 * mae(hour_of_day_mean(HISTORY), TRUTH)
    assert mae(said.mean, TRUTH) < 0.9 * mae(hour_of_day_mean(HISTORY), TRUTH)
    assert 0.8 < interval_coverage(said.p90, TRUTH) < 0.98


def test_the_set_is_promoted_and_says_what_it_was_made_from(registry: Registry) -> None:
    record = champion(registry.objects)
    assert record is not None
    assert record.set_number == 1
    facts = load_set(registry.objects, 1).facts
    assert facts.features == FEATURES
    assert (facts.data_first, facts.data_through) == (ORIGIN - SEEN_H * 60, ORIGIN)
    assert facts.based_on is None
    scores = facts.scores
    assert scores["mae_pct"] < scores["hour_of_day_mean_mae_pct"]
    assert 0.8 < scores["interval_coverage"] < 0.98
    assert 0 < scores["regret_pooled"] < 0.3
    assert 0 < scores["regret_macro"] < 0.3
    assert scores["objective"] == pytest.approx((scores["regret_macro"] + scores["regret_pooled"]) / 2)
    assert scores["infer_cpu_s_per_10k"] > 0


def test_the_golden_rows_are_predicted_again_from_the_files(registry: Registry) -> None:
    stored = load_set(registry.objects, 1)
    back = from_files(stored.files, "set-1", threads=1)
    assert len(stored.golden.rows) == batch.train.GOLDEN_ROWS
    check_golden(stored.golden, golden_words(back, stored.golden.rows))


def test_confidence_and_regret_are_learned_from_held_out_windows_alone(registry: Registry) -> None:
    assert registry.origins == [ORIGIN - (HOURS + hours) * 60 for hours in (21, 14, 7, 0)]
    table = from_json(load_set(registry.objects, 1).files["calibration.json"])
    assert table.lengths_min == LENGTHS_MIN
    assert confidence(table, 20.0, 25.0, 25.0, 10) > 0.6
    assert 0 <= expected_regret(table, 3.0, 10) <= expected_regret(table, 0.0, 10) < 1


def test_progress_only_rises(registry: Registry) -> None:
    assert registry.shares == sorted(registry.shares)
    assert 0 <= registry.shares[0] <= registry.shares[-1] <= 1


@pytest.mark.usefixtures("hasty")
def test_the_same_data_give_the_same_bytes_and_a_second_set_is_based_on_the_first(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path)
    first, second = (train_anyhow(HISTORY, objects, HOW) for _ in range(2))
    assert load_set(objects, first).files == load_set(objects, second).files
    assert load_set(objects, first).golden.rows.tobytes() == load_set(objects, second).golden.rows.tobytes()
    assert load_set(objects, second).facts.based_on == first


def train_anyhow(history: History, objects: FileObjects, how: How) -> int:
    """Train and promote, however good."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batch.train, "hour_of_day_mean", lambda known: np.full((len(known.mean), HOURS), 99.0))
        return train_champion(history, objects, how, nothing)


def test_too_short_a_history_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path / "registry")
    with pytest.raises(BadInput, match=r"at least 6\.0 days"):
        train_champion(history_of(rhythm(50, 5 * 24, seed=1)), objects, replace(HOW, asked=unasked), nothing)
    assert list(objects.list("")) == []


def test_too_few_days_are_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path / "registry")
    with pytest.raises(BadInput, match="at least 100 days of VMs, got 48"):
        train_champion(history_of(rhythm(1, 16 * 24, seed=1)), objects, replace(HOW, asked=unasked), nothing)
    assert list(objects.list("")) == []


@pytest.mark.usefixtures("hasty")
def test_a_set_worse_than_the_peer_is_stored_and_not_promoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def oracle(history: History) -> Floats:
        column = SEEN_H - (ORIGIN - history.end) // 60
        return FLEET.hours[:, column : column + HOURS]

    monkeypatch.setattr(batch.train, "hour_of_day_mean", oracle)
    objects = FileObjects(tmp_path)
    with pytest.raises(BadInput, match=r"a median no worse than the hour-of-day mean's MAE of 0\.000"):
        train_champion(HISTORY, objects, HOW, nothing)
    assert champion(objects) is None
    assert np.isfinite(load_set(objects, 1).facts.scores["mae_pct"])


@pytest.mark.usefixtures("hasty")
def test_a_fleet_too_small_for_a_table_of_confidence_gets_none(tmp_path: Path) -> None:
    few = FLEET.take(np.arange(11))
    how = replace(HOW, asked=lambda origin: asked_at(few, origin))
    number = train_anyhow(history_at(few, ORIGIN, SEEN_H), FileObjects(tmp_path), how)
    assert "calibration.json" not in load_set(FileObjects(tmp_path), number).files
