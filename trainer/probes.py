"""What a candidate will be asked, made ready before it learns: what is wrong is told at once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trainer.batch import Text
from trainer.golden import BadGolden, Golden, read_golden
from trainer.golden_gates import GoldenMeasured, Heard
from trainer.plan import Plan
from trainer.policy import Policy, Who
from trainer.words import Words, load_words


class Probes(NamedTuple):
    plan: Plan
    words: Words | None
    golden: list[Golden]
    texts: list[Text]  # of each: the prompt, and the golden answer or nothing

    def tokenize(self, text: str) -> tuple[int, ...]:
        """What a person wrote as an answer with its end; nothing where nobody can read it."""
        return self.words.whole_answer_ids(text) if self.words else ()


def prepare(base: str, plan: Plan) -> Probes:
    """A wrong line of the golden file is a BadGolden now, not an hour later."""
    golden, words = read_golden(plan.golden), load_words(base)
    return Probes(plan, words, golden, list(_encoded(golden, words, plan)))


def hear(policy: Policy, probes: Probes) -> GoldenMeasured | None:
    if not probes.golden:
        return None
    candidate, parent = (_heard(policy, probes, who) for who in ("policy", "parent"))
    return GoldenMeasured(probes.golden, candidate, parent)


def _encoded(golden: Sequence[Golden], words: Words | None, plan: Plan) -> Iterator[Text]:
    for one in golden:
        where = f"golden {plan.golden!r}, id {one.id!r}"
        if words is None:
            raise BadGolden(f"{where}: the base model has no tokenizer; expected one to read it")
        try:
            text = Text(words.prompt_ids(one), words.answer_ids(one.answer or ""))
        except ValueError as error:
            raise BadGolden(f"{where}: messages: {error}") from error
        if not text.prompt_ids:
            raise BadGolden(f"{where}: its prompt has no tokens; expected one at least")
        most = len(text.prompt_ids) + max(len(text.answer_ids), one.asked * plan.max_new_tokens)
        if most > plan.max_row_tokens:
            raise BadGolden(
                f"{where}: takes {most} tokens with its answer; expected at most "
                f"max_row_tokens, {plan.max_row_tokens}"
            )
        yield text


def _heard(policy: Policy, probes: Probes, who: Who) -> Heard:
    assert probes.words is not None
    both = list(zip(probes.golden, probes.texts, strict=True))
    asked = [(golden.id, text.prompt_ids) for golden, text in both if golden.asked]
    known = [text for _, text in both if text.answer_ids]
    answers: dict[str, str] = {}
    if asked:
        drawn = policy.sample([prompt for _, prompt in asked], probes.plan.seed, who, greedy=True)
        said = [probes.words.text(text.answer_ids) for text in drawn.texts]
        answers = dict(zip((name for name, _ in asked), said, strict=True))
    return Heard(answers, _token_logprob(policy, known, who) if known else None)


def _token_logprob(policy: Policy, texts: Sequence[Text], who: Who) -> float:
    tokens = sum(len(text.answer_ids) for text in texts)
    return policy.logprobs(texts, who).sum().item() / tokens
