"""The judge's endpoint over real HTTP, and all that may go wrong with it."""

import signal
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event

import pytest
from pydantic import SecretStr

from tests.free import free_port
from tests.trainer.judge_server import Mood, judging
from trainer.endings import RoundFailed
from trainer.judge import Judge
from trainer.rubric import Case, question
from trainer.settings import JudgeAt

pytestmark = pytest.mark.usefixtures("no_proxy")

QUESTION = question(Case("How?", "So.", "Or so."), "Be brief.")
LATER = {"retry-after": "7"}


class Patience:
    """Waits for nothing, and remembers how long."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


def asked(at: JudgeAt, sleep: Patience, count: int = 1) -> list[str | None]:
    said: dict[int, str | None] = {}
    with closing(Judge(at, sleep)) as judge:
        judge.ask([QUESTION] * count, said.__setitem__)
    return [said[number] for number in range(count)]


def in_turn(*moods: tuple[int, dict[str, str], str] | None) -> Mood:
    return lambda number: moods[min(number, len(moods) - 1)]


def test_it_is_asked_for_one_word_at_temperature_0() -> None:
    with judging(lambda case: "tie") as judge:
        at = judge.at._replace(key=SecretStr("s3cret"))
        assert asked(at, Patience()) == ["tie"]
        assert asked(judge.at, Patience()) == ["tie"]
    body = judge.asked[0]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("wise", 0, 16)
    assert body["messages"] == QUESTION
    assert judge.paths == ["/v1/chat/completions"] * 2
    assert judge.keys == ["Bearer s3cret", None]


def test_several_are_asked_at_once_and_each_has_its_own_answer() -> None:
    questions = [question(Case("How?", "so" * n, ""), "Be brief.") for n in range(8)]
    said: dict[int, str | None] = {}
    with judging(lambda case: str(len(case.first))) as server, closing(Judge(server.at)) as judge:
        judge.ask(questions, said.__setitem__)
    assert said == {n: str(2 * n) for n in range(8)}


@pytest.mark.parametrize(
    ("moods", "waits"),
    [
        ([(429, LATER, "slow down"), None], [7.0]),
        ([(503, {}, ""), (500, {}, ""), (429, {}, ""), None], [5.0, 10.0, 20.0]),
        ([(503, {"retry-after": "soon"}, ""), (429, LATER, ""), None], [5.0, 7.0]),
    ],
)
def test_it_is_asked_again_as_it_wants(
    moods: Sequence[tuple[int, dict[str, str], str] | None], waits: list[float]
) -> None:
    patience = Patience()
    with judging(lambda case: "A", in_turn(*moods)) as judge:
        assert asked(judge.at, patience) == ["A"]
    assert patience.waits == waits


def test_a_date_to_wait_for_is_understood() -> None:
    patience, until = Patience(), datetime.now(UTC) + timedelta(seconds=30)
    mood = in_turn((429, {"retry-after": format_datetime(until, usegmt=True)}, ""), None)
    with judging(lambda case: "A", mood) as judge:
        asked(judge.at, patience)
    (wait,) = patience.waits
    assert 20 < wait <= 30


def test_it_is_not_asked_for_ever() -> None:
    patience = Patience()
    told = pytest.raises(RoundFailed, match=r"/v1/chat/completions answered 503: overloaded; ")
    with judging(lambda case: "A", in_turn((503, {}, "overloaded"))) as judge, told:
        asked(judge.at, patience)
    assert (len(judge.asked), patience.waits) == (5, [5.0, 10.0, 20.0, 40.0])


def test_an_hour_is_too_long_to_wait() -> None:
    patience = Patience()
    told = pytest.raises(RoundFailed, match=r"429: no \(and wants 3600 s\); .* after try 1")
    mood = in_turn((429, {"retry-after": "3600"}, "no"))
    with judging(lambda case: "A", mood) as judge, told:
        asked(judge.at, patience)
    assert patience.waits == []


def test_one_that_is_away_fails_the_round_by_its_address() -> None:
    patience, url = Patience(), f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(RoundFailed, match=f"the judge at {url}/.* does not answer: ConnectError"):
        asked(JudgeAt(url, "wise"), patience)
    assert len(patience.waits) == 4


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_what_no_patience_helps_fails_the_round_at_once(status: int) -> None:
    patience = Patience()
    told = f"answered {status}: no such; expected a chat completion of model 'wise'"
    with judging(lambda case: "A", in_turn((status, {"location": "/"}, "no such"))) as judge:
        at = judge.at._replace(key=SecretStr("s3cret"))
        with pytest.raises(RoundFailed, match=told) as failed:
            asked(at, patience)
    assert (len(judge.asked), patience.waits) == (1, [])
    assert "s3cret" not in str(failed.value)


@pytest.mark.parametrize("body", ["<html>", "{}", '{"choices": []}', "[]"])
def test_what_is_no_chat_completion_fails_the_round(body: str) -> None:
    told = pytest.raises(RoundFailed, match=r"answered 200: .*; expected a chat completion")
    with judging(lambda case: "A", in_turn((200, {}, body))) as judge, told:
        asked(judge.at, Patience())


def test_one_that_thought_until_its_limit_said_nothing() -> None:
    body = '{"choices": [{"message": {"content": null}}]}'
    with judging(lambda case: "A", in_turn((200, {}, body))) as judge:
        assert asked(judge.at, Patience()) == [""]


def test_what_it_declines_is_no_answer_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with judging(lambda case: "A", in_turn((400, {}, "too long"), None)) as judge:
        said = asked(judge.at, Patience(), 2)
    assert sorted(said, key=str) == ["A", None]
    assert "declines a question: 400: too long" in caplog.text


def test_told_to_end_it_waits_for_no_answer() -> None:
    class ToldToEnd(BaseException):
        pass

    def end(number: int, frame: object) -> None:
        raise ToldToEnd

    released = Event()
    with judging(lambda case: str(released.wait(30))) as server:
        began, before = time.monotonic(), signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            with pytest.raises(ToldToEnd):
                asked(server.at, Patience(), 8)
            took = time.monotonic() - began
        finally:
            signal.signal(signal.SIGALRM, before)
            released.set()
    assert took < 10


def test_where_one_fails_the_others_are_heard_first() -> None:
    said: dict[int, str | None] = {}
    with judging(lambda case: "A", in_turn((401, {}, "no"), None)) as server:
        judge = Judge(server.at)
        with closing(judge), pytest.raises(RoundFailed):
            judge.ask([QUESTION] * 8, said.__setitem__)
    assert list(said.values()) == ["A"] * 7
