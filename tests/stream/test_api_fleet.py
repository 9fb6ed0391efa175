"""The fleet in one look, over HTTP."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from models.minutes import Clock
from stream.clock import write_clock
from stream.stores.open import Stores, open_stores
from tests.stream.small_fleet import IDS, MODEL, app_of, ask


def test_the_fleet_by_rung_and_by_reason(app: FastAPI) -> None:
    fleet = ask(app, "/v1/fleet").json()
    assert fleet["vms"] == len(IDS)
    assert {entry["rung"]: entry["vms"] for entry in fleet["rungs"]} == {
        "champion": len(IDS) - 3,
        "hour_of_day": 1,
        "kind": 0,
        "refused": 2,
    }
    counted = {entry["reason"]: entry["vms"] for entry in fleet["reasons"] if entry["vms"]}
    assert counted == {"NO_DATA": 1, "STALE": 1, "GAPS": 1}
    assert all(entry["meaning"] for entry in [*fleet["rungs"], *fleet["reasons"]])


def test_the_fleet_says_how_fresh_it_is(app: FastAPI) -> None:
    fleet = ask(app, "/v1/fleet").json()
    assert (fleet["now"], fleet["data_through"], fleet["age_min"]) == ("2026-03-10T12:07Z", "2026-03-10T12:00Z", 7)
    assert (fleet["made_at"], fleet["model"], fleet["speed"]) == ("2026-03-10T12:04Z", MODEL, 1.0)
    assert (fleet["data_coverage_7d"], fleet["stale"]) == (0.95, False)


def test_the_fleet_goes_stale_by_the_clock(stores: Stores) -> None:
    fleet = ask(app_of(stores, minutes_later=200), "/v1/fleet").json()
    assert fleet["stale"]
    assert {entry["rung"]: entry["vms"] for entry in fleet["rungs"]}["refused"] == len(IDS)


def test_its_next_windows_by_hour(app: FastAPI) -> None:
    answer = ask(app, "/v1/fleet/windows").json()
    assert [hour["start"] for hour in answer["hours"][:2]] == ["2026-03-10T12:00Z", "2026-03-10T13:00Z"]
    assert len(answer["hours"]) == 25
    by_hour = {hour["start"][11:16]: hour for hour in answer["hours"][:24]}
    # A flat VM's quietest start is the first that its forecast allows, 12:10; the one with a shape has it at midnight.
    assert {start: hour["windows"] for start, hour in by_hour.items() if hour["windows"]} == {
        "12:00": len(IDS) - 3,
        "00:00": 1,
    }
    assert (by_hour["00:00"]["window_load_pct"], by_hour["01:00"]["window_load_pct"]) == (10.0, None)
    assert answer["without_window"] == 2


def test_a_window_that_has_passed_is_no_next_one(stores: Stores) -> None:
    answer = ask(app_of(stores, minutes_later=60), "/v1/fleet/windows").json()
    assert sum(hour["windows"] for hour in answer["hours"]) == 1
    assert answer["hours"][0]["start"] == "2026-03-10T13:00Z"


def test_an_empty_fleet_is_an_answer_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    url = f"sqlite:{tmp_path_factory.mktemp('empty') / 'fleet.sqlite'}"
    stores = open_stores(url, url, url)
    write_clock(stores.control, Clock(origin_minute=29_552_400))
    app = app_of(stores)
    fleet = ask(app, "/v1/fleet").json()
    assert (fleet["vms"], fleet["stale"], fleet["data_through"], fleet["data_coverage_7d"]) == (0, True, None, None)
    assert fleet["speed"] is None
    hours = ask(app, "/v1/fleet/windows").json()
    assert all((hour["windows"], hour["fleet_load_pct"]) == (0, None) for hour in hours["hours"])
    assert ask(app, "/v1/vms").json() == {"vms": [], "next": None}
    stores.close()
