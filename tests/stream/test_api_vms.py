"""Who the VMs are, what they did and what they are expected to do."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from models.minutes import HOUR_MIN, STEP_MIN, format_iso
from tests.stream.small_fleet import (
    BORN,
    DAY,
    EMPTY,
    END,
    GAPPY,
    HISTORY_HOURS,
    IDLE,
    IDS,
    MOVED,
    MOVED_AT,
    OLD,
    ask,
    load_pct,
)


def got(app: FastAPI, path: str, **params: str | int) -> dict[str, Any]:
    response = ask(app, path, params=params)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_pages_of_ids_follow_one_another_to_the_end(app: FastAPI) -> None:
    seen, cursor = [], ""
    while True:
        page = got(app, "/v1/vms", limit=4, cursor=cursor)
        assert len(page["vms"]) <= 4
        seen += [vm["vm_id"] for vm in page["vms"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert seen == sorted(IDS)


def test_a_last_page_that_is_full_has_no_next(app: FastAPI) -> None:
    page = got(app, "/v1/vms", prefix="vm-", limit=7)
    assert (len(page["vms"]), page["next"]) == (7, None)


def test_a_list_says_who_answers_for_each(app: FastAPI) -> None:
    by_id = {vm["vm_id"]: vm for vm in got(app, "/v1/vms", prefix="vm-")["vms"]}
    assert (by_id[DAY]["rung"], by_id[DAY]["reason"], by_id[DAY]["host"]) == ("champion", None, "host-0")
    assert (by_id[OLD]["rung"], by_id[OLD]["reason"]) == ("refused", "STALE")
    assert by_id[MOVED]["host"] == "host-new"


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"limit": "all"}, {"prefix": "x" * 256}])
def test_a_page_that_cannot_be_is_refused(app: FastAPI, params: dict[str, str | int]) -> None:
    assert ask(app, "/v1/vms", params=params).status_code == 422


def test_a_vm_with_its_life_policy_and_freshness(app: FastAPI) -> None:
    vm = got(app, f"/v1/vms/{DAY}")
    assert vm["policy"] == {
        "timezone": "Asia/Kathmandu",
        "blackout": ["23:00-01:00"],
        "max_load_pct": None,
        "opt_out": False,
    }
    assert (vm["created_at"], vm["memory_mb"], vm["vcpus"]) == (format_iso(BORN), 8192, 2.0)
    assert (vm["data_through"], vm["age_min"], vm["data_coverage_7d"]) == ("2026-03-10T12:00Z", 7, 0.95)


def test_a_moved_vm_shows_both_placements(app: FastAPI) -> None:
    vm = got(app, f"/v1/vms/{MOVED}")
    assert [place["host"] for place in vm["placements"]] == [f"host-{IDS.index(MOVED)}", "host-new"]
    assert vm["placements"][1]["since"] == format_iso(MOVED_AT)


def test_history_is_fourteen_days_of_hours_by_default(app: FastAPI) -> None:
    history = got(app, f"/v1/vms/{DAY}/history")
    begin = END - HISTORY_HOURS * HOUR_MIN
    assert (history["start"], history["step_min"]) == (format_iso(begin), 60)
    assert history["mean_pct"] == [load_pct(DAY, begin + i * HOUR_MIN) for i in range(HISTORY_HOURS)]
    assert history["count"] == [60] * HISTORY_HOURS


def test_zero_stays_zero_and_a_gap_is_null(app: FastAPI) -> None:
    assert got(app, f"/v1/vms/{IDLE}/history")["mean_pct"] == [0.0] * HISTORY_HOURS
    gappy = got(app, f"/v1/vms/{GAPPY}/history", **{"from": "2026-03-10T02:00Z", "to": "2026-03-10T06:00Z"})
    assert gappy["mean_pct"] == [5.0, None, None, 5.0]
    assert gappy["count"] == [60, 0, 0, 60]


def test_history_follows_a_move(app: FastAPI) -> None:
    history = got(app, f"/v1/vms/{MOVED}/history")
    assert history["mean_pct"] == [load_pct(MOVED, 0)] * HISTORY_HOURS


def test_both_ends_are_widened_to_whole_steps(app: FastAPI) -> None:
    history = got(app, f"/v1/vms/{DAY}/history", step="5m", **{"from": "2026-03-10T10:03Z", "to": "2026-03-10T10:31Z"})
    assert (history["start"], history["step_min"]) == ("2026-03-10T10:00Z", STEP_MIN)
    assert history["mean_pct"] == [None] * 7


@pytest.mark.parametrize(
    "params",
    [
        {"step": "1m"},
        {"from": "2026-03-10T12:00Z", "to": "2026-03-10T12:00Z"},
        {"from": "2026-03-10T12:00Z", "to": "2026-03-09T12:00Z"},
        {"from": "2020-03-10T12:00Z"},
        {"step": "5m", "from": "2026-01-01T00:00Z"},
        {"to": "2026-03-10"},
        {"to": "1773144000"},
    ],
)
def test_a_span_that_cannot_be_is_refused(app: FastAPI, params: dict[str, str]) -> None:
    response = ask(app, f"/v1/vms/{DAY}/history", params=params)
    assert response.status_code == 422, response.text
    assert response.json()["what"] in ("step", "from and to", "to")


def test_a_forecast_hour_by_hour_and_start_by_start(app: FastAPI) -> None:
    forecast = got(app, f"/v1/vms/{DAY}/forecast")
    expected = [load_pct(DAY, END + k * HOUR_MIN) for k in range(26)]
    assert (forecast["start"], forecast["step_min"]) == ("2026-03-10T12:00Z", 60)
    assert forecast["mean_pct"] == forecast["p50_pct"] == expected
    assert forecast["p90_pct"] == [load + 2 for load in expected]
    assert len(forecast["quiet"]) == 26 * 12
    assert (forecast["quiet"][144], forecast["quiet"][0]) == (255, round(255 * (1 - 12 / 23)))


@pytest.mark.parametrize(("vm_id", "reason"), [(EMPTY, "NO_DATA"), (OLD, "STALE")])
def test_a_refused_forecast_is_empty_and_says_why(app: FastAPI, vm_id: str, reason: str) -> None:
    forecast = got(app, f"/v1/vms/{vm_id}/forecast")
    assert (forecast["rung"], forecast["reason"]) == ("refused", reason)
    assert (forecast["start"], forecast["p50_pct"], forecast["quiet"]) == (None, [], [])
