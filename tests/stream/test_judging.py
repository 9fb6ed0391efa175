"""Judging what was logged: when it is due, once each, after a restart, from stores that moved on meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.conformal import CELLS, cells_of
from models.fleet import Placement
from models.forecast import NO_START
from models.minutes import DAY_MIN, HOUR_MIN, Span
from stream.champion import Champion
from stream.demo import Replay, prepare
from stream.judging import judge_due, judge_row
from stream.live import Fleet
from stream.settings import Settings
from stream.stores.judgements import Judgement, read_judged
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import ForecastRow
from stream.synthetic import DEMO_NOW, SyntheticTrace
from tests.stream.fakes import stores_in
from tests.stream.judged_fleet import (
    DUE,
    FIRST,
    MADE_AT,
    MEASURE,
    MODEL,
    SETTLED_AFTER_MIN,
    judge_yesterday,
    log_yesterday,
)
from tests.stream.small_fleet import BORN, BUSY, DAY, EMPTY, GAPPY, IDLE, IDS, MOVED, fill


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    stores = fill(tmp_path)
    log_yesterday(stores)
    yield stores
    stores.close()


def judge(stores: Stores, now: int) -> int:
    return judge_due(stores, MEASURE, now, SETTLED_AFTER_MIN)


def by_rung(stores: Stores) -> dict[str, Judgement]:
    judge_yesterday(stores)
    return {one.rung: one for one in read_judged(stores.control)[0].judgements}


def verdict(stores: Stores, vm_id: str, block: int = 0) -> dict[str, float]:
    vm = stores.catalogue.find([vm_id])[vm_id]
    (row,) = stores.forecasts.logged(Span(FIRST, FIRST + 1), [block])
    return {name: values[0].item() for name, values in judge_row(stores, MEASURE, row, [vm]).verdicts._asdict().items()}


def test_a_run_is_due_when_its_day_and_the_time_for_late_samples_are_past(stores: Stores) -> None:
    assert judge(stores, DUE - 1) == 0
    assert read_judged(stores.control) == []
    assert judge(stores, DUE) == 1
    (run,) = read_judged(stores.control)
    assert (run.first_minute, run.judged_at, run.minutes) == (FIRST, DUE, 10)


def test_it_is_judged_once_by_whoever_comes_first(stores: Stores, tmp_path: Path) -> None:
    assert judge(stores, DUE) == 1
    before = read_judged(stores.control)
    assert judge(stores, DUE + 600) == 0
    stores.close()
    again = reopened(tmp_path)
    assert judge(again, DUE + 600) == 0
    assert read_judged(again.control) == before
    again.close()


def reopened(folder: Path) -> Stores:
    """The small fleet's stores, as after a restart."""
    url = f"sqlite:{folder / 'fleet.sqlite'}"
    return open_stores(url, url, url)


def test_the_fleet_in_sum(stores: Stores) -> None:
    found = by_rung(stores)
    assert set(found) == {"champion", "hour_of_day"}
    champion = found["champion"]
    assert (champion.model, champion.vms, champion.vm_days) == (MODEL, len(IDS) - 2, 1)  # but DAY all are flat
    assert champion.interval_coverage == pytest.approx((len(IDS) - 3) / (len(IDS) - 2))
    assert champion.confidence_observed == pytest.approx((len(IDS) - 3) / (len(IDS) - 2))
    assert champion.mae_pct == pytest.approx(0.0, abs=1e-4)
    gappy = found["hour_of_day"]
    assert (gappy.vms, gappy.vm_days, gappy.regret_macro, gappy.interval_coverage) == (1, 0, None, 1.0)


