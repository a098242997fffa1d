import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.events import (
    VERDICT_KINDS,
    BadEvent,
    Comparison,
    Completion,
    Correction,
    DeadLetter,
    Event,
    Forget,
    Outcome,
    Retraction,
    Ruling,
    Thumb,
    decode,
    encode,
    group_of,
)
from tests.feedback.made import completion, outcome, thumb

KINDS: tuple[type[Event], ...] = (Completion, *VERDICT_KINDS, Forget, DeadLetter)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
OPTIONAL_ID = st.none() | ID
WHOLE = st.integers(-(2**70), 2**70)  # some apps count in more than 64 bits
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
SECONDS = st.floats(0, 1e6)
ZONE = st.sampled_from(
    [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))]
)
AT = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONE)
TOKEN = st.integers(0, 2**31 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    tokens = draw(st.lists(st.tuples(TOKEN, NUMBER), max_size=4))
    return Completion(
        at=draw(AT),
        id=draw(ID),
        conversation=draw(OPTIONAL_ID),
        user=draw(ID),
        app=draw(OPTIONAL_ID),
        adapter=draw(ID),
        split_revision=draw(st.none() | st.integers(0, 2**63 - 1)),
        messages=tuple(draw(st.lists(OBJECT, max_size=2))),
        answer=draw(TEXT),
        prompt_ids=tuple(draw(st.lists(TOKEN, max_size=4))),
        answer_ids=tuple(token for token, _ in tokens),
        logprobs=tuple(logprob for _, logprob in tokens),
        parameters=draw(OBJECT),
        finish_reason=draw(st.none() | TEXT),
        first_token_seconds=draw(st.none() | SECONDS),
        total_seconds=draw(SECONDS),
        error=draw(st.none() | TEXT),
    )


SAID: dict[str, Any] = {"at": AT, "key": ID, "completion_id": ID, "user": OPTIONAL_ID}
SLOTS = st.sampled_from(["thumb", "comparison", "correction", "outcome:resolved", "outcome:a:b"])
EVENTS = st.one_of(
    completions(),
    st.builds(Thumb, **SAID, up=st.booleans(), comment=st.none() | TEXT),
    st.builds(
        Comparison,
        **(SAID | {"completion_id": st.just("c"), "other_id": st.just("c.1")}),
        winner=st.sampled_from(["a", "b", "tie", "both_bad"]),
    ),
    st.builds(Correction, **SAID, text=ID),
    st.builds(Outcome, **SAID, name=ID, value=NUMBER),
    st.builds(Retraction, **SAID, of=SLOTS),
    st.builds(Forget, at=AT, user=ID, by=ID),
    st.builds(
        Ruling,
        at=AT,
        completion_id=ID,
        slot=SLOTS,
        rater=ID,
        weight=st.floats(0, 1),
        reason=ID,
        by=ID,
    ),
    st.builds(
        DeadLetter, at=AT, topic=ID, partition=WHOLE, offset=WHOLE, key=TEXT, reason=TEXT, raw=TEXT
    ),
)


@given(EVENTS)
def test_what_is_written_is_read_back_the_same(event: Event) -> None:
    assert decode(encode(event), KINDS) == event


@given(EVENTS)
def test_equal_events_are_equal_bytes(event: Event) -> None:
    assert encode(decode(encode(event), KINDS)) == encode(event)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_do_more_than_be_refused(raw: bytes) -> None:
    with pytest.raises(BadEvent):
        decode(raw, KINDS)


OUTCOME = outcome("resolved", 1.0)
LATE, EARLY = "9999-12-31T23:00:00-05:00", "0001-01-01T01:00:00+05:00"


def _wrong() -> Iterator[tuple[Event, dict[str, Any], str]]:
    """An event, what is changed in it, and the complaint."""
    served, said = completion(), thumb(True)
    yield said, {"upp": True}, "thumb: upp: Extra inputs are not permitted (got True)"
    yield said, {"up": "yes"}, "thumb: up: Input should be a valid boolean (got 'yes')"
    yield said, {"up": 1}, "thumb: up: Input should be a valid boolean (got 1)"
    yield said, {"key": ""}, "thumb: key: String should have at least 1 character (got '')"
    yield said, {"key": None}, "thumb: key: Input should be a valid string (got None)"
    yield (
        said,
        {"completion_id": "c" * 201},
        f"completion_id: String should have at most 200 characters (got '{'c' * 76}...)",
    )
    yield said, {"at": "2026-01-01T00:00:00"}, "at: Input should have timezone info (got '2026"
    yield said, {"at": 1767225600}, "at: Input should be a valid datetime (got 1767225600)"
    yield said, {"kind": "thumbs"}, "kind is 'thumbs'; expected one of completion, thumb, "
    yield said, {"kind": None}, "kind is None; expected one of "
    yield said, {"kind": ["thumb"]}, "kind is ['thumb']; expected one of "
    yield said, {"v": 2}, "v is 2; this version reads v 1"
    yield said, {"v": "1"}, "v is '1'; this version reads v 1"
    yield said, {"v": True}, "v is True; this version reads v 1"
    yield said, {"v": 1.0}, "v is 1.0; this version reads v 1"
    yield said, {"at": LATE}, "at: expected a time within the years 1 to 9999 in UTC (got '9999"
    yield said, {"at": EARLY}, "at: expected a time within the years 1 to 9999 in UTC (got '0001"
    yield served, {"parameters": {"x": float("inf")}}, "parameters: Out of range float values"
    yield served, {"total_seconds": float("nan")}, "total_seconds: Input should be a finite number"
    yield served, {"logprobs": [-0.1, float("-inf")]}, "logprobs.1: Input should be a finite number"
    yield served, {"total_seconds": -0.5}, "total_seconds: Input should be greater than or equal"
    yield served, {"prompt_ids": [1, "2"]}, "prompt_ids.1: Input should be a valid integer (got '2'"
    yield served, {"prompt_ids": [1.0]}, "prompt_ids.0: Input should be a valid integer (got 1.0)"
    yield served, {"messages": ["hello"]}, "messages.0: Input should be an object (got 'hello')"
    yield served, {"split_revision": -1}, "split_revision: Input should be greater than or equal"
    yield served, {"split_revision": 2**63}, "split_revision: Input should be less than 92233720368"
    yield (
        served,
        {"prompt_ids": [2**31]},
        "prompt_ids: token 0 is out of range; expected 0 to 2147483647",
    )
    yield (
        served,
        {"answer_ids": [4, 2**31]},
        "answer_ids: token 1 is out of range; expected 0 to 2147483647",
    )
    yield (
        served,
        {"answer_ids": [-1, 5]},
        "answer_ids: token 0 is out of range; expected 0 to 2147483647",
    )
    yield OUTCOME, {"value": float("nan")}, "outcome: value: Input should be a finite number"
    yield OUTCOME, {"value": 10**400}, "outcome: value: Input should be a finite number (got 1000"
    for field in ("user", "answer", "finish_reason"):
        yield served, {field: "half a \ud83d"}, "completion: Invalid JSON: "
    yield served, {"messages": [{"content": "\ude00"}]}, "completion: Invalid JSON: lone leading"
    yield served, {"logprobs": [-0.1]}, "logprobs has 1 entries; expected one per answer id, 2"


@pytest.mark.parametrize(("event", "change", "complaint"), list(_wrong()))
def test_a_complaint_names_the_field_and_its_value(
    event: Event, change: dict[str, Any], complaint: str
) -> None:
    raw = json.dumps(json.loads(encode(event)) | change).encode()
    with pytest.raises(BadEvent) as refused:
        decode(raw, KINDS)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("field", ["at", "key", "completion_id", "up"])
def test_a_missing_field_is_named(field: str) -> None:
    said = json.loads(encode(thumb(True)))
    del said[field]
    with pytest.raises(BadEvent, match=f"thumb: {field}: Field required"):
        decode(json.dumps(said).encode(), KINDS)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[1]", "a JSON list; expected an object"),
        (b"null", "a JSON NoneType; expected an object"),
        (b"{}", "kind is None"),
        (b'{"kind": "thumb"}', "v is None; this version reads v 1"),
    ],
)
def test_what_is_no_event_is_said_to_be_so(raw: bytes, complaint: str) -> None:
    with pytest.raises(BadEvent, match=complaint.replace("(", r"\(")):
        decode(raw, KINDS)


