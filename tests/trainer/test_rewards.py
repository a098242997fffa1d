from feedback.events import BASE
from feedback.examples import Example
from tests.trainer.test_pairs import comparison, correction, letters
from tests.trainer.tiny import PLAN, example
from trainer.items import Items
from trainer.pairs import Pair, make_pairs
from trainer.plan import Plan

RPO = PLAN.model_copy(
    update={"method": "rpo", "holdout_percent": 0.0, "reward_outcome": "resolved"}
)


def outcome(number: int, value: float, name: str = "resolved", **changes: object) -> Example:
    return example(number, slot=f"outcome:{name}", up=None, value=value, **changes)


def pairs(said: list[Example], plan: Plan = RPO) -> Items[Pair]:
    return make_pairs(said, [], parent=BASE, plan=plan, tokenize=letters)


def rewards(made: Items[Pair]) -> list[tuple[float | None, float | None]]:
    return [(pair.chosen.reward, pair.rejected.reward) for pair in made.train]


def test_an_outcome_that_the_plan_names_is_the_reward_of_its_answer() -> None:
    made = pairs([comparison(0), outcome(0, 0.75), outcome(0, 9.0, "clicks")])
    assert rewards(made) == [(0.75, None)]
    assert made.counts["rewards"] == 1
    assert made.counts["dropped: neither a thumb, a comparison nor a correction"] == 1


def test_a_rival_has_the_outcome_of_its_own_id_and_the_newest_holds() -> None:
    rival = outcome(0, 0.25, completion_id="c0.1", rater="b")
    made = pairs([comparison(0), outcome(0, 0.0, completion_id="c0.1", rater="a"), rival])
    assert rewards(made) == [(None, 0.25)]
    assert (made.counts["rewards"], made.counts["dropped: an earlier outcome"]) == (1, 1)


def test_a_correction_has_no_outcome_of_what_it_corrects() -> None:
    assert rewards(pairs([correction(0), outcome(0, 0.5)])) == [(None, 0.5)]


def test_outcomes_that_count_for_nothing_are_dropped_with_their_reasons() -> None:
    made = pairs([comparison(0), outcome(7, 1.0), outcome(0, 1.0, weight=0.0)])
    assert rewards(made) == [(None, None)]
    assert made.counts["dropped: an outcome of no pair"] == 1
    assert made.counts["dropped: quarantined"] == 1
    assert sum(made.counts.values()) == 3


def test_quarantined_examples_and_outcomes_are_counted_together() -> None:
    made = pairs([comparison(0, weight=0.0), outcome(0, 1.0, weight=0.0)])
    assert made.counts["dropped: quarantined"] == 2


def test_another_value_is_other_data() -> None:
    one, two = (pairs([comparison(0), outcome(0, value)]) for value in (0.0, 1.0))
    assert one.digest != two.digest


def test_without_a_name_outcomes_are_no_rewards() -> None:
    made = pairs([comparison(0), outcome(0, 0.5)], RPO.model_copy(update={"reward_outcome": None}))
    assert rewards(made) == [(None, None)]
    assert "rewards" not in made.counts
