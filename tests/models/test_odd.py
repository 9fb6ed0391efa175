"""Odd histories through ladder, trained set, record and choice: sane answers, and no byte of a neighbour changed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from models.baseline import HourOfDay, KindProfile
from models.calibration import DEFAULT
from models.forecast import STARTS, Forecaster, History, Reason, Rung, take_vms
from models.ladder import climb, state_of
from models.quiet import default_starts
from models.records import pack
from models.window import Ask, Choice, choose
from tests.models.given import END, Floats, history_of, rhythm
from tests.models.taught import forecaster

HOURS_SEEN = 336
ALLOWED = np.ones(STARTS, np.bool_)


def records_of(history: History) -> npt.NDArray[np.void]:
    state = state_of(history)
    ladder: list[Forecaster] = [forecaster(), HourOfDay(), KindProfile()]
    return pack(history, state, climb(history, ladder, state, history.end, 180))


def of(load: npt.ArrayLike, filled: float = np.nan) -> Floats:
    """A history that ends with these hours."""
    hours = np.atleast_1d(np.asarray(load, np.float32))
    return np.concatenate([np.full(HOURS_SEEN - len(hours), filled, np.float32), hours])


ODD = {
    "idle": of([0.0], 0.0),
    "constant": of([30.0], 30.0),
    "full": of([100.0], 100.0),
    "jump": of(np.full(24, 60.0), 10.0),
    "lone": of([20.0]),
    "nothing": of([]),
}
HISTORY = history_of(np.concatenate([np.stack(list(ODD.values())), rhythm(40, HOURS_SEEN, seed=61)]))
RECORDS = records_of(HISTORY)


def chosen(name: str, **limits: float) -> Choice:
    ask = Ask(END, END + 1440, 10, limits.get("max_load", 100.0), limits.get("sure", 0.5), 3, (), "UTC")
    return choose(END, np.void(RECORDS[list(ODD).index(name)]), ask, DEFAULT)


@pytest.mark.parametrize(("name", "load"), [("idle", 0.0), ("constant", 30.0), ("full", 100.0)])
def test_where_nothing_moves_a_vm_may_go_at_once(name: str, load: float) -> None:
    got = chosen(name)
    assert RECORDS["rung"][list(ODD).index(name)] == Rung.CHAMPION
    assert got.best.start == END
    assert got.best.expected_load_pct == pytest.approx(load, abs=1.0)
    assert not got.flagged


def test_a_vm_at_full_load_throughout_is_sent_nowhere_below_it() -> None:
    got = chosen("full", max_load=80.0, sure=0.8)
    assert got.flagged
    assert got.best.violates == ("max_load",)
    assert got.best.confidence < 0.1


def test_after_a_jump_the_new_level_is_expected() -> None:
    got = chosen("jump")
    assert got.now.expected_load_pct > 30.0
    assert got.now.p90_load_pct >= got.now.expected_load_pct


def test_one_sample_and_none_get_the_rung_that_they_can_bear() -> None:
    lone, nothing = (list(ODD).index(name) for name in ("lone", "nothing"))
    assert (RECORDS["rung"][lone], RECORDS["reason"][lone]) == (Rung.KIND, Reason.SHORT_HISTORY)
    assert (RECORDS["rung"][nothing], RECORDS["reason"][nothing]) == (Rung.REFUSED, Reason.NO_DATA)
    assert chosen("lone").now.expected_load_pct == pytest.approx(20.0, abs=15.0)


def test_every_number_that_is_stored_is_within_its_bounds() -> None:
    for name in ("mean", "p50", "p90"):
        assert RECORDS[name].max() <= 10_000
    assert (RECORDS["p50"] <= RECORDS["p90"]).all()
    assert np.isfinite(RECORDS["scale"]).all()


def test_neither_order_nor_company_changes_a_choice() -> None:
    order = np.random.default_rng(1).permutation(len(RECORDS))
    mixed = records_of(take_vms(HISTORY, order))
    assert mixed.tobytes() == RECORDS[order].tobytes()
    best, other = (default_starts(records["quiet"], ALLOWED, 2, 0, 288) for records in (RECORDS, mixed))
    np.testing.assert_array_equal(other, best[order])


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinities_of_one_change_no_byte_of_ten_thousand_others(bad: float) -> None:
    """It is of a kind of its own: what a VM's kind has learned of it is its neighbours' business."""
    mean, kind = np.tile(HISTORY.mean, (218, 1))[:10_000], [0] * 10_000
    mean[6_789], kind[6_789] = HISTORY.mean[20], 1
    whole = records_of(history_of(mean, kind=kind))
    gaps = mean.copy()
    mean[6_789, ::2], gaps[6_789, ::2] = bad, np.nan
    spoiled, holed = (records_of(history_of(one, kind=kind)) for one in (mean, gaps))
    rest = np.delete(np.arange(10_000), 6_789)
    assert spoiled[rest].tobytes() == holed[rest].tobytes() == whole[rest].tobytes()
    assert spoiled["mean"][6_789].tolist() == holed["mean"][6_789].tolist()
    assert spoiled["rung"][6_789] == Rung.CHAMPION
