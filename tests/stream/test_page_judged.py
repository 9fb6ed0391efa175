"""Yesterday on the page: the fleet's judged windows by who chose them, and the shown VM's one against best and mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from stream.client import Client
from stream.serve import serving
from tests.stream.browsing import chromium, find, opened
from tests.stream.judged_fleet import judge_yesterday, log_yesterday
from tests.stream.small_fleet import BUSY, DAY, EMPTY, GAPPY, IDLE, app_of, fill

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    stores = fill(tmp_path_factory.mktemp("page"))
    log_yesterday(stores)
    judge_yesterday(stores)
    with serving(app_of(stores)) as url:
        yield url
    stores.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_judged_day_by_who_chose(browser: Browser, address: str) -> None:
    with opened(browser, address) as page, Client(address) as client:
        rows = page.locator("#judged tr")
        expect(rows).to_have_count(2)
        for row, said in zip(rows.all(), client.judgements(), strict=True):
            expect(row).to_contain_text(said["rung"].replace("_", " "))
            expect(row).to_contain_text(f"{said['vm_days']} of {said['vms']} VMs")
            expect(row).to_contain_text(f"{100 * said['interval_coverage']:.1f} %")
            expect(row).to_contain_text(f"{100 * said['confidence_said']:.0f} %")
        expect(rows.first).to_contain_text("0.55")
        expect(rows.last.locator("td").first).to_have_text("–")
        expect(page.locator("#judged-day")).to_have_text("Mon 06:00 to Tue 06:00 UTC, 10 minutes each")


def test_the_vms_window_against_the_best_and_the_mean_in_its_own_zone(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        find(page, DAY)
        loads = page.locator("#yesterday-loads li")
        for row, text in zip(loads.all(), ("Mon 11:50–12:00", "Tue 05:45, 10 min", ""), strict=True):
            expect(row).to_contain_text(text)
        expect(loads.locator(".load")).to_have_text(["16.0 %", "10.0 %", "20.9 %"])
        expect(page.locator("#yesterday-said")).to_contain_text("Regret 0.55. 16.0 % was expected there, and 98 % sure")
        expect(page.locator("#yesterday-said")).to_contain_text("24 of 24 hours lay under their P90")


@pytest.mark.parametrize(
    ("vm_id", "words", "bars"),
    [
        (IDLE, "So flat a day has no quiet time to find.", 3),
        (BUSY, "to stay within 80 %: it did not.", 3),
        (GAPPY, "Too little is known of that day", 0),
        (EMPTY, "It had no forecast then: NO_DATA.", 0),
    ],
)
def test_what_is_said_of_others(browser: Browser, address: str, vm_id: str, words: str, bars: int) -> None:
    with opened(browser, address) as page:
        find(page, vm_id)
        expect(page.locator("#yesterday-said")).to_contain_text(words)
        expect(page.locator("#yesterday-loads li")).to_have_count(bars)


@pytest.mark.parametrize("width", [390, 1100, 1600])
def test_the_table_fits_its_card(browser: Browser, address: str, width: int) -> None:
    with opened(browser, address) as page:
        find(page, DAY)
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.locator("#judged tr")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        card, table = page.locator(".judged").bounding_box(), page.locator("#judged-table").bounding_box()
        assert card is not None
        assert table is not None
        assert table["x"] + table["width"] <= card["x"] + card["width"] - 8


def test_before_a_day_is_judged_it_says_so(browser: Browser, tmp_path: Path) -> None:
    stores = fill(tmp_path)
    with serving(app_of(stores)) as url, opened(browser, url) as page:
        expect(page.locator("#judged-day")).to_contain_text("No day has been judged yet")
        expect(page.locator("#judged-table")).to_be_hidden()
        expect(page.locator("#yesterday-said")).to_contain_text("No day has been judged yet")
    stores.close()
