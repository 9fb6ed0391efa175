"""The operator's page in headless Chromium: opening it, searching it by keyboard, reading its chart's data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOURCE = """name => {
    for (const document of Bokeh.documents)
        for (const model of document._all_models.values())
            if (model.type === 'ColumnDataSource' && model.name === name)
                return Object.fromEntries(Object.entries(model.data).map(
                    ([key, values]) => [key, Array.from(values, v => Number.isNaN(v) ? null : v)]));
    return null;
}"""
TITLE_IS = "id => document.querySelector('#vm-title').textContent === id"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    assert CHROMIUM.exists(), "Chromium is missing. Run: sh deploy/services/apt.sh"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield opened
        opened.close()


@contextmanager
def opened(
    browser: Browser, address: str, scheme: Literal["light", "dark"] = "light", said: tuple[str, ...] = ()
) -> Iterator[Page]:
    """The page, fresh; afterwards, nothing may have been asked of another host, nor said on its console but `said`."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000}, color_scheme=scheme)
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else trouble.append(r.url))
    page.goto(address)
    page.wait_for_selector("#vm-body:not([hidden])")
    yield page
    page.close()
    assert [text for text in trouble if not text.startswith(said or ("\0",))] == []


def find(page: Page, vm_id: str) -> None:
    """Search by the keyboard alone."""
    page.keyboard.press("/")
    page.keyboard.type(vm_id)
    page.wait_for_selector("#matches [role=option]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_function(TITLE_IS, arg=vm_id)


def source(page: Page, name: str, column: str = "start") -> dict[str, list[Any]]:
    """The data of one of the chart's sources once it has some in `column`; null for NaN."""
    page.wait_for_function(f"([name, column]) => (({SOURCE})(name)?.[column] ?? []).length > 0", arg=[name, column])
    found: dict[str, list[Any]] = page.evaluate(SOURCE, name)
    return found
