"""The API as a whole: fed and forecast to answered, health, metrics, problems and the description."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from models.baseline import HourOfDay, KindProfile
from models.calibration import DEFAULT
from models.minutes import HOUR_MIN, Clock, format_iso
from stream.answer import Limits
from stream.api import Deps, create_app
from stream.clock import write_clock
from stream.due import Rules
from stream.forecasting import Plan, forecast_fleet
from stream.ingest import Ingest
from stream.stores.open import Stores
from tests.stream.fakes import LogSource, at, log_of, stores_in
from tests.stream.small_fleet import DAY, END, MODEL, NOW, app_of, ask, fill

START = 60 * 24 * 20_000
FED_END = START + 8 * 1440
STANDING = {"vm_id", "rung", "reason", "data_through", "made_at", "model", "data_coverage_7d", "age_min"}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    stores = fill(tmp_path_factory.mktemp("fleet"))
    yield stores
    stores.close()


@pytest.fixture(scope="module")
def app(stores: Stores) -> FastAPI:
    return app_of(stores)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Stores]:
    stores = stores_in(tmp_path)
    write_clock(stores.control, Clock(speed=0.0, origin_minute=NOW))
    yield stores
    stores.close()


def app_over(stores: Stores) -> FastAPI:
    return create_app(Deps(stores, Limits(), lambda _model: DEFAULT, lambda: 0.0))


def got(app: FastAPI, path: str) -> dict[str, Any]:
    response = ask(app, path)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_samples_that_are_fed_and_forecast_are_answered(empty: Stores) -> None:
    """Load 30 % but for the hour of 05:00, which is idle; one hour of it is missing."""
    gap = FED_END - 2 * HOUR_MIN
    hours = [hour for hour in range(START, FED_END, HOUR_MIN) if hour != gap]
    samples = [[(0, at(m), 0.0 if hour % 1440 == 300 else 30.0) for m in range(hour, hour + 60, 5)] for hour in hours]
    write_clock(empty.control, Clock())
    ingest = Ingest(LogSource([("vm 1/a", "h1")], [log_of(*samples)], 5), empty, Rules(), lambda: float(at(10**9)))
    while ingest.behind:
        ingest.step()
    write_clock(empty.control, Clock(speed=0.0, origin_minute=FED_END + 3))
    ingest.step()
    forecast_fleet(empty, Plan([HourOfDay(), KindProfile()], "floor", FED_END, FED_END + 3), lambda *_: None)
    app, path = app_over(empty), "/v1/vms/vm%201%2Fa"
    assert got(app, f"{path}/window")["best"]["start"] == format_iso(FED_END + 300)
    assert len(got(app, f"{path}/forecast")["mean_pct"]) == 26
    history = got(app, f"{path}/history")
    assert (history["mean_pct"][-2:], history["count"][-2:]) == ([None, 30.0], [0, 12])
    assert (history["mean_pct"][-19], history["count"][-19]) == (0.0, 12)
    write_clock(empty.control, Clock(speed=0.0, origin_minute=FED_END + 3 + 4 * HOUR_MIN))
    for suffix in ("", "/window", "/forecast", "/history"):
        answer = got(app, path + suffix)
        assert (answer["rung"], answer["reason"], answer["age_min"]) == ("refused", "STALE", 243)
        assert (answer["data_through"], answer["model"]) == (format_iso(FED_END), "floor")


@pytest.mark.parametrize("suffix", ["", "/window", "/forecast", "/history"])
def test_each_answer_about_a_vm_says_who_answers_and_on_which_data(app: FastAPI, suffix: str) -> None:
    answer = got(app, f"/v1/vms/{DAY}{suffix}")
    assert {name: answer[name] for name in STANDING} == {
        "vm_id": DAY,
        "rung": "champion",
        "reason": None,
        "data_through": format_iso(END),
        "made_at": format_iso(END + 4),
        "model": MODEL,
        "data_coverage_7d": 0.95,
        "age_min": 7,
    }


def test_an_empty_fleet_is_alive_but_not_ready_and_says_so(empty: Stores) -> None:
    app = app_over(empty)
    assert got(app, "/healthz") == {"status": "ok"}
    response = ask(app, "/readyz")
    assert (response.status_code, response.json()["what"]) == (503, "forecasts")
    assert "zhuge forecast" in response.json()["remedy"]
    assert ask(app, "/metrics").status_code == 200


def test_a_fleet_with_forecasts_is_ready(app: FastAPI) -> None:
    assert got(app, "/readyz") == {"status": "ok"}


def test_metrics_count_requests_by_route_and_never_by_id(stores: Stores) -> None:
    app = app_of(stores)
    for vm_id in (DAY, "nobody"):
        ask(app, f"/v1/vms/{vm_id}/window")
    text = ask(app, "/metrics").text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    route = "/v1/vms/{vm_id}/window"
    assert samples["zhuge_requests_total", *sorted((route, "200", "GET"))] == 1
    assert samples["zhuge_requests_total", *sorted((route, "404", "GET"))] == 1
    assert samples["zhuge_vms_by_rung", "refused"] == 2
    assert samples["zhuge_vms_by_reason", "GAPS"] == 1
    assert (samples["zhuge_data_age_seconds",], samples["zhuge_data_coverage_7d",]) == (420.0, 0.95)
    assert DAY not in text
    assert "nobody" not in text


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/v1/vms/nobody", None, 404),
        ("GET", "/v1/nothing", None, 404),
        ("GET", "/v1/vms/", None, 404),
        ("GET", f"/v1/vms/{DAY}/window?minutes=500", None, 422),
        ("POST", "/v1/windows", b"{", 400),
        ("POST", "/v1/windows", b"\xff", 400),
        ("DELETE", f"/v1/vms/{DAY}", None, 405),
        ("GET", "/v1/windows", None, 405),
        ("POST", "/v1/windows", b" " * (17 * 2**20), 413),
    ],
)
def test_every_refusal_is_a_problem(app: FastAPI, method: str, path: str, content: bytes | None, status: int) -> None:
    response = ask(app, path, method, content=content, headers={"content-type": "application/json"})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert all(body[name] for name in ("type", "title", "what", "expected", "got", "remedy"))
    assert ("allow" in response.headers) == (status == 405)


def test_a_body_that_does_not_say_how_long_it_is_has_a_limit_too(app: FastAPI) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 2**20

    response = ask(app, "/v1/windows", "POST", content=chunks(), headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["title"]) == (413, "Request too large")


def test_the_description_is_complete(app: FastAPI) -> None:
    paths = got(app, "/openapi.json")["paths"]
    assert set(paths) == {
        *(f"/v1/vms{rest}" for rest in ("", "/{vm_id}", "/{vm_id}/window", "/{vm_id}/forecast", "/{vm_id}/history")),
        *("/v1/vms/{vm_id}/yesterday", "/v1/judgements"),
        *("/v1/windows", "/v1/fleet", "/v1/fleet/windows", "/healthz", "/readyz", "/metrics"),
    }
    operations = {(path, method): told for path, one in paths.items() for method, told in one.items()}
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    for (path, _), operation in operations.items():
        assert operation["summary"]
        assert operation["description"]
        answers = operation["responses"]
        refusals = {code: answer for code, answer in answers.items() if code >= "400"}
        assert all("application/problem+json" in answer["content"] for answer in refusals.values())
        if path.startswith("/v1"):
            assert refusals
            assert answers["200"]["content"]["application/json"]["example"]
