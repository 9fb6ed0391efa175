"""Yesterday over HTTP: the fleet's judged days, one VM's window against what happened, and the metrics of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from models.minutes import DAY_MIN
from stream import api_examples
from stream.client import Client
from stream.serve import serving
from stream.stores.open import Stores
from tests.stream.judged_fleet import FIRST, MODEL, judge_yesterday, log_yesterday
from tests.stream.small_fleet import BUSY, DAY, EMPTY, GAPPY, IDLE, IDS, MOVED, app_of, ask, fill

REGRET = pytest.approx(6.0 / 10.95, abs=0.0001)  # 16 % where 10 % was the best and 20.95 % the mean
START, END = "2026-03-09T06:00Z", "2026-03-10T06:00Z"


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    stores = fill(tmp_path_factory.mktemp("judged"))
    for back in (1, 0):
        log_yesterday(stores, FIRST - back * DAY_MIN)
    judge_yesterday(stores)
    yield stores
    stores.close()


@pytest.fixture(scope="module")
def app(stores: Stores) -> FastAPI:
    return app_of(stores)


def yesterday(app: FastAPI, vm_id: str) -> dict[str, Any]:
    response = ask(app, f"/v1/vms/{vm_id}/yesterday")
    assert response.status_code == 200, response.text
    said: dict[str, Any] = response.json()
    return said


def test_judged_days_by_rung_the_newest_first(app: FastAPI) -> None:
    said = ask(app, "/v1/judgements").json()["judgements"]
    assert [(one["start"], one["rung"]) for one in said] == [
        (START, "champion"),
        (START, "hour_of_day"),
        ("2026-03-08T06:00Z", "champion"),
        ("2026-03-08T06:00Z", "hour_of_day"),
    ]
    champion = said[0]
    assert (champion["end"], champion["judged_at"], champion["model"]) == (END, "2026-03-10T12:07Z", MODEL)
    assert (champion["vms"], champion["vm_days"], champion["minutes"]) == (len(IDS) - 2, 1, 10)
    assert champion["regret_macro"] == champion["regret_pooled"] == REGRET
    assert champion["interval_coverage"] == champion["confidence_observed"] == round(1 - 1 / (len(IDS) - 2), 4)
    assert said[1]["regret_macro"] is None


def test_as_many_days_as_asked_for(app: FastAPI) -> None:
    assert {one["start"] for one in ask(app, "/v1/judgements?limit=1").json()["judgements"]} == {START}
    assert ask(app, "/v1/judgements?limit=0").status_code == 422


def test_the_window_against_the_best_and_the_days_mean(app: FastAPI) -> None:
    said = yesterday(app, DAY)
    assert (said["start"], said["end"]) == (START, END)
    assert (said["model"], said["rung"], said["reason"]) == (MODEL, "champion", None)
    assert said["chosen"] == {
        "start": "2026-03-09T06:05Z",
        "end": "2026-03-09T06:15Z",
        "minutes": 10,
        "expected_load_pct": 16.0,
        "load_pct": 16.0,
        "confidence": round(65 / 66, 4),
        "max_load_pct": 80.0,
        "within_max_load": True,
    }
    assert (said["best_start"], said["best_load_pct"]) == ("2026-03-10T00:00Z", 10.0)
    assert (said["mean_load_pct"], said["regret"]) == (20.95, REGRET)
    assert (said["hours"], said["hours_under_p90"]) == (24, 24)
    assert said["detail"].startswith("Chosen 16.0 %, at best 10.0 %, the day's mean 2")


@pytest.mark.parametrize(
    ("vm_id", "words"),
    [
        (IDLE, "Chosen 0.0 %, at best 0.0 %, the day's mean 0.0 %. So flat a day has no quiet time to find."),
        (GAPPY, "Too little is known of that day to judge the window by."),
        (EMPTY, "It had no forecast then: NO_DATA."),
    ],
)
def test_why_there_is_no_regret(app: FastAPI, vm_id: str, words: str) -> None:
    said = yesterday(app, vm_id)
    assert (said["detail"], said["regret"]) == (words, None)


def test_a_load_above_the_limit_and_a_vm_that_moved(app: FastAPI) -> None:
    busy = yesterday(app, BUSY)
    assert (busy["chosen"]["within_max_load"], busy["hours_under_p90"]) == (False, 0)
    assert busy["chosen"]["confidence"] < 0.5
    assert yesterday(app, MOVED)["chosen"]["load_pct"] == 20.0 + IDS.index(MOVED)


def test_before_the_first_day_is_over_it_says_so(tmp_path: Path) -> None:
    stores = fill(tmp_path)
    app = app_of(stores)
    assert ask(app, "/v1/judgements").json() == {"judgements": []}
    assert "No day has been judged yet" in yesterday(app, DAY)["detail"]
    assert "zhuge_judged_regret_macro{" not in ask(app, "/metrics").text
    stores.close()


def test_an_unknown_vm_is_not_found(app: FastAPI) -> None:
    assert ask(app, "/v1/vms/nobody/yesterday").status_code == 404


def test_metrics_tell_of_the_newest_judged_day_by_rung(app: FastAPI) -> None:
    lines = dict(line.rsplit(" ", 1) for line in ask(app, "/metrics").text.splitlines() if line.startswith("zhuge_j"))
    assert float(lines['zhuge_judged_vm_days{rung="champion"}']) == 1
    assert float(lines['zhuge_judged_regret_macro{rung="champion"}']) == REGRET
    assert float(lines['zhuge_judged_interval_coverage{rung="hour_of_day"}']) == 1
    assert 'zhuge_judged_regret_macro{rung="hour_of_day"}' not in lines
    for name in ("regret_pooled", "confidence_said", "confidence_observed", "mae_percent"):
        assert f'zhuge_judged_{name}{{rung="champion"}}' in lines


def test_the_client_asks_both(app: FastAPI) -> None:
    with serving(app) as url, Client(url) as client:
        assert client.yesterday(DAY) == yesterday(app, DAY)
        assert len(client.judgements(limit=1)) == 2
        assert len(client.judgements()) == 4


def test_the_examples_have_the_fields_of_the_answers(app: FastAPI) -> None:
    example = api_examples.YESTERDAY_EXAMPLE.model_dump(mode="json")
    assert set(yesterday(app, DAY)) == set(example)
    assert set(yesterday(app, DAY)["chosen"]) == set(example["chosen"])
    (one,) = api_examples.JUDGEMENTS_EXAMPLE.model_dump(mode="json")["judgements"]
    assert set(ask(app, "/v1/judgements").json()["judgements"][0]) == set(one)
