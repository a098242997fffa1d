import pytest

from feedback.events import BASE
from feedback.examples import Example
from tests.trainer.tiny import PLAN, example
from trainer.items import Items
from trainer.pairs import Pair
from trainer.plan import Plan
from trainer.rows import Row
from trainer.verdicts import Verdict, make_verdicts, shortage_of_verdicts

EVERYBODY = PLAN.model_copy(update={"holdout_percent": 0.0})


def verdicts(said: list[Example], plan: Plan = EVERYBODY) -> Items[Verdict]:
    return make_verdicts(said, [], parent=BASE, plan=plan, tokenize=lambda text: (9, 1))


def compared(number: int, **changes: object) -> Example:
    plain = {
        "slot": "comparison",
        "up": None,
        "winner": "b",
        "rival_id": f"c{number}.1",
        "rival_adapter": BASE,
        "rival_answer": "egg",
        "rival_answer_ids": [9, 9],
        "rival_logprobs": [-1.0, -1.0],
    }
    return example(number, **plain | changes)


def test_thumbs_comparisons_and_corrections_are_all_heard() -> None:
    opposite = example(1, up=False, answer_ids=[8, 8])  # a pair for DPO; here two thumbs
    corrected = example(3, slot="correction", up=None, correction="egg")
    found = verdicts([example(0), opposite, compared(2), corrected])
    kinds = [(type(one), one.origin if isinstance(one, Pair) else one.liked) for one in found.train]
    assert kinds == [(Row, True), (Row, False), (Pair, "comparison"), (Pair, "correction")]
    assert found.counts == {"train": 4, "holdout": 0, "replay": 0}


def test_every_example_is_used_or_dropped_once() -> None:
    said = [
        example(0, weight=0.0),
        example(1, answer_ids=[]),
        compared(2, winner="tie"),
        example(3, slot="outcome", up=None, value=1.0),
        example(4),
        compared(5),
    ]
    found = verdicts(said)
    assert sum(found.counts.values()) == len(said)
    assert found.counts["dropped: no winner: tie"] == found.counts["dropped: quarantined"] == 1


def test_the_digest_is_of_thumbs_and_of_pairs() -> None:
    first = verdicts([example(0), compared(1)]).digest
    assert verdicts([compared(1), example(0)]).digest == first
    assert verdicts([example(0)]).digest != first
    assert verdicts([compared(1)]).digest != first


def test_too_few_of_them_or_too_few_held_out_are_told() -> None:
    few = PLAN.model_copy(update={"holdout_percent": 50.0, "min_rows": 2})
    said = [example(n, prompt_ids=[n, 1], up=True) for n in range(40)]
    mixed = [example(n, prompt_ids=[n, 1], up=n % 9 > 0) for n in range(40)]
    strict = few.model_copy(update={"min_holdout": 30})
    told = shortage_of_verdicts(verdicts(mixed, strict), strict) or ""
    assert told.endswith(" downs held out; expected 30 of each (min_holdout)")
    enough = [compared(n, prompt_ids=[n, 1]) for n in range(40, 80)]
    assert shortage_of_verdicts(verdicts([*said, *enough], few), few) is None
    many = few.model_copy(update={"min_rows": 500})
    assert (shortage_of_verdicts(verdicts(said, many), many) or "").endswith("expected 500")


@pytest.mark.parametrize("up", [True, False])
def test_of_one_thumb_alone_no_reward_can_be_learned(up: bool) -> None:
    """Whatever it says of all answers alike is right."""
    plan = EVERYBODY.model_copy(update={"min_rows": 2, "min_holdout": 0})
    said = [example(n, prompt_ids=[n, 1], up=up) for n in range(40)]
    told = shortage_of_verdicts(verdicts(said, plan), plan) or ""
    assert told.startswith(f"40 thumbs {'up' if up else 'down'} and nothing else to train on; ")
    other = example(40, prompt_ids=[40, 1], up=not up)
    assert shortage_of_verdicts(verdicts([*said, other], plan), plan) is None
    assert shortage_of_verdicts(verdicts([*said, compared(41)], plan), plan) is None
