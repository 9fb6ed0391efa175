"""Judged runs as control records: once each, newest first, for 14 days."""

from __future__ import annotations

import pytest

from models.conformal import CELLS
from models.errors import StoreError
from models.live_shift import no_shift
from models.minutes import DAY_MIN
from stream.stores.judgements import (
    KEPT_MIN,
    JudgedRun,
    Judgement,
    keep_judged,
    key_of,
    newest_judgements,
    read_judged,
    shift_in_force,
)
from stream.stores.open import Stores

ONE = Judgement("set-00000001", "champion", 10, 8, 0.25, 0.125, 0.875, None, None, 1.5)


def run(first_minute: int, shift: float = 0.0, judgements: tuple[Judgement, ...] = (ONE,)) -> JudgedRun:
    return JudgedRun(first_minute, first_minute + 2000, 10, judgements, {"set-00000001": [shift] * CELLS})


def test_a_run_comes_back_as_it_was_and_the_newest_first(stores: Stores) -> None:
    for minute in (600, 9_960, 60):
        assert keep_judged(stores.control, run(minute))
    assert read_judged(stores.control) == [run(9_960), run(600), run(60)]


def test_a_run_is_kept_once(stores: Stores) -> None:
    assert keep_judged(stores.control, run(600))
    assert not keep_judged(stores.control, run(600, 0.5))
    assert read_judged(stores.control) == [run(600)]


def test_what_is_older_than_14_days_goes(stores: Stores) -> None:
    days = [day * DAY_MIN for day in range(20)]
    for minute in days:
        assert keep_judged(stores.control, run(minute))
    assert [one.first_minute for one in read_judged(stores.control)] == days[-1 : -1 - KEPT_MIN // DAY_MIN - 1 : -1]
    assert stores.control.get(key_of(days[0])) is None


def test_a_models_newest_shift_is_in_force_and_a_new_model_begins_anew(stores: Stores) -> None:
    for minute, shift in ((60, 0.25), (120, 0.5)):
        keep_judged(stores.control, run(minute, shift))
    keep_judged(stores.control, JudgedRun(180, 2000, 10, ()))
    judged = read_judged(stores.control)
    assert shift_in_force(judged, "set-00000001").tolist() == [0.5] * CELLS
    assert shift_in_force(judged, "set-00000002").tolist() == no_shift().tolist()
    other_cells = [JudgedRun(240, 2000, 10, (), {"set-00000001": [0.5]}), *judged]
    assert shift_in_force(other_cells, "set-00000001").tolist() == no_shift().tolist()


def test_of_several_models_the_one_that_most_vms_had_stands_for_its_rung() -> None:
    few = Judgement("set-00000002", "champion", 3, 3, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
    assert newest_judgements([run(60, judgements=(ONE, few)), run(0)]) == {"champion": ONE}
    assert newest_judgements([]) == {}


def test_a_record_of_another_kind_is_named(stores: Stores) -> None:
    stores.control.apply([(key_of(60), 0, "{}")])
    with pytest.raises(StoreError, match="judgement/0000000060"):
        read_judged(stores.control)
