"""The ladder from stored hours to the answer: each VM has the best rung that it can bear, and the answer says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from models.baseline import HourOfDay, KindProfile
from models.calibration import DEFAULT
from models.fleet import SLOTS, Life, Placement, newest_lives
from models.forecast import HISTORY_HOURS, Forecaster
from models.inside import packed
from models.minutes import HOUR_MIN
from stream.answer import Answer, Limits, answer
from stream.api_deps import subjects
from stream.forecasting import Outcome, Plan, forecast_fleet
from stream.question import Question
from stream.stores.history import read_history
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU, BlockRow, ProfileRow
from tests.models.given import END, Floats, rhythm
from tests.models.taught import forecaster
from tests.stream.fakes import stores_in

BORN, NOW = END - HISTORY_HOURS * HOUR_MIN, END + 7
SPIKE = np.array([44, *[-4] * 11], np.float32)
WHOLE, NEWBORN, HOLED, SPARSE, DEAD, RESIZED, GROWN, MOVED, CRON = (
    "whole", "newborn", "holed", "sparse", "dead", "resized", "grown", "moved", "cron",
)  # fmt: skip
IDS = (WHOLE, NEWBORN, HOLED, SPARSE, DEAD, RESIZED, GROWN, MOVED, CRON, *(f"vm-{k}" for k in range(20)))


class Fleet(NamedTuple):
    stores: Stores
    outcome: Outcome


def loads() -> Floats:
    """float32[len(IDS), 336]: what came of each."""
    mean = np.maximum(rhythm(len(IDS), HISTORY_HOURS, seed=51), 0.1)
    rng = np.random.default_rng(5)
    mean[IDS.index(NEWBORN), :-3] = np.nan
    for vm_id, share in ((HOLED, 0.3), (SPARSE, 0.6), (DEAD, 0.85)):
        mean[IDS.index(vm_id), :-1][rng.random(HISTORY_HOURS - 1) < share] = np.nan
    return mean


def fill(stores: Stores) -> None:
    """All in block 0, a slot each; its 5-minute profile is known of CRON alone."""
    lives = [Life(vm_id, END - 180 if vm_id == NEWBORN else BORN, "c1") for vm_id in IDS]
    placed = [
        Placement(life.vm_id, life.created_at, life.created_at, "h1", 2.0, 0, slot) for slot, life in enumerate(lives)
    ]
    for vm_id, hours, vcpus, host in ((RESIZED, 40, 4.0, "h1"), (GROWN, 12, 8.0, "h1"), (MOVED, 40, 2.0, "h2")):
        placed.append(Placement(vm_id, BORN, END - hours * HOUR_MIN, host, vcpus, 0, IDS.index(vm_id)))
    stores.catalogue.put(lives, placed)
    mean = np.full((HISTORY_HOURS, SLOTS), np.nan, np.float32)
    mean[:, : len(IDS)] = loads().T
    count = np.where(np.isnan(mean), 0, 60).astype(np.uint8)
    rows = [BlockRow(60, 0, BORN + k * HOUR_MIN, 0, 1, mean[k], count[k]) for k in range(HISTORY_HOURS)]
    distance = np.zeros((12, SLOTS), np.float32)
    distance[:, IDS.index(CRON)] = SPIKE
    profiles = [ProfileRow(0, hour, END, *packed(distance)) for hour in range(24)]
    stores.series.put(METRIC_CPU, rows, profiles)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    stores = stores_in(Path(tmp_path_factory.mktemp("ladder")))
    fill(stores)
    ladder: list[Forecaster] = [forecaster(), HourOfDay(), KindProfile()]
    yield Fleet(stores, forecast_fleet(stores, Plan(ladder, "set-00000001", END, NOW), lambda *_: None))
    stores.close()


def asked(fleet: Fleet, vm_id: str, **question: float) -> Answer:
    (subject,) = subjects(fleet.stores, [vm_id])
    return answer(subject, Question(**question), NOW, Limits(), DEFAULT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("vm_id", "rung", "reason"),
    [
        (WHOLE, "champion", None),
        (MOVED, "champion", None),
        (HOLED, "champion", None),
        (SPARSE, "hour_of_day", "GAPS"),
        (RESIZED, "hour_of_day", "SHORT_HISTORY"),
        (NEWBORN, "kind", "SHORT_HISTORY"),
        (GROWN, "kind", "SHORT_HISTORY"),
    ],
)
def test_each_gets_the_best_rung_that_it_can_bear_and_the_answer_says_so(
    fleet: Fleet, vm_id: str, rung: str, reason: str | None
) -> None:
    got = asked(fleet, vm_id, max_load_pct=100.0)
    assert (got.rung, got.reason, got.model) == (rung, reason, "set-00000001")
    assert got.best is not None
    assert not got.flagged
    assert f"Forecast by {rung.replace('_', '-')}" in got.detail.replace("_", "-")
    assert 0 <= got.best.expected_load_pct <= got.best.p90_load_pct <= 100


def test_of_whom_too_little_came_there_is_none(fleet: Fleet) -> None:
    got = asked(fleet, DEAD)
    assert (got.rung, got.reason, got.best) == ("refused", "GAPS", None)
    assert fleet.outcome.refused == {"GAPS": 1}
    assert fleet.outcome.rungs["champion"] == len(IDS) - 5


def test_a_resize_forgets_the_load_of_the_old_size_and_a_move_does_not(fleet: Fleet) -> None:
    vms = {vm.life.vm_id: vm for vm in newest_lives(fleet.stores.catalogue.lives())}
    history = read_history(fleet.stores.series, [vms[RESIZED], vms[GROWN], vms[MOVED]], END, HISTORY_HOURS)
    assert np.count_nonzero(history.count, axis=1).tolist() == [40, 12, HISTORY_HOURS]
    assert history.host[0] == history.host[1] != history.host[2]


def test_a_newborn_has_its_own_level_on_the_day_of_its_kind(fleet: Fleet) -> None:
    own = loads()[IDS.index(NEWBORN), -3:].mean()
    got = asked(fleet, NEWBORN, max_load_pct=100.0)
    assert got.now is not None
    assert got.now.expected_load_pct == pytest.approx(own, rel=0.6)


@pytest.mark.parametrize("minutes", [10, 15, 30, 45, 55])
def test_a_vm_that_spikes_at_the_hour_is_never_sent_over_it_by_a_trained_set(fleet: Fleet, minutes: int) -> None:
    got = asked(fleet, CRON, minutes=minutes, max_load_pct=100.0)
    assert got.rung == "champion"
    assert got.best is not None
    assert got.best.start % HOUR_MIN >= 5
    assert got.best.start % HOUR_MIN + minutes <= HOUR_MIN


def test_the_order_in_which_the_fleet_is_read_changes_no_forecast(fleet: Fleet) -> None:
    vms = newest_lives(fleet.stores.catalogue.lives())
    here, there = (read_history(fleet.stores.series, some, END, HISTORY_HOURS) for some in (vms, vms[::-1]))
    said, other = (forecaster().predict(history) for history in (here, there))
    for values, mirrored in zip(said, other, strict=True):
        np.testing.assert_array_equal(values, mirrored[::-1])