def test_one_vm_against_the_best_window_outside_of_its_blackout_hours(stores: Stores) -> None:
    found = verdict(stores, DAY)
    steps = [FIRST + 5 * k for k in range(1, 288)]
    free = [m for m in steps if not 17 * 60 + 15 <= m % DAY_MIN < 19 * 60 + 15]  # 23:00 to 01:00 in Kathmandu
    mean = float(np.mean([10 + m // 60 % 24 for m in free]))
    assert (found["chosen"], found["best"], found["best_start"]) == (16.0, 10.0, 18 * 12)
    assert found["mean"] == pytest.approx(mean)
    assert by_rung(stores)["champion"].regret_macro == pytest.approx(6.0 / (mean - 10.0))
    assert (found["hours"], found["under"]) == (24, 24)


def test_idle_gappy_refused_and_moved_vms(stores: Stores) -> None:
    idle, gappy, moved = verdict(stores, IDLE), verdict(stores, GAPPY), verdict(stores, MOVED, block=1)
    assert (idle["chosen"], idle["best"], idle["mean"], idle["kept"]) == (0.0, 0.0, 0.0, 1.0)
    assert (gappy["hours"], np.isnan(gappy["chosen"]), gappy["kept"]) == (22, True, 1.0)
    assert (verdict(stores, EMPTY)["hours"], verdict(stores, EMPTY)["best_start"]) == (0, NO_START)
    assert moved["chosen"] == 20.0 + IDS.index(MOVED)
    assert (verdict(stores, BUSY)["under"], verdict(stores, BUSY)["kept"]) == (0, 0.0)


def test_a_vm_that_moved_since_is_judged_where_it_was(stores: Stores) -> None:
    life = stores.catalogue.find([IDLE])[IDLE].life
    stores.catalogue.put([life], [Placement(IDLE, BORN, FIRST + 2 * DAY_MIN, "host-z", 2.0, 5, 3)])
    assert verdict(stores, IDLE)["chosen"] == 0.0
    assert by_rung(stores)["champion"].vms == len(IDS) - 2


def test_a_slot_whose_record_is_of_another_life_is_not_judged(stores: Stores) -> None:
    (row,) = stores.forecasts.logged(Span(FIRST, FIRST + 1), [1])
    records = row.records.copy()
    records["created_at"] += 1
    stores.forecasts.put([replace(row, records=records)], log=True)
    vms = stores.catalogue.lives([1])
    assert len(judge_row(stores, MEASURE, replace(row, records=records), vms).slots) == 0
    assert by_rung(stores)["champion"].vms == len(IDS) - 3


def test_what_was_missed_is_judged_oldest_first_but_nothing_older_than_14_days(stores: Stores) -> None:
    for back in (1, 2, 20):
        log_yesterday(stores, FIRST - back * DAY_MIN)
    assert judge_yesterday(stores) == 3
    judged = read_judged(stores.control)
    assert [run.first_minute for run in judged] == [FIRST, FIRST - DAY_MIN, FIRST - 2 * DAY_MIN]
    cell = cells_of(np.array([95.0], np.float32), 1)[0, 0]
    shifts = [run.shifts[MODEL][cell] for run in judged]
    assert shifts[0] < shifts[1] < shifts[2] < 0  # 16 of the 17 VMs of this cell keep under their P90, each day
    assert len(judged[0].shifts[MODEL]) == CELLS


def test_models_of_one_run_are_judged_apart_and_only_the_champions_shift(stores: Stores) -> None:
    (row,) = stores.forecasts.logged(Span(FIRST, FIRST + 1), [1])
    records = row.records.copy()
    records["rung"][records["rung"] > 0] = 2
    stores.forecasts.put([replace(row, model="untrained", records=records)], log=True)
    judge_yesterday(stores)
    (run,) = read_judged(stores.control)
    assert {(one.model, one.rung, one.vms) for one in run.judgements} >= {("untrained", "hour_of_day", 1)}
    assert set(run.shifts) == {MODEL}


def test_nobody_reads_anything_when_nothing_is_due(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_yesterday(stores)
    monkeypatch.setattr(type(stores.series), "read", None)
    assert judge_yesterday(stores) == 0


def test_a_run_of_which_nothing_came_is_judged_as_nothing(stores: Stores) -> None:
    empty = ForecastRow(
        9, FIRST + 60, MADE_AT + 60, MODEL, next(stores.forecasts.logged(Span(FIRST, FIRST + 1))).records
    )
    stores.forecasts.put([empty], log=True)
    assert judge_yesterday(stores) == 2
    assert read_judged(stores.control)[0].judgements == ()


def test_a_demo_that_ran_three_days_has_judgements_and_a_restart_judges_what_was_missed(tmp_path: Path) -> None:
    stores = stores_in(tmp_path)
    fleet = Fleet(stores, Champion(f"file:{tmp_path / 'registry'}", 1, "cpu"), Settings())
    replay, _ = prepare(SyntheticTrace(vms=20, days=3), fleet, lambda *_: None)
    assert [run.first_minute for run in read_judged(stores.control)] == [DEMO_NOW - 30 * HOUR_MIN]
    for now in range(DEMO_NOW + 6 * HOUR_MIN + 3, DEMO_NOW + 72 * HOUR_MIN, 6 * HOUR_MIN):
        live(replay, fleet, now)
    stopped = read_judged(stores.control)
    assert len(stopped) == 1  # nobody judged while it ran
    assert fleet.judge(DEMO_NOW + 72 * HOUR_MIN) == 8  # from DEMO_NOW to 42 hours later
    rungs = {one.rung for run in read_judged(stores.control) for one in run.judgements}
    assert rungs == {"hour_of_day", "kind"}
    stores.close()


def live(replay: Replay, fleet: Fleet, now: int) -> None:
    replay.close_hour(now)
    fleet.forecast(now)
