"""Teachers: named in the progress, repeatable, bounded in what they say, deaf to what did not come."""

from __future__ import annotations

import numpy as np
import pytest

from models.effort import Effort
from models.features import MOST_SPREADS
from models.forecast import HOURS
from models.rank import regrets, teachable
from models.xgb_teachers import HEADS, LOADS, RANKERS, Lessons, Teachers, teach
from tests.models.given import Floats
from tests.models.taught import days, said, unseen

RANK = HEADS.index("rank")
FEW = Lessons(*(part[:60] for part in days().lessons))


def raw(teachers: Teachers) -> list[bytes]:
    return [bytes(booster.save_raw("ubj")) for booster in (*teachers.rankers, *teachers.loads.values())]


@pytest.fixture(scope="module")
def few() -> list[bytes]:
    return raw(teach(FEW, Effort(seed=1, threads=1), unseen))


def test_progress_names_each_teacher_before_it_is_trained() -> None:
    told: list[tuple[str, float]] = []
    teach(FEW, Effort(seed=1, threads=1), lambda what, share: told.append((what, share)))
    rankers = [f"training ranker {k + 1} of {len(RANKERS)}" for k in range(len(RANKERS))]
    assert [what for what, _ in told] == [*rankers, *(f"training the {name}" for name in LOADS)]
    assert [share for _, share in told] == pytest.approx(np.arange(len(told)) / len(told))


def test_same_data_and_seed_give_the_same_bytes_and_another_seed_does_not(few: list[bytes]) -> None:
    assert raw(teach(FEW, Effort(seed=1, threads=1), unseen)) == few
    assert raw(teach(FEW, Effort(seed=2, threads=1), unseen)) != few


def test_a_day_of_which_nothing_came_teaches_nothing(few: list[bytes]) -> None:
    blank = np.full((5, HOURS), np.nan, np.float32)
    more = Lessons(
        np.concatenate([FEW.X, days().lessons.X[100:105]]),
        np.concatenate([FEW.truth, blank]),
        np.concatenate([FEW.floor, FEW.floor[:5]]),
        np.concatenate([FEW.spread, FEW.spread[:5]]),
    )
    assert raw(teach(more, Effort(seed=1, threads=1), unseen)) == few


def test_opinions_are_whole_and_bounded() -> None:
    heads = said()
    assert heads.shape == (360, len(HEADS), HOURS)
    assert heads.dtype == np.float32
    assert (np.abs(heads) <= MOST_SPREADS).all()
    assert heads[:, RANK].mean(axis=1) == pytest.approx(np.zeros(360), abs=1e-5)
    assert heads[:, RANK].std(axis=1) == pytest.approx(np.ones(360), abs=1e-4)


def test_what_is_ranked_first_is_quieter_than_any_hour_and_loads_are_near_the_truth() -> None:
    lessons, heads = days().lessons, dict(zip(HEADS, said().transpose(1, 0, 2), strict=True))
    regret, room = regrets(lessons.truth)
    some = teachable(room)
    first = heads["rank"].argmin(axis=1)
    assert regret[np.arange(len(first)), first][some].mean() < 0.3  # any hour has 1

    def percent(head: str) -> Floats:
        return np.asarray(lessons.floor + heads[head] * lessons.spread[:, None])

    floor_error = np.abs(lessons.floor - lessons.truth).mean()
    assert np.abs(percent("p50") - lessons.truth).mean() < 0.8 * floor_error
    assert np.abs(percent("mean") - lessons.truth).mean() < floor_error
    assert (percent("p90") >= lessons.truth).mean() == pytest.approx(0.9, abs=0.05)
