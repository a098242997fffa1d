"""serving/thumbwheel.js where it is given less: no storage, no room in it, no address."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import Site
from tests.browser.front import Front, until
from tests.browser.reader import SCRIPT, Reader, call, click

pytestmark = pytest.mark.integration

COPY = '<script src="/own.js"></script>'
MODULE = '<script type="module">import "/own.js"</script>'
CLOSED = "Object.defineProperty(window, 'localStorage', {get() { throw Error('closed') }})"
FULL = "localStorage.filler = '.'.repeat(5 * 1024 * 1024 - 'filler'.length)"


@pytest.mark.parametrize("script", [CLOSED, FULL])
def test_without_storage_a_thumb_arrives_and_the_page_remembers_it(
    reader: Reader, front: Front, token: str, script: str
) -> None:
    reader.context.add_init_script(script)
    page = reader.open()
    front.fail(503)
    said = call(page, "thumb", token, "up")
    assert call(page, "said", token) == said
    call(page, "thumb", token, "down")
    assert [one["thumb"] for one in front.accepted] == ["up", "down"]
    page.reload()
    assert call(page, "said", token) is None


FILL = """() => {
  for (let size = 2 ** 23; size >= 1; )
    try {
      localStorage.filler = (localStorage.filler || "") + ".".repeat(size);
    } catch {
      size /= 2;
    }
}"""


def test_what_no_longer_holds_does_not_come_back_out_of_a_full_storage(
    reader: Reader, front: Front, token: str
) -> None:
    page = reader.open()
    front.away()
    click(page, "thumb", token, "up")
    page.evaluate(FILL)
    click(page, "thumb", token, "down", {"comment": "no room for this " * 100})
    front.back()
    until(lambda: front.accepted)
    page.reload()
    assert call(page, "said", token) is None
    assert [one["thumb"] for one in front.accepted] == ["down"]


def test_a_long_correction_arrives(reader: Reader, front: Front, token: str) -> None:
    """Browsers let at most 64 KiB go on after a page is closed, and refuse more."""
    call(reader.open(), "send", token, {"correction": "long " * 30_000})
    assert len(front.accepted[0]["correction"]) == 150_000


def test_a_browser_that_cannot_time_out_does_without(
    reader: Reader, front: Front, token: str
) -> None:
    reader.context.add_init_script("delete AbortSignal.timeout")
    call(reader.open(), "thumb", token, "up")
    assert len(front.accepted) == 1


def test_the_oldest_are_forgotten(
    reader: Reader, front: Front, new_token: Callable[[], str]
) -> None:
    page = reader.open()
    tokens = [new_token() for _ in range(510)]
    page.evaluate(
        "async all => { for (const one of all) await thumbwheel.thumb(one, 'up') }", tokens
    )
    page.reload()
    known = page.evaluate("all => all.filter((one) => thumbwheel.said(one))", tokens)
    assert known == tokens[-499:]


@pytest.mark.parametrize("tag", [COPY, MODULE])
def test_a_copy_of_the_file_may_be_told_the_address(
    reader: Reader, front: Front, site: Site, token: str, tag: str
) -> None:
    site.pages["/own.js"] = SCRIPT.read_text()
    site.pages["/"] = f"<!doctype html>{tag}"
    page = reader.open()
    page.evaluate("url => { thumbwheel.url = url }", front.url)
    said = call(page, "thumb", token, "up")
    assert front.accepted == [said]
