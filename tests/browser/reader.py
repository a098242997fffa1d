"""Somebody who reads answers on an app's page, in a real browser."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from tests.browser.front import until

SCRIPT = Path(__file__).parents[2] / "serving/thumbwheel.js"
# What a browser itself says of a request that was not answered, or not with a 2xx.
BY_THE_BROWSER = "Failed to load resource"
CALL = """async ([name, ...said]) => {
  window.told = null;
  const promise = Promise.resolve(thumbwheel[name](...said));
  promise.then((value) => (told = { value }), ({ message }) => (told = { error: message }));
}"""


@dataclass
class Reader:
    """`complaints` is what the page's own code got wrong, on the console or uncaught."""

    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)
        page.goto(self.url + path)
        return page

    def _listen(self, message: ConsoleMessage) -> None:
        if not message.text.startswith(BY_THE_BROWSER):
            self.complaints.append(message.text)


def click(page: Page, name: str, *said: Any) -> None:
    """Calls one of the script's functions, and does not wait for what comes of it."""
    page.evaluate(CALL, [name, *said])


def call(page: Page, name: str, *said: Any) -> Any:
    """The same, and its value."""
    click(page, name, *said)
    told = _told(page)
    assert "error" not in told, told
    return told.get("value")


def refusal(page: Page, name: str, *said: Any) -> str:
    """The same where an error comes of it: its message."""
    click(page, name, *said)
    return str(_told(page)["error"])


def _told(page: Page) -> dict[str, Any]:
    until(lambda: page.evaluate("told"))
    told: dict[str, Any] = page.evaluate("told")
    return told
