from typing import Any

import pytest

from feedback.events import (
    VERDICT_KINDS,
    Comparison,
    Correction,
    Outcome,
    Retraction,
    Thumb,
    decode,
)
from feedback.privacy import pseudonym
from serving.door import Door
from serving.errors import NotStored
from serving.limits import InFlight
from serving.metrics import Metrics
from serving.rater import Raters
from serving.tokens import Tokens
from serving.verdicts import Verdicts
from tests.serving.gateway import SECRET, Gateway, until

ID = "chatcmpl-1"
OPEN = Door(None, InFlight(1))
RATERS = Raters(b"secret", Tokens({"0": b"key"}), OPEN)


def say(gateway: Gateway, said: dict[str, Any], **headers: str) -> Any:
    body = {"completion_id": ID} | said
    return gateway.http.post("/v1/feedback", json=body, headers=headers)


class ListSpool:
    def __init__(self) -> None:
        self.items: list[tuple[str, str, bytes]] = []

    def append(self, topic: str, key: str, value: bytes) -> None:
        self.items.append((topic, key, value))


@pytest.mark.parametrize(
    ("said", "kind", "fields"),
    [
        ({"thumb": "up"}, Thumb, {"up": True, "comment": None}),
        ({"thumb": "down", "comment": "too long"}, Thumb, {"up": False, "comment": "too long"}),
        ({"correction": "Hi."}, Correction, {"text": "Hi."}),
        ({"outcome": {"name": "resolved", "value": 1}}, Outcome, {"name": "resolved", "value": 1}),
        (
            {"comparison": {"other_id": f"{ID}.1", "winner": "tie"}},
            Comparison,
            {"other_id": f"{ID}.1", "winner": "tie"},
        ),
        ({"retract": "thumb"}, Retraction, {"of": "thumb"}),
        ({"retract": "outcome:resolved"}, Retraction, {"of": "outcome:resolved"}),
    ],
)
@pytest.mark.anyio
async def test_each_kind_is_stored_under_its_group_and_counted(
    said: dict[str, Any], kind: type, fields: dict[str, Any]
) -> None:
    spool, metrics = ListSpool(), Metrics()
    key = await Verdicts(RATERS, spool, metrics).accept({"completion_id": ID} | said, {})
    ((topic, group, value),) = spool.items
    verdict = decode(value, VERDICT_KINDS)
    assert (topic, group) == ("verdicts", ID)
    assert isinstance(verdict, kind)
    found = verdict.model_dump()
    assert found | fields | {"key": key, "completion_id": ID, "user": None} == found
    assert f'verdicts_total{{kind="{found["kind"]}"}} 1.0'.encode() in metrics.page()


def test_what_was_accepted_reaches_the_log_under_the_id_that_was_told(undecided: Gateway) -> None:
    accepted = [say(undecided, {"thumb": "up"}) for _ in range(9)]
    assert {(a.status_code, a.json()["status"]) for a in accepted} == {(202, "accepted")}
    told = [response.json()["id"] for response in accepted]
    until(lambda: [verdict.model_dump()["key"] for verdict in undecided.verdicts()] == told)


def test_answers_to_different_requests_cannot_be_compared(undecided: Gateway) -> None:
    response = say(undecided, {"comparison": {"other_id": "x", "winner": "a"}})
    assert response.status_code == 422
    message = response.json()["error"]["message"]
    assert message == "other_id 'x' is of another request than 'chatcmpl-1'"


def test_a_verdict_that_is_not_understood_is_refused_in_words(undecided: Gateway) -> None:
    response = say(undecided, {"thumb": "yes"})
    assert response.status_code == 422
    assert response.json()["error"] == {
        "message": 'thumb is \'yes\'; expected "up" or "down"',
        "type": "invalid_request_error",
        "param": "thumb",
        "code": None,
    }
    assert undecided.verdicts() == []


def test_a_body_that_is_not_json_is_refused(undecided: Gateway) -> None:
    response = undecided.http.post("/v1/feedback", content=b"thumb=up")
    assert response.status_code == 400
    assert "the body is not JSON" in response.json()["error"]["message"]


def test_the_apps_own_key_is_kept_from_body_or_header(undecided: Gateway) -> None:
    assert say(undecided, {"thumb": "up", "key": "k1"}).json()["id"] == "k1"
    assert say(undecided, {"thumb": "up"}, **{"Idempotency-Key": "k2"}).json()["id"] == "k2"
    both = say(undecided, {"thumb": "up", "key": "k3"}, **{"Idempotency-Key": "k4"})
    assert both.status_code == 422
    assert "key is 'k3'; expected 'k4' as in idempotency-key" in both.json()["error"]["message"]
    too_long = say(undecided, {"thumb": "up"}, **{"Idempotency-Key": "k" * 201})
    assert too_long.status_code == 422


class FullDisk:
    def append(self, topic: str, key: str, value: bytes) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.anyio
async def test_a_verdict_that_cannot_be_stored_is_not_accepted() -> None:
    metrics = Metrics()
    verdicts = Verdicts(RATERS, FullDisk(), metrics)
    with pytest.raises(NotStored, match=r"send it again: .*No space left") as caught:
        await verdicts.accept({"completion_id": ID, "thumb": "up"}, {})
    assert caught.value.status == 503
    assert b"verdicts_total{" not in metrics.page()


def test_without_a_key_each_verdict_is_another(undecided: Gateway) -> None:
    one, other = say(undecided, {"thumb": "up"}), say(undecided, {"thumb": "up"})
    assert one.json()["id"] != other.json()["id"]


def test_a_rater_is_known_by_the_pseudonym_that_completions_have(undecided: Gateway) -> None:
    say(undecided, {"thumb": "up", "user": "ann"})
    say(undecided, {"thumb": "up"}, **{"x-thumbwheel-user": "bob"})
    until(lambda: len(undecided.verdicts()) == 2)
    found = [verdict.model_dump()["user"] for verdict in undecided.verdicts()]
    assert found == [pseudonym(SECRET.encode(), "ann"), pseudonym(SECRET.encode(), "bob")]
