"""serving/thumbwheel.js across reloads, tabs and changed minds: nothing is lost, or said twice."""

from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Page

from tests.browser.front import Front, until
from tests.browser.reader import Reader, call, click

pytestmark = pytest.mark.integration


def test_what_is_said_while_the_gateway_is_away_arrives_once_after_a_reload(
    reader: Reader, front: Front, token: str
) -> None:
    page = reader.open()
    front.away()
    click(page, "thumb", token, "up")
    page.reload()
    said = call(page, "said", token)
    front.back()
    assert call(page, "thumb", token, "up") == said  # it is waiting: nothing new is said
    page.reload()
    call(page, "thumb", token, "down")  # what was said before has gone, or would go now
    assert [one["thumb"] for one in front.accepted] == ["up", "down"]
    assert front.accepted[0] == said


def test_what_is_said_while_the_gateway_is_away_arrives_without_another_click(
    reader: Reader, front: Front, token: str
) -> None:
    page = reader.open()
    front.away()
    click(page, "thumb", token, "up")
    page.reload()
    front.back()
    until(lambda: front.accepted)
    assert front.accepted == [call(page, "said", token)]


def test_what_a_closed_tab_left_is_sent_by_the_next(
    reader: Reader, front: Front, token: str
) -> None:
    page = reader.open()
    front.away()
    click(page, "thumb", token, "up")
    said = call(page, "said", token)
    page.close()
    front.back()
    reader.open()
    until(lambda: front.accepted)
    assert front.accepted == [said]


def test_a_tab_closed_while_sending_has_said_it(reader: Reader, front: Front, token: str) -> None:
    front.slow_seconds = 1
    page = reader.open()
    click(page, "thumb", token, "up")
    until(lambda: front.arrived)
    page.close()
    until(lambda: front.accepted)
    assert front.accepted[0]["token"] == token


def test_of_a_mind_changed_while_the_gateway_is_away_the_later_is_sent(
    reader: Reader, front: Front, token: str
) -> None:
    page = reader.open()
    front.away()
    with _failing(page, "down"):  # until then the first is on its way, and may arrive
        click(page, "thumb", token, "up")
        click(page, "thumb", token, "down")
    front.back()
    said = call(page, "thumb", token, "down")
    page.reload()
    call(page, "thumb", token, "up")
    assert [one["thumb"] for one in front.accepted] == ["down", "up"]
    assert front.accepted[0] == said


def test_a_mind_changed_while_sending_is_sent_after_it(
    reader: Reader, front: Front, token: str
) -> None:
    page = reader.open()
    front.slow_seconds = 1
    click(page, "thumb", token, "up")
    until(lambda: front.arrived)
    front.slow_seconds = 0
    call(page, "thumb", token, "down")
    assert [one["thumb"] for one in front.accepted] == ["up", "down"]


def test_two_tabs_say_one_verdict(reader: Reader, front: Front, token: str) -> None:
    page, other = reader.open(), reader.open()
    front.away()
    with _failing(page, "up"):
        click(page, "thumb", token, "up")
    until(lambda: call(other, "said", token))
    click(other, "thumb", token, "down")
    until(lambda: call(page, "said", token)["thumb"] == "down")
    front.back()
    assert call(page, "thumb", token, "down") == call(other, "thumb", token, "down")
    assert {one["thumb"] for one in front.accepted} == {"down"}
    assert len({one["key"] for one in front.accepted}) == 1


def _failing(page: Page, thumb: str) -> AbstractContextManager[object]:
    """Ends when the page has tried in vain to say so."""
    said = f'"thumb":"{thumb}"'
    return page.expect_event("requestfailed", lambda request: said in (request.post_data or ""))
