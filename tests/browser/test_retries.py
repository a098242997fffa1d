"""serving/thumbwheel.js where the gateway answers with an error, or not at all."""

import time

import pytest
from playwright.sync_api import Page

from tests.browser.front import Front, until
from tests.browser.reader import Reader, call, click, refusal

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_get_better_is_tried_again_under_the_same_key(
    reader: Reader, front: Front, token: str, status: int
) -> None:
    front.fail(status, times=2)
    said = call(reader.open(), "thumb", token, "up")
    assert [(one.said, one.status) for one in front.heard] == [
        (said, status),
        (said, status),
        (said, 202),
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_never_gets_better_is_told_and_not_tried_again(
    reader: Reader, front: Front, token: str, status: int
) -> None:
    front.fail(status)
    page = reader.open()
    assert refusal(page, "thumb", token, "up") == str(status)  # a proxy says no more
    page.reload()
    call(page, "thumb", token, "down")
    assert [one.status for one in front.heard] == [status, 202]


def test_a_gateway_that_does_not_answer_is_asked_again(
    reader: Reader, front: Front, token: str
) -> None:
    real = "const real = AbortSignal.timeout.bind(AbortSignal)"
    quick = f"{{ {real}; AbortSignal.timeout = (ms) => real(ms / 100) }}"
    reader.context.add_init_script(quick)
    page = reader.open()
    front.slow_seconds = 60
    click(page, "thumb", token, "up")
    until(lambda: front.arrived)
    front.slow_seconds = 0
    said = call(page, "thumb", token, "up")
    assert front.accepted == [said]


def test_pauses_grow(reader: Reader, front: Front, token: str) -> None:
    front.fail(500, times=3)
    page = _page_whose_clock_stands_still(reader)
    click(page, "thumb", token, "up")
    until(lambda: front.arrived == 1)
    assert _pause_ms(page, front, step_ms=250) >= 1000
    assert _pause_ms(page, front, step_ms=250) >= 2000
    assert _pause_ms(page, front, step_ms=250) >= 4000


def test_a_gateway_may_ask_for_a_longer_pause(reader: Reader, front: Front, token: str) -> None:
    front.fail(429, retry_after="60")
    page = _page_whose_clock_stands_still(reader)
    click(page, "thumb", token, "up")
    until(lambda: front.arrived == 1)
    assert _pause_ms(page, front, step_ms=5000) >= 60_000


def test_a_browser_that_is_online_again_does_not_wait(
    reader: Reader, front: Front, token: str
) -> None:
    page = _page_whose_clock_stands_still(reader)
    reader.context.set_offline(True)
    click(page, "thumb", token, "up")
    until(lambda: _offline_and_back(reader) and front.accepted)


def test_another_click_does_not_wait_either(reader: Reader, front: Front, token: str) -> None:
    front.fail(500)
    page = _page_whose_clock_stands_still(reader)
    click(page, "thumb", token, "up")
    until(lambda: _clicked(page, token) and front.accepted)
    assert len({one.said["key"] for one in front.heard}) == 1


def _page_whose_clock_stands_still(reader: Reader) -> Page:
    reader.context.clock.install(time="2030-01-01T00:00:00")
    page = reader.open()
    page.clock.pause_at("2030-01-02T00:00:00")
    return page


def _offline_and_back(reader: Reader) -> bool:
    reader.context.set_offline(True)
    reader.context.set_offline(False)
    return True


def _clicked(page: Page, token: str) -> bool:
    click(page, "thumb", token, "up")
    return True


def _pause_ms(page: Page, front: Front, *, step_ms: int) -> int:
    """How far the page's clock must go until it tries again: a step or two more than its pause."""
    arrived, gone_ms = front.arrived, 0
    while front.arrived == arrived:
        page.clock.run_for(step_ms)
        gone_ms += step_ms
        time.sleep(0.03)
    return gone_ms
