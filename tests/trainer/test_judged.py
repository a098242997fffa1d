from collections.abc import Callable, Sequence

import pytest

from tests.trainer.compared import plan_of
from trainer.batch import Text
from trainer.endings import RoundFailed
from trainer.judged import judged
from trainer.labels import Labels
from trainer.policy import Sampled
from trainer.rubric import Case, Ruling
from trainer.words import Words

Ask = Callable[[Sequence[Case]], list[Ruling]]


class Speaker:
    """Of two answers to one prompt the second is longer; those to `same` are alike."""

    def __init__(self, words: Words, same: Sequence[tuple[int, ...]] = ()) -> None:
        self.words, self.same, self.drawn = words, same, 0

    def __call__(self, prompts: Sequence[tuple[int, ...]], seed: int) -> Sampled:
        self.drawn += len(prompts)
        said = [
            "egg" + " egg" * (at % 2 if prompt not in self.same else 0)
            for at, prompt in enumerate(prompts)
        ]
        texts = [
            Text(prompt, self.words.whole_answer_ids(one))
            for prompt, one in zip(prompts, said, strict=True)
        ]
        return Sampled(texts, [True] * len(texts))


def shorter(cases: Sequence[Case]) -> list[Ruling]:
    return ["first" if len(one.first) < len(one.second) else "second" for one in cases]


def made(words: Words, ask: Ask, count: int = 20, *, same: int = 0, **changes: object) -> Labels:
    prompts = [words.answer_ids(f"how do I boil {n}") for n in range(20)]
    plan = plan_of("dpo", judged_pairs=count, **changes)
    return judged(Speaker(words, prompts[:same]), ask, prompts, words, plan)


def test_the_answer_that_a_judge_prefers_is_the_better_one(words: Words) -> None:
    found = made(words, shorter)
    said = {(words.text(one.answer_ids), words.text(two.answer_ids)) for one, two in found.pairs}
    assert said == {("egg", "egg egg")}
    assert len({better.prompt_ids for better, _ in found.pairs}) == 20
    assert all(better.prompt_ids == worse.prompt_ids for better, worse in found.pairs)
    assert found.counts == {"judged: labels": 20}


def test_which_answer_stands_first_is_drawn_by_the_seed(words: Words) -> None:
    seen: list[list[Case]] = []

    def looks(cases: Sequence[Case]) -> list[Ruling]:
        seen.append(list(cases))
        return shorter(cases)

    for seed in (0, 0, 1):
        made(words, looks, seed=seed)
    first = [[case.first == "egg" for case in cases] for cases in seen]
    assert 4 < sum(first[0]) < 16
    assert first[0] == first[1] != first[2]
    assert seen[0][0].prompt.startswith("how do I boil ")


def test_what_is_no_label_is_counted(words: Words) -> None:
    rulings: list[Ruling] = ["tie", "position", "unreadable", "declined", "first"]

    def mixed(cases: Sequence[Case]) -> list[Ruling]:
        return [rulings[at % 5] for at in range(len(cases))]

    found = made(words, mixed)
    assert len(found.pairs) == 4
    assert found.counts == {
        "judged: by position": 4,
        "judged: declined": 4,
        "judged: labels": 4,
        "judged: ties": 4,
        "judged: unreadable": 4,
    }


def test_the_budget_is_of_questions_and_two_the_same_cost_none(words: Words) -> None:
    asked: list[Case] = []

    def counts(cases: Sequence[Case]) -> list[Ruling]:
        asked.extend(cases)
        return shorter(cases)

    found = made(words, counts, same=5, judge_questions=21)
    assert len(asked) == 10
    drawn_same = found.counts["judged: same answers"]
    assert 0 < drawn_same <= 5
    assert found.counts == {
        "judged: labels": 10,
        "judged: over budget": 10 - drawn_same,
        "judged: same answers": drawn_same,
    }
    found = made(words, counts, same=15, judge_questions=20)
    assert found.counts == {"judged: labels": 5, "judged: same answers": 15}


def test_what_the_budget_leaves_out_is_not_even_drawn(words: Words) -> None:
    speaker = Speaker(words)
    plan = plan_of("dpo", judged_pairs=20_000, judge_questions=20)
    found = judged(speaker, shorter, [words.answer_ids("how do I boil")], words, plan)
    assert speaker.drawn == 20
    assert found.counts == {"judged: labels": 10, "judged: over budget": 19_990}


def test_a_judge_that_declines_all_fails_the_round(words: Words) -> None:
    with pytest.raises(RoundFailed, match="the judge declined all 20 pairs; the log has why"):
        made(words, lambda cases: ["declined"] * len(cases))
