"""Errors in words, the page's assets and what arms them; `test_api_whole.py` tests health, metrics and description."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from models.errors import SetError, StoreError
from stream import api_examples
from stream.stores.open import Stores
from stream.stores.sqlite_catalogue import SqliteCatalogue
from tests.stream.small_fleet import DAY, app_of, ask, fill


def problem(app: FastAPI, path: str, method: str = "GET", **content: Any) -> dict[str, Any]:  # noqa: ANN401
    response = ask(app, path, method, **content)
    assert response.headers["content-type"] == "application/problem+json", response.text
    said: dict[str, Any] = response.json()
    assert set(said) == {"type", "title", "status", "what", "expected", "got", "remedy"}
    assert said["status"] == response.status_code
    return said


@pytest.mark.parametrize(
    "path",
    [
        "/v1/vms//window",
        "/v1/%76ms/vm-day",
        "/page/../api.py",
        "/page/%2e%2e/api.py",
        "/page/",
        "/docs",
        "/redoc",
    ],
)
def test_an_address_that_is_not_there_is_not_found(app: FastAPI, path: str) -> None:
    assert problem(app, path)["status"] == 404


def test_a_wrong_method_says_which_is_right(app: FastAPI) -> None:
    assert ask(app, "/v1/windows").headers["allow"] == "POST"
    assert problem(app, "/v1/windows")["expected"] == "POST"


def test_several_faults_are_named_together(app: FastAPI) -> None:
    said = problem(app, f"/v1/vms/{DAY}/window", params={"k": 0, "minutes": 1, "max_load": -1})
    assert "Then mend" in said["remedy"]
    assert {"k", "minutes", "max_load"} <= {said["what"], *re.findall(r"\w+", said["remedy"])}


def failing(stores: Stores, error: Exception, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """The app over stores whose catalogue raises `error`."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(SqliteCatalogue, "find", fail)
    return app_of(stores)


@pytest.mark.parametrize("kind", [StoreError, SetError])
def test_a_store_that_fails_is_a_503_in_its_own_words(
    stores: Stores, kind: type[StoreError | SetError], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = kind("store x", expected="room on the disk", got="none", remedy="Free some space.")
    said = problem(failing(stores, error, monkeypatch), f"/v1/vms/{DAY}")
    assert (said["status"], said["what"], said["remedy"]) == (503, "store x", "Free some space.")


def test_a_fault_of_ours_is_a_500_that_shows_nothing_of_itself(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    said = problem(failing(stores, RuntimeError("secret"), monkeypatch), f"/v1/vms/{DAY}")
    assert said["status"] == 500
    assert "secret" not in str(said)


def test_no_answer_holds_a_nan(tmp_path: Path) -> None:
    stores = fill(tmp_path)
    row = next(iter(stores.forecasts.latest()))
    records = row.records.copy()
    records["scale"] = float("nan")
    stores.forecasts.put([replace(row, records=records)], log=False)
    app = app_of(stores)
    for path in (f"/v1/vms/{DAY}/window", f"/v1/vms/{DAY}/forecast", "/v1/fleet", "/v1/fleet/windows"):
        text = ask(app, path).text
        assert re.search(r"NaN|Infinity", text) is None
        assert ask(app, path).status_code == 200
    stores.close()


def test_every_answer_is_armed_against_other_hosts(app: FastAPI) -> None:
    for path in ("/", "/v1/fleet", "/page/main.js", "/bokeh/bokeh.min.js", "/nothing"):
        policy = ask(app, path).headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "http" not in policy
        assert "unsafe-eval" not in policy


def test_the_page_and_bokeh_are_served_by_us(app: FastAPI) -> None:
    page = ask(app, "/").text
    own = re.findall(r'(?:src|href)="(/(?:page|bokeh)/[^"]+)"', page)
    assert len(own) >= 6
    assert [path for path in own if ask(app, path).status_code != 200] == []
    assert re.findall(r'(?:src|href)="(?!/|#)[^"]*"', page) == []


def test_an_unchanged_asset_is_not_sent_again(app: FastAPI) -> None:
    tag = ask(app, "/page/main.js").headers["etag"]
    assert ask(app, "/page/main.js", headers={"if-none-match": tag}).status_code == 304


def test_an_example_is_what_an_answer_is(app: FastAPI) -> None:
    for path, example in [
        (f"/v1/vms/{DAY}/window", api_examples.WINDOW_EXAMPLE),
        (f"/v1/vms/{DAY}/forecast", api_examples.FORECAST_EXAMPLE),
        (f"/v1/vms/{DAY}", api_examples.VM_EXAMPLE),
        ("/v1/fleet", api_examples.FLEET_EXAMPLE),
    ]:
        assert set(ask(app, path).json()) == set(example.model_dump())
