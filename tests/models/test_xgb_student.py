"""The student: learned from teachers, repeatable, the same wherever a VM stands and after a trip through bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest

import models.xgb_student
from models.effort import Effort
from models.features import FEATURES
from models.forecast import HOURS
from models.lines import drawn
from models.xgb_student import COMPONENTS, TABLE_FILE, TREES_FILE, recite, student_files, student_from
from models.xgb_teachers import HEADS
from tests.models.taught import days, learn, said, student

X = days().seen.X


def test_it_says_what_the_teachers_say_and_more_than_straight_lines_do() -> None:
    heads = recite(student(), X)
    assert heads.shape == (360, len(HEADS), HOURS)
    assert heads.dtype == np.float32
    for k, name in enumerate(HEADS):
        missed, alike = (np.abs(one - said()[:, k]).mean() for one in (heads[:, k], said()[:, k].mean(axis=0)))
        assert missed < 0.8 * alike, name
    assert np.abs(heads - said()).mean() < np.abs(drawn(student().lines, X) - said()).mean()


def test_same_data_and_seed_give_the_same_bytes_and_another_seed_does_not() -> None:
    assert student_files(learn(Effort(seed=1, threads=1))) == student_files(student())
    assert student_files(learn(Effort(seed=2, threads=1))) != student_files(student())


def test_what_it_says_of_a_vm_depends_on_no_neighbour_and_no_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = recite(student(), X)
    monkeypatch.setattr(models.xgb_student, "CHUNK_VMS", 7)
    for rows in (np.arange(359, -1, -1), np.array([5, 3, 3]), np.array([8])):
        np.testing.assert_array_equal(recite(student(), X[rows]), whole[rows])


def test_of_no_vm_nothing_is_said() -> None:
    assert recite(student(), X[:0]).shape == (0, len(HEADS), HOURS)


def test_it_comes_back_from_its_files() -> None:
    files = student_files(student())
    back = student_from(files, threads=1)
    assert student_files(back) == files
    np.testing.assert_array_equal(recite(back, X), recite(student(), X))
    assert back.booster.feature_names == list(FEATURES)


def test_a_table_of_another_shape_is_refused() -> None:
    table = io.BytesIO()
    known = student()
    np.savez(table, lines=known.lines.weights, basis=np.zeros((COMPONENTS, 3), np.float32), middle=known.middle)
    with pytest.raises(ValueError, match=rf"tables of .*\({COMPONENTS}, 3\).*, not "):
        student_from({**student_files(student()), TABLE_FILE: table.getvalue()}, threads=1)


@pytest.mark.parametrize("data", [b"", b"{}", b"\x80\x04."])
def test_what_is_no_ubj_never_reaches_the_library(data: bytes) -> None:
    with pytest.raises(ValueError, match=f"{TREES_FILE} of {len(data)} bytes"):
        student_from({**student_files(student()), TREES_FILE: data}, threads=1)
