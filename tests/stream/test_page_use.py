"""The page in use: what it says of a window, the search by keyboard, a fleet that moves, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from models.calibration import DEFAULT
from models.minutes import parse_iso
from stream.answer import Limits
from stream.api import Deps, create_app
from stream.client import Client
from stream.serve import serving
from stream.stores.open import Stores
from tests.stream.browsing import SOURCE, TITLE_IS, chromium, find, opened, source
from tests.stream.small_fleet import BUSY, DAY, GAPPY, IDS, OLD, app_of, fill

pytestmark = pytest.mark.browser

NOT_FOUND = "Failed to load resource: the server responded with a status of 404"
NO_SERVER = "Failed to load resource: net::ERR_FAILED"
PAINTED = """scheme => {
    const colour = getComputedStyle(document.documentElement).getPropertyValue('--history').trim();
    const lines = [...Bokeh.documents[0]._all_models.values()].filter((model) => model.type === 'Line');
    return matchMedia(`(prefers-color-scheme: ${scheme})`).matches
        && lines.some((line) => line.line_color.value === colour || line.line_color === colour);
}"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    stores = fill(tmp_path_factory.mktemp("page"))
    yield stores
    stores.close()


@pytest.fixture(scope="module")
def address(stores: Stores) -> Iterator[str]:
    with serving(app_of(stores)) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_best_window_in_the_vms_own_zone_and_in_utc(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        find(page, DAY)
        best = page.locator("#best")
        expect(best).to_contain_text("Wed 05:45–05:55")
        expect(best).to_contain_text("Asia/Kathmandu · Wed 00:00–00:10 UTC")
        for text in ("Expected10.0 %", "P9012.0 %", "Confidence98 %"):
            expect(best).to_contain_text(text)
        expect(page.locator("#windows tr").first).to_contain_text("Tue 17:52 12:07 UTC22.0 %24.0 %98 %acceptable")
        expect(page.locator("#vm-why")).to_contain_text("Model set-000003, made Tue 12:04 UTC.")
        expect(page.locator("#vm-facts")).to_contain_text("champion")


def test_the_windows_in_the_chart_are_the_apis(browser: Browser, address: str) -> None:
    with opened(browser, address) as page, Client(address) as client:
        find(page, DAY)
        expect(page.locator("#best")).to_contain_text("Asia/Kathmandu")
        shown = source(page, "windows", "left")
        said = client.window(DAY, k=4)["alternatives"]
    assert shown["left"] == [parse_iso(window["start"]) * 60_000 for window in said]
    assert shown["right"] == [parse_iso(window["end"]) * 60_000 for window in said]
    assert shown["expected"] == [window["expected_load_pct"] for window in said]


def test_a_least_bad_window_says_what_it_breaks(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        find(page, BUSY)
        expect(page.locator("#best")).to_contain_text("Nothing fits: the least bad")
        expect(page.locator("#windows")).to_contain_text("breaks the load limit")
        expect(page.locator("#windows")).to_contain_text("none before the deadline")


def test_the_search_is_a_listbox_for_the_keyboard(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        search = page.locator("#search")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # the link that skips to the search
        expect(search).to_be_focused()
        page.keyboard.type("vm-")
        expect(page.locator("#matches [role=option]")).to_have_count(7)
        expect(search).to_have_attribute("aria-expanded", "true")
        for key, active in [
            ("ArrowDown", 0),
            ("ArrowDown", 1),
            ("End", 6),
            ("ArrowDown", 0),
            ("ArrowUp", 6),
            ("Home", 0),
        ]:
            page.keyboard.press(key)
            expect(search).to_have_attribute("aria-activedescendant", f"match-{active}")
            expect(page.locator("#matches [aria-selected=true]")).to_have_id(f"match-{active}")
        page.keyboard.press("Escape")
        expect(page.locator("#matches")).to_be_hidden()
        expect(search).to_have_value("")


def test_enter_takes_what_was_typed_where_that_is_an_id(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        page.keyboard.press("/")
        page.keyboard.type("a/")
        expect(page.locator("#matches [role=option]")).to_have_count(2)
        page.keyboard.press("Backspace")
        page.keyboard.press("Enter")
        page.wait_for_function(TITLE_IS, arg="a")


def test_any_id_is_shown_as_the_text_it_is(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        for vm_id in IDS:
            if vm_id in (".", ".."):  # to a browser these are no segments of a path, however they are encoded
                continue
            page.evaluate("hash => { location.hash = hash; }", urlencode({"vm": vm_id}))
            page.wait_for_function(TITLE_IS, arg=vm_id)
            expect(page.locator("#vm-trouble")).to_be_hidden()


def test_it_is_painted_again_when_the_scheme_changes(browser: Browser, address: str) -> None:
    with opened(browser, address, "light") as page:
        page.wait_for_function(PAINTED, arg="light")
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(PAINTED, arg="dark")


def test_it_moves_with_the_fleet_and_goes_stale_with_it(browser: Browser, stores: Stores) -> None:
    wall_s = [0.0]
    app = create_app(Deps(stores, Limits(), lambda _model: DEFAULT, lambda: wall_s[0]))
    with serving(app) as url, opened(browser, url) as page:
        find(page, GAPPY)
        expect(page.locator("#status")).to_have_text("Live")
        expect(page.locator("#now")).to_have_text("Tue 10 Mar 2026 12:07 UTC")
        expect(page.locator("#data-age")).to_have_text("7 min ago")
        wall_s[0] = 60.0 * 240
        expect(page.locator("#status")).to_contain_text("STALE: the newest data are from Tue 12:00 UTC", timeout=15_000)
        expect(page.locator("#now")).to_have_text("Tue 10 Mar 2026 16:07 UTC")
        expect(page.locator("#best")).to_contain_text("STALE")
        assert page.evaluate(SOURCE, "windows")["left"] == []


def test_a_vm_that_went_silent_is_stale_though_the_fleet_is_not(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        find(page, OLD)
        expect(page.locator("#vm-facts")).to_contain_text("STALE")
        expect(page.locator("#status")).to_have_text("Live")


def test_an_id_that_nobody_knows_is_said_in_words(browser: Browser, address: str) -> None:
    with opened(browser, address, said=(NOT_FOUND,)) as page:
        page.evaluate("location.hash = 'vm=nobody'")
        expect(page.locator("#vm-trouble")).to_contain_text("expected the id of a VM that has been seen, got 'nobody'")
        expect(page.locator("#vm-body")).to_be_hidden()
        find(page, DAY)
        expect(page.locator("#vm-trouble")).to_be_hidden()


def test_a_server_that_is_gone_is_said_and_looked_for_again(browser: Browser, address: str) -> None:
    with opened(browser, address, said=(NO_SERVER,)) as page:
        page.route("**/v1/**", lambda route: route.abort())
        expect(page.locator("#status")).to_have_text("No answer from the server", timeout=15_000)
        expect(page.locator("#trouble")).to_contain_text("The server does not answer")
        page.unroute("**/v1/**")
        expect(page.locator("#status")).to_have_text("Live", timeout=15_000)
        expect(page.locator("#trouble")).to_be_hidden()
