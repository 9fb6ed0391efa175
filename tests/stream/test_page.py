"""The page in a real browser: searched by keyboard, its chart equal to the API, at two widths, in light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from stream.client import Client
from stream.serve import serving
from tests.stream.browsing import TITLE_IS, chromium, find, opened, source
from tests.stream.small_fleet import DAY, EMPTY, app_of, fill

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    stores = fill(tmp_path_factory.mktemp("page"))
    with serving(app_of(stores)) as url:
        yield url
    stores.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, address, request.param) as page:
        yield page


def equal(shown: list[Any], said: list[Any]) -> bool:
    return len(shown) == len(said) and all(
        a is b or (a is not None and b is not None and math.isclose(a, b, abs_tol=1e-9))
        for a, b in zip(shown, said, strict=True)
    )


def test_the_fleet_in_one_look(page: Page, address: str) -> None:
    with Client(address) as client:
        fleet = client.fleet()
    page.wait_for_function("document.querySelector('#rungs').children.length > 0")
    shown = page.inner_text("#rungs")
    for rung in fleet["rungs"]:
        assert str(rung["vms"]) in shown, rung
    reasons = page.inner_text("#reasons")
    for reason in fleet["reasons"]:
        assert (reason["reason"] in reasons) == (reason["vms"] > 0), reason
    assert page.inner_text("#status") != "Loading"


def test_the_charts_data_are_the_apis(page: Page, address: str) -> None:
    find(page, DAY)
    with Client(address) as client:
        history, forecast = client.history(DAY), client.forecast(DAY)
    assert equal(source(page, "history")["mean"], history["mean_pct"])
    assert equal(source(page, "history")["count"], history["count"])
    shown = source(page, "forecast")
    for name in ("mean", "p50", "p90"):
        assert equal(shown[name], forecast[f"{name}_pct"]), name


def test_the_address_keeps_the_vm(page: Page) -> None:
    find(page, DAY)
    page.reload()
    page.wait_for_function(TITLE_IS, arg=DAY)


def test_a_vm_without_a_forecast_says_why(page: Page) -> None:
    find(page, EMPTY)
    page.wait_for_function("/NO_DATA|no data|No forecast/i.test(document.querySelector('.vm').innerText)")


@pytest.mark.parametrize("width", [400, 1600])
def test_it_fits_its_width(page: Page, width: int) -> None:
    find(page, DAY)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
