"""Criticised and rewritten: by a speaker of few words, and the tiny policy's tokenizer."""

from collections.abc import Callable, Sequence

import pytest

from tests.trainer.compared import plan_of
from trainer.batch import Text
from trainer.constitution import rewritten
from trainer.labels import Labels
from trainer.policy import Sampled
from trainer.words import Words

KIND, HONEST = "Be kind.", "Say {what} you do not know."


class Speaker:
    """Says "put it in hot water", then what is wrong with it, then what it is told to."""

    def __init__(self, words: Words, new: Callable[[int], str], first: str = "") -> None:
        self.words, self.new = words, new
        self.first = first or "put it in hot water"
        self.asked: list[list[str]] = []
        self.seeds: list[int] = []
        self.ended = True

    def __call__(self, prompts: Sequence[tuple[int, ...]], seed: int) -> Sampled:
        self.seeds.append(seed)
        self.asked.append([self.words.text(prompt) for prompt in prompts])
        turn, count = len(self.asked), len(prompts)
        said = {
            1: [self.first] * count,
            2: [f"<think>hm</think>no. {at}: {{too}} short" for at in range(count)],
            3: [self.new(at) for at in range(count)],
        }[turn]
        texts = [
            Text(prompt, self.words.whole_answer_ids(one))
            for prompt, one in zip(prompts, said, strict=True)
        ]
        return Sampled(texts, [self.ended] * count)


def made(words: Words, speaker: Speaker, **changes: object) -> Labels:
    prompts = [words.answer_ids(f"how do I boil {n} eggs") for n in range(8)]
    fields = {"rewritten_answers": 8, "constitution": "ours", **changes}
    return rewritten(speaker, prompts, words, [KIND, HONEST], plan_of("dpo", **fields))


def test_a_rewritten_answer_is_better_than_what_it_was(words: Words) -> None:
    found = made(words, Speaker(words, lambda at: f"put it in hot water {at}"))
    assert found.counts == {"rewritten: labels": 8}
    for at, (better, worse) in enumerate(found.pairs):
        assert words.text(better.answer_ids) == f"put it in hot water {at}"
        assert words.text(worse.answer_ids) == "put it in hot water"
        assert better.prompt_ids == worse.prompt_ids
        assert words.text(better.prompt_ids).startswith("how do I boil")
        assert better.answer_ids[-1] == worse.answer_ids[-1] == words.whole_answer_ids("")[0]


def test_each_is_criticised_by_one_principle_and_rewritten_by_its_criticism(words: Words) -> None:
    speaker = Speaker(words, lambda at: "cool it")
    made(words, speaker)
    prompts, critics, writers = speaker.asked
    for prompt, critic, writer, at in zip(prompts, critics, writers, range(8), strict=True):
        for asked in (critic, writer):
            assert f"[request]\n{prompt}\n[end of request]" in asked
            assert "[answer]\nput it in hot water\n[end of answer]" in asked
            assert (KIND in asked) != (HONEST in asked)
        assert (KIND in critic) == (KIND in writer)
        assert f"[criticism]\nno. {at}: {{too}} short\n[end of criticism]" in writer
        assert "hm" not in writer
    assert 0 < sum(KIND in critic for critic in critics) < 8
    assert len(set(speaker.seeds)) == 3


def test_which_principle_it_is_is_drawn_by_the_seed(words: Words) -> None:
    speakers = [Speaker(words, lambda at: "cool it") for _ in range(3)]
    for speaker, seed in zip(speakers, (0, 0, 1), strict=True):
        made(words, speaker, seed=seed)
    drawn = [[KIND in asked for asked in speaker.asked[1]] for speaker in speakers]
    assert drawn[0] == drawn[1] != drawn[2]
    assert speakers[0].seeds == speakers[1].seeds != speakers[2].seeds


@pytest.mark.parametrize(
    ("new", "count"),
    [
        ("", "rewritten: empty"),
        ("<think>so</think> ", "rewritten: empty"),
        ("put it in hot water", "rewritten: as before"),
        (" put it in hot water\n", "rewritten: as before"),
        ("put it in hot water" * 3, "rewritten: too long"),
    ],
)
def test_what_is_no_better_answer_is_no_pair(words: Words, new: str, count: str) -> None:
    found = made(words, Speaker(words, lambda at: new if at < 3 else "cool it"))
    assert found.counts == {"rewritten: labels": 5, count: 3}
    assert len(found.pairs) == 5


def test_what_was_cut_off_is_no_pair(words: Words) -> None:
    speaker = Speaker(words, lambda at: "cool it")
    speaker.ended = False
    assert made(words, speaker) == Labels([], {"rewritten: cut off": 8})


def test_a_row_has_room_for_all_of_it(words: Words) -> None:
    speaker = Speaker(words, lambda at: "cool it")
    assert made(words, speaker, max_row_tokens=150).counts == {"rewritten: too long to ask": 8}
    assert speaker.asked[1:] == [[], []]


def test_it_keeps_its_own_thought_and_not_that_of_rewriting(words: Words) -> None:
    thought = "<think>it is hot</think>"
    speaker = Speaker(
        words, lambda at: "<think>I rewrite</think>cool it", f"{thought}put it in hot water"
    )
    (better, worse), *_ = made(words, speaker).pairs
    assert words.text(worse.answer_ids) == f"{thought}put it in hot water"
    assert words.text(better.answer_ids) == f"{thought}cool it"
