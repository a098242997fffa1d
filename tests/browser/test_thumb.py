"""serving/thumbwheel.js in a real browser: what a reader says, and what the gateway hears."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.front import Front, until
from tests.browser.reader import Reader, call, click, refusal

pytestmark = pytest.mark.integration


def test_a_thumb_arrives_with_its_comment(reader: Reader, front: Front, token: str) -> None:
    said = call(reader.open(), "thumb", token, "up", {"comment": "just so"})
    assert said == {"token": token, "key": said["key"], "thumb": "up", "comment": "just so"}
    assert front.accepted == [said]


VERDICTS: list[dict[str, Any]] = [
    {"correction": "the right words"},
    {"outcome": {"name": "resolved", "value": 1}},
    {"outcome": {"name": "minutes", "value": 2.5}},
    {"thumb": "down", "key": "the app's own"},
]


def test_every_kind_of_verdict_arrives_beside_the_others(
    reader: Reader, front: Front, token: str
) -> None:
    page = reader.open()
    said = [call(page, "send", token, verdict) for verdict in VERDICTS]
    assert front.accepted == said
    assert [one | verdict for one, verdict in zip(said, VERDICTS, strict=True)] == said
    assert len({one["key"] for one in said}) == 4
    assert call(page, "said", token, "outcome:resolved") == said[1]


def test_a_comparison_arrives_where_comparisons_go(reader: Reader, front: Front, pair: str) -> None:
    said = call(reader.open(), "compare", pair, "both_bad")
    assert [(one.path, one.said) for one in front.heard] == [("/v1/comparisons", said)]
    assert said["winner"] == "both_bad"


def test_the_same_thumb_again_is_the_same_verdict(reader: Reader, front: Front, token: str) -> None:
    page = reader.open()
    click(page, "thumb", token, "up", {"comment": "just so"})
    said = call(page, "thumb", token, "up", {"comment": "just so"})
    assert call(page, "thumb", token, "up") == said
    page.reload()
    assert call(page, "thumb", token, "up") == said
    assert front.accepted == [said]


def test_a_changed_mind_is_a_verdict_of_its_own(reader: Reader, front: Front, token: str) -> None:
    page = reader.open()
    for verdict in ({"thumb": "up"}, {"thumb": "down"}, {"retract": "thumb"}, {"thumb": "down"}):
        said = call(page, "send", token, verdict)
        assert call(page, "said", token) == said
        assert front.accepted[-1] == said
    assert len({one["key"] for one in front.accepted}) == len(front.accepted) == 4


def test_what_was_last_said_is_known_after_a_reload(
    reader: Reader, front: Front, new_token: Callable[[], str]
) -> None:
    page, token, other = reader.open(), new_token(), new_token()
    call(page, "thumb", token, "up")
    call(page, "thumb", other, "down")
    page.reload()
    assert call(page, "said", token)["thumb"] == "up"
    assert call(page, "said", other)["thumb"] == "down"
    assert call(page, "said", new_token()) is None


def test_a_refusal_is_told_in_the_words_of_the_gateway(
    reader: Reader, front: Front, stale_token: tuple[str, str], token: str
) -> None:
    page, (stale, words) = reader.open(), stale_token
    assert words in refusal(page, "thumb", stale, "up")
    assert call(page, "said", stale) is None
    page.reload()
    call(page, "thumb", token, "up")
    assert len(front.heard) == 2  # what was refused was not said again


def test_a_refusal_that_nobody_waits_for_is_no_error_of_the_page(
    reader: Reader, front: Front, stale_token: tuple[str, str]
) -> None:
    page, (stale, _) = reader.open(), stale_token
    front.away()
    click(page, "thumb", stale, "up")
    page.reload()
    front.back()
    until(lambda: call(page, "said", stale) is None)
    assert len(front.heard) == 1


def test_after_a_refusal_holds_what_was_accepted_before(
    reader: Reader, front: Front, token: str
) -> None:
    page = reader.open()
    said = call(page, "thumb", token, "up")
    front.fail(403)
    refusal(page, "thumb", token, "down")
    assert call(page, "said", token) == said
