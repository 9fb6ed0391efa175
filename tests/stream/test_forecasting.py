"""From stored hours to answers: a moved VM has one history, a reused id is another life, a resize a new regime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.baseline import HourOfDay, KindProfile
from models.calibration import DEFAULT
from models.fleet import Policy, VmRecord
from models.forecast import HOURS, Forecaster, History, Prediction, Rung
from models.minutes import Clock, Span
from stream.answer import Answer, Limits, answer
from stream.api_deps import subjects
from stream.clock import write_clock
from stream.due import Rules
from stream.forecasting import Outcome, Plan, forecast_fleet
from stream.ingest import Ingest
from stream.question import Question
from stream.samples import Batch
from stream.stores.history import read_history, read_steps
from stream.stores.open import Stores
from tests.stream.fakes import LogSource, Sample, at, following, log_of

START = 60 * 24 * 20_000
DAYS = 4
END = START + DAYS * 1440


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    yield from following(tmp_path)


def feed(stores: Stores, keys: list[tuple[str, str]], log: list[list[Batch]], end: int = END) -> Ingest:
    """Take the whole log, every 5 minutes a sample, and close everything before `end`."""
    ingest = Ingest(LogSource(keys, log, interval_min=5), stores, Rules(), lambda: float(at(END + 10**6)))
    while ingest.behind:
        ingest.step()
    write_clock(stores.control, Clock(speed=0.0, origin_minute=end + 3))
    ingest.step()
    return ingest


def hourly(key: int, first: int, last: int, load: float) -> list[list[Sample]]:
    return [[(key, at(m), load) for m in range(h, min(h + 60, last), 5)] for h in range(first, last, 60)]


def forecast(stores: Stores, forecasters: list[Forecaster] | None = None, end: int = END) -> Outcome:
    ladder: list[Forecaster] = [HourOfDay(), KindProfile()] if forecasters is None else forecasters
    return forecast_fleet(stores, Plan(ladder, "test", end, end + 3), lambda *_: None)


def asked(stores: Stores, vm_id: str, question: Question = Question()) -> Answer:  # noqa: B008 (frozen)
    return answer(subjects(stores, [vm_id])[0], question, END + 3, Limits(), DEFAULT)


def test_a_moved_vm_has_one_history(stores: Stores) -> None:
    moved = START + 2 * 1440
    log = [log_of(*hourly(0, START, moved, 10.0)), log_of(*hourly(1, moved, END, 20.0), part=1)]
    feed(stores, [("vm", "h1"), ("vm", "h2")], log)
    (vm,) = stores.catalogue.lives()
    assert [p.host for p in vm.placements] == ["h1", "h2"]
    assert vm.placements[0].block != vm.placements[1].block
    mean, count = read_steps(stores.series, vm, 60, Span(START, END))
    assert mean.tolist() == [10.0] * 48 + [20.0] * 48
    assert count.tolist() == [12] * 96
    assert forecast(stores).rungs == {"hour_of_day": 1}


def test_a_reused_id_is_another_life(stores: Stores) -> None:
    again = START + 9 * 1440
    log = log_of(*hourly(0, START, START + 300, 90.0), *hourly(0, again, again + 1440, 5.0))
    feed(stores, [("vm", "h1")], [log], again + 1440)
    lives = stores.catalogue.lives()
    assert [vm.life.created_at for vm in lives] == [START, again]
    assert lives[0].current.row != lives[1].current.row
    history = read_history(stores.series, [lives[1]], again + 1440, 336)
    assert np.nanmax(history.mean) == 5.0
    assert forecast(stores, end=again + 1440).vms == 1


def test_a_resize_starts_a_new_regime(stores: Stores) -> None:
    resized = START + 3 * 1440
    records = {0: [VmRecord("vm", "h1", START, vcpus=2)], 72: [VmRecord("vm", "h1", resized, vcpus=4)]}
    batches = hourly(0, START, resized, 80.0) + hourly(0, resized, END, 40.0)
    feed(stores, [("vm", "h1")], [log_of(*batches, records=records)])
    (vm,) = stores.catalogue.lives()
    history = read_history(stores.series, [vm], END, 336)
    assert np.count_nonzero(history.count) == 24
    forecast(stores)
    found = asked(stores, "vm")
    assert found.best is not None
    assert found.best.expected_load_pct == pytest.approx(40.0, abs=0.1)


class Fixed:
    """Quiet in one hour, busy in the others."""

    name, rung = "fixed", Rung.HOUR_OF_DAY

    def __init__(self, quiet_hour: int) -> None:
        self._quiet = quiet_hour

    def predict(self, history: History) -> Prediction:
        loads = np.full((len(history.mean), HOURS), 50, dtype=np.float32)
        loads[:, self._quiet] = 1
        return Prediction(loads, loads, loads + 5, loads)


def test_a_changed_forecast_changes_the_answer(stores: Stores) -> None:
    feed(stores, [("vm", "h1")], [log_of(*hourly(0, START, END, 10.0))])
    for quiet_hour in (7, 13):
        forecast(stores, [Fixed(quiet_hour)])
        best = asked(stores, "vm").best
        assert best is not None
        assert best.start == END + quiet_hour * 60


def test_blackout_hours_of_the_inventory_are_local(stores: Stores) -> None:
    policy = Policy("Asia/Kathmandu", ("00:00-12:45",))  # to 07:00 UTC: Kathmandu is at +05:45
    record = VmRecord("vm", "h1", START, policy=policy)
    feed(stores, [("vm", "h1")], [log_of(*hourly(0, START, END, 0.0), records={0: [record]})])
    outcome = forecast(stores)
    assert (outcome.forecasts, outcome.windows) == (1, 1)
    best = asked(stores, "vm").best
    assert best is not None
    assert best.start == END + 7 * 60
    assert best.expected_load_pct == 0.0


def test_a_vm_younger_than_an_hour_is_refused_as_too_short(stores: Stores) -> None:
    young = [(0, at(END + m), 5.0) for m in range(3)]
    feed(stores, [("new", "h1"), ("old", "h1")], [log_of(*hourly(1, START, END, 5.0), young)])
    outcome = forecast(stores)
    assert outcome.refused == {"SHORT_HISTORY": 1}
    assert asked(stores, "new").reason == "SHORT_HISTORY"


def test_a_vm_that_spikes_at_the_hour_never_gets_a_window_over_it(stores: Stores) -> None:
    batches = [[(0, at(m), 60.0 if m % 60 == 0 else 5.0) for m in range(h, h + 60, 5)] for h in range(START, END, 60)]
    feed(stores, [("cron", "h1")], [log_of(*batches)])
    forecast(stores)
    found = asked(stores, "cron", Question(minutes=30, k=10))
    assert len(found.alternatives) == 10
    for window in found.alternatives:
        minutes = range(window.start, window.start + window.minutes)
        assert not any(minute % 60 < 5 for minute in minutes)
