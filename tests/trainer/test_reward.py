"""The reward model, on verdicts whose reason is known."""

from collections.abc import Callable
from dataclasses import replace
from math import exp, log
from statistics import fmean

import pytest
import torch

from tests.trainer.last_words import MIDDLE, is_liked, items, pairs, texts, thumbs
from tests.trainer.tiny import PLAN
from trainer.batch import Text
from trainer.endings import NotFinite, RoundFailed
from trainer.held_out import accuracy
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reward import Head, Reward, Scored, loss, said, states_of, worth
from trainer.reward_fit import Learned, fit_reward
from trainer.rows import Row
from trainer.verdicts import Verdict

REWARDED = Plan.model_validate(
    PLAN.model_dump()
    | {"method": "online_dpo", "reward_learning_rate": 3e-3, "reward_epochs": 6, "batch_size": 16}
)
ASKED = texts(200, seed=9)


def learned(policy: Policy, train: list[Verdict], plan: Plan = REWARDED) -> Learned[Reward]:
    return fit_reward(policy, items(train, thumbs(texts(60, seed=1))), plan)


def scored(policy: Policy, found: Learned[Reward], asked: list[Text] = ASKED) -> Scored:
    return found.reward.scored(policy, asked, 64)


def order(policy: Policy, found: Learned[Reward]) -> float:
    """The share of pairs of a liked answer and another that it orders right."""
    both = list(zip(scored(policy, found).odds.tolist(), ASKED, strict=True))
    sides = [[odds for odds, text in both if is_liked(text) is up] for up in (True, False)]
    return accuracy(*sides).share


@pytest.mark.parametrize("how", [thumbs, pairs])
def test_it_learns_from_thumbs_and_from_comparisons(
    policy: Policy, how: Callable[[list[Text]], list[Verdict]]
) -> None:
    assert order(policy, learned(policy, how(texts(300)))) > 0.9


def test_the_policy_and_its_parent_stay_what_they_were(policy: Policy) -> None:
    before = policy.weights()
    found = learned(policy, thumbs(texts(60)))
    assert all(torch.equal(before[name], tensor) for name, tensor in policy.weights().items())
    assert any(not torch.equal(before[n], tensor) for n, tensor in found.reward.weights.items())


def test_it_begins_where_the_policy_is(policy: Policy) -> None:
    """What earlier rounds taught the model to see, its reward need not learn anew."""
    for one in policy.parameters():
        torch.nn.init.normal_(one, std=0.02)
    slow = REWARDED.model_copy(update={"reward_learning_rate": 1e-12})
    begun, own = learned(policy, thumbs(texts(60)), slow).reward.weights, policy.weights()
    assert begun.keys() == own.keys()
    assert all(torch.allclose(begun[name], own[name], atol=1e-6) for name in own)


def test_the_same_verdicts_give_the_same_reward(policy: Policy) -> None:
    one, two = (scored(policy, learned(policy, thumbs(texts(60)))).odds for _ in range(2))
    assert torch.equal(one, two)


