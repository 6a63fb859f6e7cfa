"""A real headless browser, and its complaints about a page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.support.processes import TIMEOUT

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Milliseconds that the browser may take for anything on a busy machine.
_PATIENCE_MS = 1000 * TIMEOUT
#: The least contrast of elements' text with what is behind it (WCAG 2.2, relative luminance and contrast ratio).
_CONTRAST = """(elements) => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return (channels(colour)[3] ?? 1) === 1 || !element.parentElement ? colour : ground(element.parentElement);
  };
  return Math.min(...elements.map((element) => {
    const [one, other] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  }));
}"""


class Site(NamedTuple):
    """Pages of a data root."""

    report: Path
    many: Path
    first: Path
    overview: Path


@dataclass
class Visit:
    """A page in the browser."""

    page: Page
    complaints: list[str] = field(default_factory=list)  #: Messages on the console, and exceptions of scripts.
    requests: list[str] = field(default_factory=list)  #: Everything that the page asked for.

    def focused(self, what: str) -> Any:
        """Something of the focused element, as JavaScript says it of `it`."""
        return self.page.evaluate(f"(() => {{ const it = document.activeElement; return {what}; }})()")

    def contrast(self, selector: str) -> float:
        """The least contrast of the text of all elements that a selector finds, at least one."""
        found = self.page.locator(selector)
        assert found.count(), selector
        return float(found.evaluate_all(_CONTRAST))


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium; where it is missing, the test skips, and fails in CI."""
    program = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs one of {', '.join(_NAMES)}")
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_QUIET), timeout=_PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(
    browser: Browser,
    path: Path,
    *,
    width: int = 1200,
    scheme: Literal["light", "dark"] = "light",
    script: bool = True,
) -> Iterator[Visit]:
    """Open a page in a window of its own; a narrow one has a touch screen."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        java_script_enabled=script,
        has_touch=width < 500,
    )
    context.set_default_timeout(_PATIENCE_MS)
    visit = Visit(context.new_page())

    def on_console(message: ConsoleMessage) -> None:
        visit.complaints.append(f"{message.type}: {message.text}")

    def on_request(request: Request) -> None:
        visit.requests.append(request.url)

    visit.page.on("console", on_console)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("request", on_request)
    try:
        visit.page.goto(path.as_uri())
        yield visit
    finally:
        context.close()
