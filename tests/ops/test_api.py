"""The control API, asked over ASGI: nothing of it streams."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from feedback.events import BASE
from feedback.log import LogAway
from ops import api
from ops.by_hand import current
from tests.ops.made import Place
from tests.ops.moved import begin, promote
from tests.ops.said import weights

KEY = {"authorization": "Bearer s3cret"}
FIRING: dict[str, Any] = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "KlOverBudget", "thumbwheel_action": "rollback"},
            "annotations": {"summary": "9 nats"},
            "startsAt": "2999-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": "1",
        }
    ],
}
Ask = Callable[..., httpx.Response]


def asking(place: Place, key: str | None = "s3cret", log: Any = None) -> Ask:
    built = api.build(
        api.Place(
            log=log or place.log,
            examples=place.examples,
            adapters=place.adapters,
            key=key,
            alert_reach_seconds=3600.0,
        )
    )

    async def go(method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(built)
        async with httpx.AsyncClient(transport=transport, base_url="http://ops") as client:
            return await client.request(method, path, **more)

    return lambda *args, **more: asyncio.run(go(*args, **more))


@pytest.fixture
def ask(place: Place) -> Ask:
    return asking(place)


def test_it_tells_where_things_stand(place: Place, ask: Ask) -> None:
    promote(place, "m-v1")
    begin(place, "m-v2")
    told = ask("GET", "/v1/state").json()
    assert (told["split"]["stable"], told["split"]["canary"]) == ("m-v1", "m-v2")
    assert told["adapters"] == {"m-v1": "stable", "m-v2": "canary"}
    assert ask("GET", "/healthz").text == "ok"


def test_it_tells_the_story_of_an_adapter(place: Place, ask: Ask) -> None:
    promote(place, "m-v1")
    told = ask("GET", "/v1/adapters/m-v1").json()
    assert (told["state"], told["parent"]) == ("stable", BASE)
    assert [move["action"] for move in told["moves"]] == ["started", "promoted"]
    assert told["gates"][0]["name"] == "kl"


def test_of_an_adapter_that_there_is_not_it_names_those_that_are(place: Place, ask: Ask) -> None:
    promote(place, "m-v1")
    answer = ask("GET", "/v1/adapters/m-v9")
    assert answer.status_code == 404
    assert answer.json() == {"error": "no adapter is named 'm-v9'; published are m-v1"}


def test_a_roll_back_is_what_the_command_does(place: Place, ask: Ask) -> None:
    promote(place, "m-v1")
    promote(place, "m-v2")
    body = {"reason": "it swears", "by": "ann"}
    answer = ask("POST", "/v1/rollback", json=body, headers=KEY)
    assert answer.status_code == 200
    split = current(place.log)
    assert answer.json()["revision"] == split.revision
    assert (split.stable, split.pinned, split.reason) == ("m-v1", True, "it swears")
    assert split.by == "ann (control API)"


def test_what_a_rater_said_counts_no_more(place: Place, ask: Ask) -> None:
    promote(place, "m-v1")
    place.serve("m-v1", current(place.log).revision, up=3)
    body = {"quarantine": ["user of c1"]}
    answer = ask("POST", "/v1/rollback", json=body, headers=KEY)
    assert answer.json()["quarantined"] == {"user of c1": 1}
    place.join()


def test_who_asks_again_after_a_failure_still_quarantines(place: Place, ask: Ask) -> None:
    begin(place, "m-v1")
    place.serve("m-v1", 2, up=1)
    ask("POST", "/v1/rollback", headers=KEY)
    answer = ask("POST", "/v1/rollback", headers=KEY, json={"quarantine": ["user of c1"]})
    assert (answer.status_code, "taken back already" in answer.json()["error"]) == (409, True)
    assert "{'user of c1': 1}" in answer.json()["error"]
    place.join()
    assert weights(place) == {"c1": 0.0}


def test_who_mistypes_where_to_go_quarantines_nobody(place: Place, ask: Ask) -> None:
    begin(place, "m-v1")
    place.serve("m-v1", 2, up=1)
    body = {"to": "m-v7", "quarantine": ["user of c1"]}
    assert ask("POST", "/v1/rollback", headers=KEY, json=body).status_code == 409
    place.join()
    assert weights(place) == {"c1": 1.0}


def test_a_roll_back_is_done_whoever_is_to_be_quarantined(place: Place, ask: Ask) -> None:
    begin(place, "m-v1")
    body = {"quarantine": ["nobody"]}
    answer = ask("POST", "/v1/rollback", json=body, headers=KEY)
    assert (answer.status_code, answer.json()["quarantined"]) == (200, {"nobody": 0})
    assert current(place.log).canary is None


def test_who_asks_twice_undoes_no_more_than_who_asks_once(place: Place, ask: Ask) -> None:
    promote(place, "m-v1")
    promote(place, "m-v2")
    body = {"revision": current(place.log).revision}
    assert ask("POST", "/v1/rollback", json=body, headers=KEY).status_code == 200
    again = ask("POST", "/v1/rollback", json=body, headers=KEY)
    assert again.status_code == 409
    assert (
        "taken back already, at revision 6 by control API: rolled back by hand"
        in again.json()["error"]
    )
    assert current(place.log).stable == "m-v1"


def test_promote_pause_and_resume(place: Place, ask: Ask) -> None:
    begin(place, "m-v1")
    paused = ask("POST", "/v1/pause", headers=KEY).json()
    assert (paused["pinned"], paused["by"]) == (True, "control API")
    assert ask("POST", "/v1/pause", headers=KEY).status_code == 409
    assert ask("POST", "/v1/promote", json={"canary": "m-v2"}, headers=KEY).status_code == 409
    promoted = ask("POST", "/v1/promote", json={"canary": "m-v1"}, headers=KEY).json()
    assert (promoted["stable"], promoted["canary"], promoted["pinned"]) == ("m-v1", None, True)
    assert ask("POST", "/v1/resume", headers=KEY).json()["pinned"] is False


def test_an_alert_rolls_back_once(place: Place, ask: Ask) -> None:
    begin(place, "m-v1")
    first = ask("POST", "/v1/alerts", json=FIRING, headers=KEY)
    assert first.status_code == 200
    assert first.json() == {"alerts": ["revision 3: KlOverBudget: 9 nats"]}
    now = datetime.now(UTC).isoformat()
    again = {"alerts": [FIRING["alerts"][0] | {"startsAt": now}]}
    told = ask("POST", "/v1/alerts", json=again, headers=KEY)
    assert told.status_code == 200  # or Alertmanager would tell it for ever
    assert told.json()["alerts"][0].startswith("nothing is done: ")
    assert current(place.log).revision == 3


def test_alerts_that_ask_for_nothing_are_taken_and_left(place: Place, ask: Ask) -> None:
    begin(place, "m-v1")
    body = {"alerts": [{"status": "firing", "labels": {}, "startsAt": "2999-01-01T00:00:00Z"}]}
    assert ask("POST", "/v1/alerts", json=body, headers=KEY).json() == {
        "alerts": ["left alone: firing, thumbwheel_action is None"]
    }
    assert current(place.log).canary == "m-v1"


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"authorization": "Bearer other"}, 401)]
)
def test_who_does_not_know_the_key_changes_nothing(
    place: Place, ask: Ask, headers: dict[str, str], status: int
) -> None:
    begin(place, "m-v1")
    for path in ("rollback", "promote", "pause", "resume", "alerts"):
        assert ask("POST", f"/v1/{path}", headers=headers).status_code == status
    assert current(place.log).revision == 2


def test_without_a_key_nobody_may(place: Place) -> None:
    begin(place, "m-v1")
    answer = asking(place, key=None)("POST", "/v1/rollback", headers=KEY)
    assert answer.status_code == 403
    assert "THUMBWHEEL_OPS_KEY is not set" in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("rollback", b"{", "Invalid JSON"),
        ("rollback", b'{"too": 1}', "too: Extra inputs are not permitted"),
        ("rollback", b'{"to": 7}', "to: Input should be a valid string (got 7)"),
        ("alerts", b"{}", "alerts: Field required"),
        ("alerts", b'{"alerts": [{"status": "on"}]}', "status: Input should be 'firing'"),
    ],
)
def test_a_wrong_body_is_told_what_is_wrong(ask: Ask, path: str, body: bytes, told: str) -> None:
    answer = ask("POST", f"/v1/{path}", content=body, headers=KEY)
    assert answer.status_code == 400
    assert told in answer.json()["error"]


def test_a_body_without_end_is_refused(ask: Ask) -> None:
    answer = ask("POST", "/v1/rollback", content=b" " * 1_000_001, headers=KEY)
    assert answer.status_code == 413


def test_where_the_log_is_away_it_says_so(place: Place) -> None:
    class Away:
        def end(self, topic: str) -> dict[int, int]:
            raise LogAway("no broker answers")

    answer = asking(place, log=Away())("GET", "/v1/state")
    assert (answer.status_code, answer.json()) == (503, {"error": "no broker answers"})


def test_a_split_that_there_is_not_yet_is_told_of(ask: Ask) -> None:
    assert ask("GET", "/v1/state").status_code == 409
