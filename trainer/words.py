"""The base model's tokenizer: token ids → text, and back."""

import logging
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from transformers import AutoTokenizer

from trainer.golden import Golden
from trainer.spoken import THOUGHT

_log = logging.getLogger("trainer")


class Words:
    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def prompt_ids(self, golden: Golden) -> tuple[int, ...]:
        """As the engine would make them of a request. ValueError where the template refuses."""
        if golden.messages is None:
            return tuple(self._tokenizer(golden.prompt)["input_ids"])
        return self._rendered([message.model_dump() for message in golden.messages])

    def chat_ids(self, said: str) -> tuple[int, ...]:
        """Of one who says this, and waits for an answer. ValueError as above."""
        return self._rendered([{"role": "user", "content": said}])

    def answer_ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def whole_answer_ids(self, text: str) -> tuple[int, ...]:
        """With the token that ends it. What looks like a special token is no more than its text."""
        ids = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)[
            "input_ids"
        ]
        end = self._tokenizer.eos_token_id
        return (*ids, *(() if end is None else (end,)))

    def thought(self, ids: Sequence[int]) -> int:
        """How many of an answer's tokens are what the model thought before it spoke."""
        mark = self.answer_ids(THOUGHT)
        ends = range(len(ids), len(mark) - 1, -1)
        return next((at for at in ends if tuple(ids[at - len(mark) : at]) == mark), 0)

    def _rendered(self, messages: list[dict[str, str]]) -> tuple[int, ...]:
        try:
            ids = self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_dict=False
            )
        except TemplateError as error:
            raise ValueError(f"the chat template refuses: {error}") from error
        return tuple(ids)


def load_words(base: str) -> Words | None:
    """None where the base model comes without a tokenizer."""
    try:
        found = Words(AutoTokenizer.from_pretrained(base))
    except (OSError, ValueError) as error:
        _log.warning("model %r has no tokenizer that can be read: %s", base, error)
        return None
    # Of some kinds of model, without its files, an empty one is made up.
    if "a" not in found.text(found.answer_ids("a")):
        _log.warning("model %r has no tokenizer: expected tokenizer.json beside its weights", base)
        return None
    return found
