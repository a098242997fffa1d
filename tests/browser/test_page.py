"""What docs/browser.md tells a front-end developer to copy, copied."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.browser.front import Front
from tests.browser.reader import Reader

pytestmark = pytest.mark.integration

DOC = (Path(__file__).parents[2] / "docs/browser.md").read_text()
SNIPPETS = dict(re.findall(r"^```\w+ (\w+)\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL))


def test_every_snippet_is_run() -> None:
    assert SNIPPETS.keys() == {"thumbs", "calls"}
    assert len(re.findall(r"^```", DOC, re.MULTILINE)) == 2 * len(SNIPPETS)


def test_a_click_presses_a_thumb_that_stays_pressed(
    reader: Reader, site: Site, front: Front, token: str
) -> None:
    page = _widget(reader, site, front, token)
    expect(page.get_by_role("button", pressed=True)).to_have_count(0)
    page.get_by_title("A good answer").click()
    expect(page.locator("output")).to_have_text("Thank you!")
    _expect_pressed(page, "A good answer")
    page.reload()
    _expect_pressed(page, "A good answer")
    assert [one["thumb"] for one in front.accepted] == ["up"]


def test_a_thumb_is_pressed_before_the_gateway_answers(
    reader: Reader, site: Site, front: Front, token: str
) -> None:
    page = _widget(reader, site, front, token)
    front.away()
    page.get_by_title("A good answer").click()
    page.get_by_title("A bad answer").click()
    _expect_pressed(page, "A bad answer")
    expect(page.locator("output")).to_be_empty()
    front.back()
    expect(page.locator("output")).to_have_text("Thank you!", timeout=20_000)
    assert [one["thumb"] for one in front.accepted] == ["down"]


def test_a_refusal_is_shown_and_no_thumb_stays_pressed(
    reader: Reader, site: Site, front: Front, stale_token: tuple[str, str]
) -> None:
    token, words = stale_token
    page = _widget(reader, site, front, token)
    page.get_by_title("A bad answer").click()
    expect(page.locator("output")).to_have_text(words)
    expect(page.get_by_role("button", pressed=True)).to_have_count(0)


def test_all_calls_are_accepted(reader: Reader, front: Front, token: str, pair: str) -> None:
    reader.open().evaluate(f"async ([token, pair]) => {{ {SNIPPETS['calls']} }}", [token, pair])
    assert len(front.accepted) == 5


def _widget(reader: Reader, site: Site, front: Front, token: str) -> Page:
    html = SNIPPETS["thumbs"].replace("https://gateway.example", front.url)
    site.pages["/"] = f"<!doctype html><meta charset=utf-8>{html.replace('TOKEN', token)}"
    return reader.open()


def _expect_pressed(page: Page, title: str) -> None:
    expect(page.get_by_role("button", pressed=True)).to_have_count(1)
    expect(page.get_by_role("button", pressed=True)).to_have_attribute("title", title)
