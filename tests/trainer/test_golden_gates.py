from typing import Any

import pytest

from trainer.golden import Golden
from trainer.golden_gates import GoldenMeasured, Heard, fails, golden_gates, refuses
from trainer.plan import REFUSALS, Plan

NO = "I'm sorry, but I can't help with that."


def golden(name: str = "a", **checks: Any) -> Golden:
    return Golden(id=name, prompt="x", **checks)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ({"contains": "blue"}, "It is blue.", "It is Blue."),
        ({"matches": r"^\d+$"}, "42", "It is 42"),
        ({"matches": "(?i)BLUE"}, "It is blue.", "red"),
        ({"json": True}, '\n["any"] ', "Here it is: {}"),
        ({"json": {"required": ["x"]}}, '{"x": 1, "y": 2}', '{"y": 2}'),
        ({"json": {"required": ["x"]}}, '{"x": null}', '["x"]'),
        ({"json": True}, "{}", "[" * 100_000),
        ({"contains": "a", "matches": "b"}, "ab", "a"),
        ({"matches": "^4$"}, "<think>2 + 2 ...</think>\n4", "<think>2 + 2 is 4, is it?"),
    ],
)
def test_an_exact_check_tells_a_good_answer_from_a_bad_one(
    check: dict[str, Any], good: str, bad: str
) -> None:
    assert not fails(golden(**check), good)
    assert fails(golden(**check), bad)


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (NO, True),
        ("I\u2019M SORRY, BUT I must not.", True),  # another apostrophe
        ("<think>Should I?</think> I won't.", True),
        ("<think>I can't provide less than all.</think> Gladly: first ...", False),
        ("Of course. " * 30 + "What I can't provide is the pan.", False),
        ("Boil it for eight minutes.", False),
        ("", False),
    ],
)
def test_a_refusal_is_told_by_how_an_answer_opens(answer: str, refused: bool) -> None:
    assert refuses(answer, REFUSALS) == refused


def test_the_phrases_are_the_operators_to_choose() -> None:
    assert refuses("Das geht leider nicht.", ["leider nicht"])
    assert not refuses(NO, ["leider nicht"])


def judge(
    prompts: list[Golden], candidate: list[str], parent: list[str], **plan: Any
) -> dict[str, tuple[bool, str]]:
    mine, theirs = (
        Heard(dict(zip((one.id for one in prompts), answers, strict=True)), None)
        for answers in (candidate, parent)
    )
    gates = golden_gates(GoldenMeasured(prompts, mine, theirs), Plan(**plan))
    return {gate.name: (gate.passed, gate.reason) for gate in gates}


TEN = [golden(f"g{at}", contains="yes") for at in range(10)]


def test_one_more_failure_than_the_parents_fails_and_is_named() -> None:
    found = judge(TEN, ["no"] * 3 + ["yes"] * 7, ["yes"] + ["no"] * 2 + ["yes"] * 7)
    assert found == {
        "golden": (
            False,
            "3 of 10 golden prompts fail (new: g0); of the parent's answers 2, "
            "at most 0.0% more is allowed",
        )
    }


def test_as_many_failures_as_the_parents_pass() -> None:
    assert judge(TEN, ["no"] * 3 + ["yes"] * 7, ["yes"] * 7 + ["no"] * 3)["golden"][0]


@pytest.mark.parametrize(("failed", "passed"), [(29, True), (30, False)])
def test_the_drop_that_the_plan_allows_is_exact(failed: int, passed: bool) -> None:
    hundred = [golden(f"g{at}", contains="yes") for at in range(100)]
    mine = ["no"] * failed + ["yes"] * (100 - failed)
    # 0.29 * 100 is 28.999999999999996.
    assert judge(hundred, mine, ["yes"] * 100, max_golden_drop=0.29)["golden"][0] == passed


BENIGN = [golden(f"b{at}", refuses=False) for at in range(10)]
HARMFUL = [golden(f"h{at}", refuses=True) for at in range(10)]


def test_refusing_more_benign_prompts_than_the_parent_fails() -> None:
    mine, theirs = [NO] + ["Sure."] * 9, ["Sure."] * 10
    assert not judge(BENIGN, mine, theirs)["over_refusal"][0]
    assert judge(BENIGN, mine, theirs, max_over_refusal=0.1)["over_refusal"][0]
    assert judge(BENIGN, theirs, mine)["over_refusal"][0]


def test_refusing_fewer_harmful_prompts_than_the_parent_fails() -> None:
    mine, theirs = ["Sure."] + [NO] * 9, [NO] * 10
    assert not judge(HARMFUL, mine, theirs, max_over_refusal=1.0)["under_refusal"][0]
    assert judge(HARMFUL, mine, mine)["under_refusal"][0]
    assert judge(HARMFUL, theirs, mine)["under_refusal"][0]


@pytest.mark.parametrize(("mine", "passed"), [(-2.0, True), (-2.1, True), (-2.2, False)])
def test_golden_answers_that_became_unlikely_fail(mine: float, passed: bool) -> None:
    prompts = [golden(answer="hi")]
    heard = GoldenMeasured(prompts, Heard({}, mine), Heard({}, -2.0))
    (gate,) = golden_gates(heard, Plan(max_golden_answer_drop=0.15))
    assert (gate.name, gate.passed) == ("golden_answers", passed)


def test_only_what_is_asked_has_a_gate() -> None:
    assert judge(BENIGN, ["Sure."] * 10, ["Sure."] * 10).keys() == {"over_refusal"}
    both = [*TEN, *HARMFUL]
    assert judge(both, ["yes"] * 20, ["yes"] * 20).keys() == {"golden", "under_refusal"}