def test_a_kind_that_does_not_belong_here_is_refused() -> None:
    with pytest.raises(BadEvent, match="kind is 'thumb'; expected one of completion"):
        decode(encode(thumb(True)), (Completion,))


def test_two_answers_are_compared_only_within_one_request() -> None:
    about: dict[str, Any] = {"at": datetime.now(UTC), "key": "k", "winner": "a"}
    with pytest.raises(ValueError, match=r"other_id 'd\.1' is of another request than 'c'"):
        Comparison(**about, completion_id="c", other_id="d.1")
    with pytest.raises(ValueError, match="other_id is 'c', the same as completion_id"):
        Comparison(**about, completion_id="c", other_id="c")


def test_a_retraction_names_one_of_the_slots() -> None:
    about: dict[str, Any] = {"at": datetime.now(UTC), "key": "k", "completion_id": "c"}
    outcome = Outcome(**about, name="resolved", value=1.0)
    assert Retraction(**about, of=outcome.slot).slot == outcome.slot == "outcome:resolved"
    with pytest.raises(ValueError, match="of"):
        Retraction(**about, of="outcome:")


def test_further_answers_to_a_request_are_of_its_group() -> None:
    assert group_of("chatcmpl-7f.1") == group_of("chatcmpl-7f") == "chatcmpl-7f"
