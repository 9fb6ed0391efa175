"""The migration controller's question, over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from models.calibration import DEFAULT
from models.forecast import HOURS
from models.minutes import DAY_MIN, format_iso
from stream.stores.open import Stores
from tests.models.given import regretting
from tests.stream.small_fleet import BUSY, DAY, EMPTY, GAPPY, IDLE, IDS, MODEL, MOVED, NOW, OLD, app_of, ask, fill


def window(app: FastAPI, vm_id: str, **question: str | float | list[str]) -> dict[str, Any]:
    response = ask(app, f"/v1/vms/{vm_id}/window", params=question)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_the_best_window_with_who_says_so_and_on_which_data(app: FastAPI) -> None:
    got = window(app, DAY)
    assert got["best"] == {
        "start": "2026-03-11T00:00Z",
        "end": "2026-03-11T00:10Z",
        "minutes": 10,
        "expected_load_pct": 10.0,
        "p90_load_pct": 12.0,
        "confidence": pytest.approx(65 / 66, abs=1e-4),
        "regret_expected": None,
        "acceptable": True,
        "violates": [],
        "source": "forecast",
    }
    assert (got["now"]["start"], got["now"]["expected_load_pct"]) == ("2026-03-10T12:07Z", 22.0)
    assert got["earliest_acceptable"]["start"] == "2026-03-10T12:10Z"
    assert [w["start"][11:16] for w in got["alternatives"]] == ["00:00", "00:10", "00:20"]
    assert not got["flagged"]
    assert {name: got[name] for name in ("rung", "reason", "model", "data_through", "made_at")} == {
        "rung": "champion",
        "reason": None,
        "model": MODEL,
        "data_through": "2026-03-10T12:00Z",
        "made_at": "2026-03-10T12:04Z",
    }
    assert (got["data_coverage_7d"], got["age_min"]) == (0.95, 7)


def test_the_regret_to_expect_is_told_where_it_is_known(app: FastAPI, stores: Stores) -> None:
    known = app_of(stores, calibration=regretting(DEFAULT))
    got = window(known, DAY)
    hope = (sum(10.0 + hour % 24 for hour in range(12, 12 + HOURS)) / HOURS - 10.0) / 2
    assert got["best"]["regret_expected"] == pytest.approx(max(1 - hope / 10, 0.3), abs=1e-4)
    assert got["now"]["regret_expected"] == 1.0
    assert "regret_expected" in known.openapi()["components"]["schemas"]["WindowOut"]["properties"]
    assert window(known, GAPPY)["best"]["regret_expected"] is None  # not the champion's


def test_every_part_of_the_question_is_heard(app: FastAPI) -> None:
    got = window(
        app, DAY, **{"from": "2026-03-10T20:00+05:45"}, deadline="2026-03-10T16:00Z", minutes=30, max_load=25, k=2
    )
    assert got["best"]["start"] == "2026-03-10T14:15Z"
    assert got["best"]["minutes"] == 30
    assert len(got["alternatives"]) == 2
    assert window(app, DAY, min_confidence=1)["flagged"]


def test_blackout_of_policy_and_question_are_local_hours(app: FastAPI) -> None:
    in_policy = window(app, DAY, **{"from": "2026-03-10T17:15Z"}, deadline="2026-03-10T19:15Z")
    assert in_policy["flagged"]
    assert in_policy["best"]["violates"] == ["blackout"]
    # 00:00-05:00 UTC is 05:45-10:45 in Kathmandu
    asked = window(app, DAY, blackout=["05:45-08:00", "08:00-10:45"])
    assert asked["best"]["start"] == "2026-03-11T05:00Z"


def test_beyond_24_hours_the_usual_week_answers_and_is_marked(app: FastAPI) -> None:
    asked: dict[str, str | float | list[str]] = {"from": "2026-03-12T14:00Z", "deadline": "2026-03-13T12:00Z"}
    got = window(app, DAY, **asked)
    assert (got["best"]["start"], got["best"]["source"]) == ("2026-03-13T00:00Z", "weekday")
    assert got["best"]["expected_load_pct"] == pytest.approx(10.0, abs=0.01)
    assert "marked weekday" in got["detail"]
    week = window(app, DAY, deadline="2026-03-17T12:00Z", blackout=["tue-wed 00:00-24:00"])
    assert (week["now"]["source"], week["now"]["violates"]) == ("forecast", ["blackout"])
    assert {one["source"] for one in week["alternatives"]} == {"weekday"}
    # Wednesday ends at 18:15 UTC in Kathmandu, where the policy's 23:00-01:00 bars another hour
    assert week["earliest_acceptable"]["start"] == "2026-03-11T19:15Z"


def test_many_are_answered_beyond_24_hours_as_one_is(app: FastAPI) -> None:
    ids = [DAY, "no such", IDLE, EMPTY, OLD, DAY, MOVED]
    response = ask(app, "/v1/windows", "POST", json={"ids": ids, "deadline": "2026-03-15T12:00Z", "k": 2})
    answers = response.json()["answers"]
    assert [answer["vm_id"] for answer in answers] == ids
    assert [answer["reason"] for answer in answers] == [None, "UNKNOWN", None, "NO_DATA", "STALE", None, None]
    for answer in (answers[0], answers[2], answers[6]):
        assert answer == window(app, answer["vm_id"], deadline="2026-03-15T12:00Z", k=2)


def test_an_idle_vm_is_expected_at_zero_not_at_nothing(app: FastAPI) -> None:
    got = window(app, IDLE)
    assert (got["best"]["expected_load_pct"], got["now"]["expected_load_pct"]) == (0.0, 0.0)


def test_where_nothing_fits_the_least_bad_is_flagged(app: FastAPI) -> None:
    got = window(app, BUSY)
    assert (got["flagged"], got["reason"], got["earliest_acceptable"]) == (True, "CONSTRAINTS", None)
    assert got["best"]["violates"] == ["max_load"]
    assert not got["best"]["acceptable"]


@pytest.mark.parametrize(
    ("vm_id", "rung", "reason"),
    [(EMPTY, "refused", "NO_DATA"), (OLD, "refused", "STALE"), (GAPPY, "hour_of_day", "GAPS")],
)
def test_a_lower_rung_says_why(app: FastAPI, vm_id: str, rung: str, reason: str) -> None:
    got = window(app, vm_id)
    assert (got["rung"], got["reason"]) == (rung, reason)
    assert (got["best"] is None) == (rung == "refused")
    assert got["detail"]


def test_an_answer_goes_stale_by_the_clock_alone(stores: Stores) -> None:
    assert window(app_of(stores, minutes_later=180 - 7), DAY)["rung"] == "champion"
    assert window(app_of(stores, minutes_later=181 - 7), DAY)["reason"] == "STALE"


def test_a_changed_forecast_changes_the_answer(tmp_path: Path) -> None:
    stores = fill(tmp_path)
    app = app_of(stores)
    assert window(app, DAY)["best"]["start"] == "2026-03-11T00:00Z"
    row = next(iter(stores.forecasts.latest()))
    records = row.records.copy()
    records["quiet"][0] = 0
    records["quiet"][0, 24:26] = 255  # 14:00
    stores.forecasts.put([replace(row, made_at=row.made_at + 1, records=records)], log=False)
    assert window(app, DAY)["best"]["start"] == "2026-03-10T14:00Z"
    stores.close()


@pytest.mark.parametrize(
    ("question", "what"),
    [
        ({"minutes": 9}, "minutes"),
        ({"minutes": 121}, "minutes"),
        ({"minutes": "ten"}, "minutes"),
        ({"k": 0}, "k"),
        ({"k": 21}, "k"),
        ({"max_load": 101}, "max_load"),
        ({"max_load": "nan"}, "max_load"),
        ({"min_confidence": "-inf"}, "min_confidence"),
        ({"from": "2026-03-10T12:00"}, "from"),
        ({"from": ""}, "from"),
        ({"from": "9999-12-31T23:59-23:59"}, "from"),
        ({"from": "0001-01-01T00:00+23:59"}, "from"),
        ({"from": format_iso(NOW + 2 * DAY_MIN)}, "start"),
        ({"from": format_iso(NOW + 7 * DAY_MIN), "deadline": format_iso(NOW + 8 * DAY_MIN)}, "start"),
        ({"deadline": "yesterday"}, "deadline"),
        ({"deadline": format_iso(NOW - 1)}, "deadline"),
        ({"blackout": "25:00-26:00"}, "blackout"),
        ({"minuts": 10}, "minuts"),
    ],
)
def test_a_question_that_cannot_be_right_is_refused_by_name(
    app: FastAPI, question: dict[str, str | int], what: str
) -> None:
    response = ask(app, f"/v1/vms/{DAY}/window", params=question)
    assert response.status_code == 422, response.text
    assert response.json()["what"].startswith(what)


def test_a_question_of_many_is_answered_one_by_one_in_order(app: FastAPI) -> None:
    ids = [DAY, "no such", IDLE, "x" * 300, DAY, *IDS]
    response = ask(app, "/v1/windows", "POST", json={"ids": ids, "minutes": 30, "k": 1})
    answers = response.json()["answers"]
    assert response.status_code == 200
    assert [answer["vm_id"] for answer in answers] == ids
    assert [answer["reason"] for answer in answers[:5]] == [None, "UNKNOWN", None, "UNKNOWN", None]
    assert answers[0] == answers[4] == window(app, DAY, minutes=30, k=1)


def test_ten_thousand_ids_are_one_request(app: FastAPI) -> None:
    ids = [DAY, *(f"vm-{i}" for i in range(9_999))]
    response = ask(app, "/v1/windows", "POST", json={"ids": ids})
    assert len(response.json()["answers"]) == 10_000


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"ids": []}, "ids"),
        ({"ids": ["vm"] * 10_001}, "ids"),
        ({"ids": "vm"}, "ids"),
        ({"ids": [1]}, "ids.0"),
        ({"ids": ["\ud800"]}, "ids.0"),
        ({}, "ids"),
        ({"ids": ["vm"], "minutes": 5}, "minutes"),
        ({"ids": ["vm"], "colour": "red"}, "colour"),
        ([], "request body"),
    ],
)
def test_a_body_that_cannot_be_right_is_refused_by_name(app: FastAPI, body: object, what: str) -> None:
    headers = {"content-type": "application/json"}
    response = ask(app, "/v1/windows", "POST", content=json.dumps(body), headers=headers)
    assert response.status_code == 422, response.text
    assert response.json()["what"] == what


def test_the_settings_say_how_long_a_window_is_where_the_question_does_not(stores: Stores) -> None:
    app = app_of(stores)
    app.state.zhuge = replace(app.state.zhuge, deps=replace(app.state.zhuge.deps, default_minutes=45))
    assert window(app, DAY)["best"]["minutes"] == 45
