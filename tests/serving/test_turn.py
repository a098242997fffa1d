from datetime import UTC, datetime
from typing import Any

import pytest

from feedback.events import Completion
from feedback.privacy import BUILT_IN, Redact
from serving.apis import CHAT
from serving.ask import Ask
from serving.turn import Away, Chosen, Turn

COMMON = BUILT_IN["common"]
MAIL = "ann@example.com"


def turn(*deltas: dict[str, Any], error: str | None = None, **body: Any) -> Turn:
    """Two tokens for each thing that the engine said."""
    asked = {"messages": [{"role": "user", "content": "Hi"}]} | body
    ask = Ask(CHAT, asked, "ann", "conv", 0.0)
    taken = Turn(ask, "pseudonym", Away(lambda: 0.0), Chosen("model-v1", 1), error=error)
    for delta in deltas:
        tokens = {"content": [{"logprob": -0.5}, {"logprob": -0.5}]}
        choice = {"index": 0, "delta": delta, "token_ids": [7, 8], "logprobs": tokens}
        taken.take({"id": "c", "prompt_token_ids": [1], "choices": [choice]})
    return taken


def remembered(taken: Turn, redact: Redact | None) -> Completion:
    fields = taken.completion(
        0, at=datetime.now(UTC), total_seconds=1.0, parent=lambda _: None, redact=redact
    )
    return Completion(**fields)


def called(arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}


PERSONAL = {
    "messages": turn({"content": "Hi"}, messages=[{"role": "user", "content": MAIL}]),
    "a name in the messages": turn({"content": "Hi"}, messages=[{"role": "user", MAIL: 1}]),
    "parameters": turn({"content": "Hi"}, tools=[{"function": {"description": MAIL}}]),
    "an answer in bits": turn({"content": "Ask ann@"}, {"content": "example.com"}),
    "a tool call in bits": turn(called('{"to": "ann@'), called('example.com"}')),
    "a thought in bits": turn({"reasoning": "ann@"}, {"reasoning": "example.com"}),
}


@pytest.mark.parametrize("where", PERSONAL)
def test_ids_that_spell_what_was_taken_out_are_left_out(where: str) -> None:
    assert len(remembered(PERSONAL[where], None).answer_ids) >= 2
    kept = remembered(PERSONAL[where], COMMON)
    assert (kept.prompt_ids, kept.answer_ids, kept.logprobs) == ((), (), ())
    assert MAIL not in kept.model_dump_json()


def test_an_error_is_redacted_and_no_id_spells_it() -> None:
    kept = remembered(turn({"content": "Hi"}, error=f"cannot mail {MAIL}"), COMMON)
    assert kept.error == "cannot mail [email]"
    assert kept.answer_ids == (7, 8)


def test_the_ids_of_a_clean_tool_call_stay() -> None:
    assert remembered(turn(called('{"to": '), called('"you"}')), COMMON).answer_ids == (7, 8) * 2
