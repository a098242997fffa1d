"""A candidate's fresh answers beside its parent's, by numbers that can be worked out beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import pytest
import torch

from tests.trainer.compared import plan_of
from tests.trainer.test_opinion import pairs
from trainer.batch import Text
from trainer.hacking import Trusted
from trainer.items import Items
from trainer.opinion import opinion
from trainer.policy import Policy
from trainer.reward import Scored, said, states_of
from trainer.rows import Row
from trainer.verdicts import Verdict
from trainer.weighing import weigh

PLAN = plan_of("rloo", min_seconded=0.5)
BEFORE = [Text((5, 6), (n,)) for n in (10, 11, 12)]
FRESH = [Text((5, 6), (n, 1)) for n in (10, 11, 12)]
LIKED = [Row(f"c{n}", f"u{n}", Text((5,), (n,)), n % 3 > 0, 1.0, None) for n in range(8, 30)]


@dataclass(frozen=True)
class ByLength:
    """An answer of two tokens is worth 1, 2 or 3 more than one of one, and trusted less."""

    def scored(self, policy: Policy, texts: Sequence[Text], at_once: int) -> Scored:
        odds = [(len(text.answer_ids) - 1.0) * (text.answer_ids[0] - 9) for text in texts]
        trust = [1.0 if len(text.answer_ids) == 1 else 0.5 for text in texts]
        return Scored(torch.tensor(odds), torch.tensor(trust))


def items(held: Sequence[Verdict] = ()) -> Items[Verdict]:
    return Items(train=[*LIKED], replay=[], holdout=[*held], counts={}, digest="")


def test_what_the_reward_says_is_the_mean_over_the_parents(policy: Policy) -> None:
    found = weigh(policy, ByLength(), items(), PLAN, fresh=FRESH, before=BEFORE)
    assert (found.gain.value, found.gain.n) == (2.0, 3)  # of 1, 2 and 3
    assert found.gain.stderr == pytest.approx(1 / 3**0.5)
    assert found.trust_drop.value == 0.5
    assert (found.candidate, found.parent) == (Trusted(0.5, 1.0), Trusted(1.0, 0.0))


def test_a_second_opinion_is_of_the_same_answers_in_deviations_of_the_parents(
    policy: Policy,
) -> None:
    reward, texts = Longer(), [*FRESH, *BEFORE]
    found = weigh(policy, reward, items(), PLAN, fresh=FRESH, before=BEFORE).second
    assert found is not None
    judge = opinion(states_of(policy, policy.parent, said(LIKED), 8), LIKED)
    now, then = judge.worth(states_of(policy, policy.parent, texts, 8)).view(2, -1)
    gains = (now - then).tolist()
    assert found.gain.value == pytest.approx(sum(gains) / 3, rel=1e-4)
    own = then.std(correction=0).item()
    claimed = 1.0 / torch.tensor([10.0, 11.0, 12.0]).std(correction=0).item()
    assert found.share == pytest.approx(sum(gains) / 3 / own / claimed, rel=1e-4)
    assert found.lead.value == pytest.approx(sum(gains) / 3 / own - 0.5 * claimed, rel=1e-4)
    assert found.order is None


@dataclass(frozen=True)
class Longer:
    """Each token more is worth 1; what an answer begins with counts too."""

    def scored(self, policy: Policy, texts: Sequence[Text], at_once: int) -> Scored:
        odds = [float(len(text.answer_ids) + text.answer_ids[0]) for text in texts]
        return Scored(torch.tensor(odds), torch.ones(len(texts)))


def test_it_is_judged_on_held_out_thumbs_and_pairs_together(policy: Policy) -> None:
    held: list[Verdict] = [*pairs(9)[4:]]
    thumbs = [Row(f"c{n}", "u", Text((5,), (n,)), n == 40, 1.0, None) for n in (40, 41)]
    judge = opinion(states_of(policy, policy.parent, said(LIKED), 8), LIKED)
    odds, both = (
        judge.worth(states_of(policy, policy.parent, said(some), 8)).tolist()
        for some in (thumbs, held)
    )
    right = [won > lost for won, lost in zip(both[::2], both[1::2], strict=True)]
    for more, expected in (
        ([], fmean(right)),
        (thumbs[:1], fmean(right)),  # without its opposite it is no order
        (thumbs, fmean([*right, odds[0] > odds[1]])),
    ):
        told = items([*held, *more])
        found = weigh(policy, ByLength(), told, PLAN, fresh=FRESH, before=BEFORE).second
        assert found is not None
        assert found.order == pytest.approx(expected)


def test_the_plan_may_ask_for_no_second_opinion(policy: Policy) -> None:
    plan = plan_of("rloo", min_seconded=None)
    assert weigh(policy, ByLength(), items(), plan, fresh=FRESH, before=BEFORE).second is None
