"""A page of torchport explain in a real browser, Debian's Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from torchport.geometry import Explanation

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
try:
    from playwright.sync_api import Browser, Page, sync_playwright
except ImportError:
    sync_playwright = None  # type: ignore[assignment]
#: For modules whose tests need one.
NEEDED = [
    pytest.mark.skipif(not BROWSER, reason="no Chromium: apt-get install chromium"),
    pytest.mark.skipif(sync_playwright is None, reason="no Playwright: pip install playwright"),
]


class Opened:
    """A page, and what the browser said of it."""

    def __init__(
        self, browser: Browser, folder: Path, explanation: Explanation, width: int = 1280, **context: Any
    ) -> None:
        self.network = explanation.network
        file = folder / f"{Path(explanation.network.source).stem}.html"
        if not file.exists():
            explanation.save(file)
        self.url = file.as_uri()
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", **context
        )
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda it: self.said.append(it.text))
        self.page.on("pageerror", lambda it: self.said.append(str(it)))
        self.page.on("request", lambda it: self.asked.append(it.url))
        self.page.goto(self.url)
        self.page.wait_for_selector("html[data-ready]")

    def choose(self, tensor: str) -> None:
        """By the address, as a link does."""
        self.page.evaluate("it => { location.hash = '#' + it }", quote(tensor, safe=""))
        self.page.wait_for_function(
            "it => document.querySelector('.card').ariaLabel === it", arg=f"Card of {tensor}"
        )

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()

    @property
    def chosen(self) -> str:
        return (self.page.get_attribute(".card", "aria-label") or "").removeprefix("Card of ")

    def slide(self, axis: str, value: int) -> None:
        slider = self.page.locator(f'.sliders input[aria-label="index {axis}"]')
        slider.evaluate(
            "(it, value) => { it.value = value; it.dispatchEvent(new Event('input', {bubbles: true})) }",
            value,
        )

    def close(self) -> None:
        """Nothing was fetched, and nothing went wrong."""
        asked = [
            it
            for it in self.asked
            if not it.startswith(("data:", "blob:")) and it.partition("#")[0] != self.url
        ]
        self.context.close()
        assert not asked and not self.said, (asked, self.said)
