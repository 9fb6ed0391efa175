"""The student: learned from teachers, repeatable, the same wherever a VM stands and after a trip through bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest

import models.xgb_student
from models.effort import Effort
from models.features import FEATURES
from models.forecast import HOURS
from models.rank import standardised
from models.xgb_student import COMPONENTS, TABLE_FILE, TREES_FILE, plain_words, recite, student_files, student_from
from models.xgb_teachers import HEADS
from tests.models.taught import days, learn, said, student

SEEN = days().seen
RANK = HEADS.index("rank")


def test_it_says_what_the_teachers_say_and_better_than_the_floor_alone() -> None:
    heads = recite(student(), SEEN)
    assert heads.shape == (360, len(HEADS), HOURS)
    assert heads.dtype == np.float32
    for k, name in enumerate(HEADS):
        plain = standardised(SEEN.floor) * np.float32(student().follow) if k == RANK else said()[:, k].mean(axis=0)
        missed = np.abs(heads[:, k] - said()[:, k]).mean()
        assert missed < 0.8 * np.abs(plain - said()[:, k]).mean(), name


def test_same_data_and_seed_give_the_same_bytes_and_another_seed_does_not() -> None:
    assert student_files(learn(Effort(seed=1, threads=1))) == student_files(student())
    assert student_files(learn(Effort(seed=2, threads=1))) != student_files(student())


def test_what_it_says_of_a_vm_depends_on_no_neighbour_and_no_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = recite(student(), SEEN)
    monkeypatch.setattr(models.xgb_student, "CHUNK_VMS", 7)
    for rows in (np.arange(359, -1, -1), np.array([5, 3, 3]), np.array([8])):
        np.testing.assert_array_equal(recite(student(), SEEN.take(rows)), whole[rows])


def test_where_the_floor_is_not_known_nothing_is_said() -> None:
    floor = SEEN.floor.copy()
    floor[4] = np.nan
    heads = recite(student(), SEEN._replace(floor=floor))
    assert np.isnan(heads[4]).all()
    assert np.isfinite(np.delete(heads, 4, axis=0)).all()


def test_the_order_of_the_floor_is_followed_and_a_flat_floor_has_none() -> None:
    assert 0 < student().follow <= 1
    flat = SEEN._replace(floor=np.full_like(SEEN.floor, 7.0))
    words = plain_words(student(), SEEN.X).reshape(-1, len(HEADS), HOURS)
    np.testing.assert_array_equal(recite(student(), flat)[:, RANK], words[:, RANK])


def test_it_comes_back_from_its_files() -> None:
    files = student_files(student())
    back = student_from(files, threads=1)
    assert student_files(back) == files
    np.testing.assert_array_equal(recite(back, SEEN), recite(student(), SEEN))
    assert back.booster.feature_names == list(FEATURES)


def test_a_table_of_another_shape_is_refused() -> None:
    table = io.BytesIO()
    np.savez(table, basis=np.zeros((COMPONENTS, 3), np.float32), middle=np.zeros(3, np.float32), follow=np.float64(1))
    with pytest.raises(ValueError, match=r"a basis of \(16, 3\)"):
        student_from({**student_files(student()), TABLE_FILE: table.getvalue()}, threads=1)


@pytest.mark.parametrize("data", [b"", b"{}", b"\x80\x04."])
def test_what_is_no_ubj_never_reaches_the_library(data: bytes) -> None:
    with pytest.raises(ValueError, match=f"{TREES_FILE} of {len(data)} bytes"):
        student_from({**student_files(student()), TREES_FILE: data}, threads=1)
