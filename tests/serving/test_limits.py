"""How much may be asked, how long a prompt and an answer may be, and how long a silence."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import TooMany, headers_of
from serving.limits import MOST_BUCKETS, InFlight, Rates
from tests.serving.gateway import MESSAGES, Gateway
from tests.serving.scripted import WORDS


def refused(rates: Rates, caller: str, per_minute: int, now: float) -> TooMany | None:
    try:
        rates.take(caller, per_minute, now)
    except TooMany as error:
        return error
    return None


def test_a_minutes_worth_may_be_asked_at_once_and_then_as_it_fills() -> None:
    rates = Rates()
    assert [refused(rates, "ann", 4, 100.0) for _ in range(4)] == [None] * 4
    no = refused(rates, "ann", 4, 100.0)
    assert str(no) == "ann asked 4 times in a minute, the most it may"
    assert refused(rates, "ann", 4, 114.9)
    assert refused(rates, "ann", 4, 115.0) is None
    assert refused(rates, "ann", 4, 115.0)
    # However long it rests, it holds no more than a minute's worth.
    assert [refused(rates, "ann", 4, 10_000.0) is None for _ in range(5)] == [True] * 4 + [False]


def test_one_caller_takes_nothing_from_another() -> None:
    rates = Rates()
    assert refused(rates, "ann", 1, 0.0) is None and refused(rates, "ann", 1, 0.0)
    assert refused(rates, "bob", 1, 0.0) is None


@settings(max_examples=40)
@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 20))
def test_nobody_gets_more_than_their_rate(pauses: list[float], per_minute: int) -> None:
    rates, now, taken = Rates(), 0.0, 0
    for pause in pauses:
        now += pause
        taken += refused(rates, "ann", per_minute, now) is None
    assert taken <= per_minute + now * per_minute / 60 + 1e-6


@settings(max_examples=40)
@given(st.integers(1, 600), st.floats(0, 1e6))
def test_who_comes_again_when_told_to_is_let_in(per_minute: int, now: float) -> None:
    rates = Rates()
    no = next(n for n in iter(lambda: refused(rates, "ann", per_minute, now), 0) if n)
    assert (no.status, no.code) == (429, "rate_limit_exceeded")
    later = now + int(headers_of(no)["retry-after"])
    assert refused(rates, "ann", per_minute, later) is None


def test_a_bounded_number_of_callers_is_remembered_the_latest_ones() -> None:
    rates = Rates()
    assert refused(rates, "first", 1, 0.0) is None and refused(rates, "kept", 1, 0.0) is None
    for number in range(MOST_BUCKETS - 2):
        rates.take(str(number), 1, 0.0)
    assert refused(rates, "first", 1, 0.0) and refused(rates, "kept", 1, 0.0)
    rates.take("one more", 1, 0.0)
    assert refused(rates, "first", 1, 0.0) and refused(rates, "kept", 1, 0.0)
    assert refused(rates, "0", 1, 0.0) is None  # longest unheard of: it begins anew


def test_so_many_at_once_and_the_next_when_one_has_ended_however_it_ended() -> None:
    in_flight = InFlight(2)
    with in_flight:
        with pytest.raises(ZeroDivisionError), in_flight:
            with pytest.raises(TooMany, match="2 requests are being answered") as no:
                in_flight.__enter__()
            assert headers_of(no.value) == {"retry-after": "1"}
            raise ZeroDivisionError
        assert in_flight.now == 1
    assert in_flight.now == 0


def test_a_prompt_or_a_body_that_is_too_long_reaches_no_engine(
    started: Callable[..., Gateway],
) -> None:
    gateway = started(serving_max_prompt_chars=20, serving_max_body_bytes=500)
    assert gateway.ask().status_code == 200
    long = gateway.ask(messages=[{"role": "user", "content": "x" * 21}])
    assert (long.status_code, long.json()["error"]["code"]) == (413, "prompt_too_large")
    assert long.json()["error"]["message"].endswith("characters; expected at most 20")
    large = gateway.ask(messages=MESSAGES, more="x" * 500)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "body_too_large")
    assert len(gateway.engine.asked) == 1


def test_an_answer_that_goes_on_for_too_long_is_ended_and_remembered(
    started: Callable[..., Gateway],
) -> None:
    gateway = started(serving_answer_seconds=0.3)
    gateway.engine.word_seconds = 0.2
    response = gateway.ask(stream=True)
    assert response.status_code == 200  # it had begun
    *_, last, nothing = response.text.split("\n\n")
    assert '"code":"answer_too_long"' in last and not nothing
    assert "[DONE]" not in response.text
    (cut,) = gateway.completions()
    assert (cut.answer, cut.finish_reason) == (WORDS[0], None)
    assert cut.error == "the answer took longer than any may"
    whole = gateway.ask()
    assert (whole.status_code, whole.json()["error"]["code"]) == (504, "answer_too_long")


def test_an_engine_that_is_silent_for_too_long_is_left(started: Callable[..., Gateway]) -> None:
    gateway = started(serving_silence_seconds=0.2)
    gateway.engine.word_seconds = 0.5
    whole = gateway.ask()
    assert (whole.status_code, whole.json()["error"]["code"]) == (504, "engine_slow")
    response = gateway.ask(stream=True)
    assert '"code":"engine_slow"' in response.text and "[DONE]" not in response.text