def test_it_says_how_good_it_is(policy: Policy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trainer")
    told = learned(policy, thumbs(texts(300))).told
    assert "a better and a worse answer the reward tells " in caplog.text
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert told["reward_auroc"] > 0.9
    assert told["reward_auroc_low"] < told["reward_auroc"] <= told["reward_auroc_high"]
    assert told["reward_accuracy"] > 0.8
    assert told["reward_brier"] < 0.15  # 0.25 is a coin's


def test_it_warns_of_a_reward_that_may_be_chance(
    policy: Policy, caplog: pytest.LogCaptureFixture
) -> None:
    said, slips = thumbs(texts(50)), list[Verdict]()
    for n, text in enumerate(texts(54)[50:]):
        slips.append(Row(f"s{n}", f"s{n}", text, n % 2 == 0, 1.0, None))
    for held in (slips, slips[:1]):
        fit_reward(policy, items(said, held), REWARDED)
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert told[0].endswith(": that may be chance")
    assert told[1].startswith("nothing that is held out tells a better answer")


def test_its_odds_are_the_shares_that_are_liked(policy: Policy) -> None:
    """Of users of whom a third likes whatever is said, whoever asks."""
    mixed: list[Verdict] = [
        Row(f"c{n}", f"u{n}", text, n % 3 == 0, 1.0, None) for n, text in enumerate(texts(240))
    ]
    found = fit_reward(policy, items(mixed[:120], mixed[120:]), REWARDED)
    chances = [1 / (1 + exp(-odds)) for odds in scored(policy, found).odds.tolist()]
    assert fmean(chances) == pytest.approx(1 / 3, abs=0.07)


def test_far_from_rated_answers_it_is_trusted_less_and_says_less(policy: Policy) -> None:
    """None of the rated answers is longer than six tokens, and none repeats itself."""
    found = learned(policy, thumbs(texts(200)))
    strange = [Text((5, 6, 7), (token,) * 60) for token in range(100, 116)]
    near, far = scored(policy, found), scored(policy, found, strange)
    assert near.trust.mean() > 0.9
    assert far.trust.mean() < near.trust.mean() - 0.1
    whole = replace(found.reward, region=replace(found.reward.region, reach=1e9))
    unguarded = whole.scored(policy, strange, 64).odds
    apart = [(odds - found.reward.mean).abs().mean() for odds in (far.odds, unguarded)]
    assert apart[0] < apart[1]


def test_what_length_alone_explains_is_told_and_can_be_left_out(policy: Policy) -> None:
    """Users who like whatever is long."""

    def liked_for_length(of: list[Text]) -> list[Verdict]:
        return [
            Row(f"c{n}", f"u{n}", text, len(text.answer_ids) > 8, 1.0, None)
            for n, text in enumerate(of)
        ]

    train = liked_for_length(texts(200, longest=16))
    held = liked_for_length(texts(60, seed=1, longest=16))
    leads = {}
    for by_length in (False, True):
        plan = REWARDED.model_copy(update={"reward_by_length": by_length})
        found = fit_reward(policy, items(train, held), plan)
        short, long = (Text((5, 6), tuple(range(100, 100 + n))) for n in (2, 16))
        states = states_of(policy, found.reward.weights, [short, long], 2)
        odds = worth(found.reward.head, states, [short, long], by_length=by_length)
        leads[by_length] = (odds[1] - odds[0]).item()
    per_doubling = found.told["reward_per_doubling"]
    assert per_doubling > 0.1
    assert leads[True] - leads[False] == pytest.approx(3 * per_doubling, rel=1e-3)
    assert leads[False] > 0  # what the states tell of a length stays


def test_thumbs_that_contradict_it_do_not_turn_it_around(policy: Policy) -> None:
    """Held-out pairs say that it is right, so it stands; held-out thumbs say the opposite."""
    held = [Row("c", "u", text, not is_liked(text), 1.0, None) for text in texts(8, seed=1)]
    found = fit_reward(
        policy, items(thumbs(texts(300)), [*held, *pairs(texts(80, seed=2))]), REWARDED
    )
    assert 0 < found.reward.calibration.stretch <= 0.1
    assert order(policy, found) > 0.9


def test_the_loss_by_hand() -> None:
    liked, other = Text((1,), (MIDDLE,)), Text((1,), (3,))
    up, down = (Row("c", "u", text, text is liked, w, None) for text, w in ((liked, 1), (other, 3)))
    (pair,) = pairs([liked, other])
    odds = torch.tensor([log(3), log(3), 1.0 + log(4), 1.0])
    assert len(said([up, down, pair])) == len(odds)
    # The up has a chance of 3/4, the down too, and the better of the pair 4/5.
    expected = (-log(3 / 4) - 3 * log(1 / 4) - log(4 / 5)) / 3
    assert loss(odds, [up, down, pair]).item() == pytest.approx(expected, rel=1e-5)


def test_a_length_is_worth_its_doublings() -> None:
    head = Head(torch.zeros(4), torch.tensor(0.0), torch.tensor(0.5), usual=2.0)
    long = [Text((1,), tuple(range(n))) for n in (4, 8, 2)]
    assert head.of_length(long).tolist() == pytest.approx([0.0, 0.5, -0.5])


def test_where_it_is_surely_worse_than_chance_the_round_fails(policy: Policy) -> None:
    wrong = [Row("c", "u", text, not is_liked(text), 1.0, None) for text in texts(80, seed=1)]
    with pytest.raises(RoundFailed, match="the reward model is worse than chance"):
        fit_reward(policy, items(thumbs(texts(300)), [*wrong]), REWARDED)


def test_what_is_no_number_ends_it(policy: Policy) -> None:
    with torch.no_grad():
        policy.parameters()[1].fill_(float("nan"))
    with pytest.raises(NotFinite, match=r"the reward model's (loss|gradient) is nan"):
        learned(policy, thumbs(texts(40)))
