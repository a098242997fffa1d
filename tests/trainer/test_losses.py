"""Numbers worked by hand. sigmoid(log 3) = 3/4, so a lead of log 3 often costs log 4/3."""

from collections.abc import Callable, Sequence
from math import inf, isfinite, log, nan

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor

from trainer.answers import Answers, Lists, Pairs
from trainer.losses import (
    PAIR_LOSSES,
    Dials,
    dpo,
    drift,
    ipo,
    kto,
    kto_baseline,
    orpo,
    rpo,
    rrhf,
    sft,
    simpo,
    vote_weights,
)

LIKED, DISLIKED = tensor([True]), tensor([False])
EACH_LOSS = pytest.mark.parametrize("name", PAIR_LOSSES)


def one(gain: float, liked: torch.Tensor, *, baseline: float = 0.0, weight: float = 1.0) -> float:
    return kto(
        tensor([gain]), liked, weights=tensor([weight]), baseline=tensor(baseline), beta=1.0
    ).item()


def test_at_the_parent_every_answer_costs_a_half() -> None:
    assert one(0.0, LIKED) == one(0.0, DISLIKED) == 0.5


def test_kto_by_hand() -> None:
    assert one(log(3), LIKED) == pytest.approx(0.25)
    assert one(log(3), DISLIKED) == pytest.approx(0.75)
    assert one(-log(3), DISLIKED) == pytest.approx(0.25)


def test_the_baseline_moves_where_an_answer_breaks_even() -> None:
    assert one(2.0, LIKED, baseline=2.0) == 0.5
    assert one(2.0 + log(3), LIKED, baseline=2.0) == pytest.approx(0.25)


def test_beta_scales_the_gain() -> None:
    gains = tensor([log(3) * 10])
    loss = kto(gains, LIKED, weights=tensor([1.0]), baseline=tensor(0.0), beta=0.1)
    assert loss.item() == pytest.approx(0.25)


def test_weights_scale_each_answer_and_the_mean_is_over_all() -> None:
    loss = kto(
        tensor([log(3), log(3)]),
        tensor([True, False]),
        weights=tensor([2.0, 1.0]),
        baseline=tensor(0.0),
        beta=1.0,
    )
    assert loss.item() == pytest.approx((2 * 0.25 + 0.75) / 2)
    assert one(log(3), LIKED, weight=0.5) == pytest.approx(0.125)


def test_kto_pulls_liked_answers_up_and_disliked_ones_down() -> None:
    gains = torch.zeros(2, requires_grad=True)
    liked = tensor([True, False])
    loss = kto(gains, liked, weights=torch.ones(2), baseline=tensor(0.0), beta=1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    # The slope of the sigmoid at 0 is 1/4, halved by the mean of two.
    assert gains.grad is not None
    assert gains.grad.tolist() == pytest.approx([-0.125, 0.125])


def test_the_baseline_is_never_negative_and_has_no_gradient() -> None:
    gains = tensor([1.0, 3.0], requires_grad=True)
    assert kto_baseline(gains).item() == 2.0
    assert kto_baseline(-gains).item() == 0.0
    assert not kto_baseline(gains).requires_grad


def test_sft_is_the_mean_token_of_the_answers_that_count() -> None:
    logprobs, lengths = tensor([-6.0, -100.0, -4.0]), tensor([3, 50, 2])
    assert sft(logprobs, lengths, tensor([1.0, 0.0, 1.0])).item() == pytest.approx(10 / 5)


def test_sft_of_no_liked_answer_is_nothing() -> None:
    assert sft(tensor([-6.0]), tensor([3]), tensor([0.0])).item() == 0.0


@pytest.mark.parametrize(
    ("ups", "downs", "weight"), [(50, 100, 2.0), (10, 100, 3.0), (100, 10, 1.0), (0, 5, 3.0)]
)
def test_only_a_minority_of_ups_is_lifted_and_not_without_end(
    ups: int, downs: int, weight: float
) -> None:
    assert vote_weights(ups, downs, balance="lift_ups", cap=3.0) == (weight, 1.0)


@pytest.mark.parametrize(
    ("ups", "downs", "weights"),
    [
        (50, 100, (2.0, 1.0)),
        (10, 100, (10.0, 1.0)),  # the cap is of lift_ups
        (100, 100, (1.0, 1.0)),
        (120, 100, (1.0, 1.0)),
        (400, 100, (1.0, 3.0)),
        (0, 5, (1.0, 1.0)),
        (5, 0, (1.0, 1.0)),
    ],
)
def test_by_the_paper_whichever_side_is_too_few_is_lifted(
    ups: int, downs: int, weights: tuple[float, float]
) -> None:
    assert vote_weights(ups, downs, balance="paper", cap=3.0) == pytest.approx(weights)


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_by_the_paper_all_ups_weigh_one_to_four_thirds_of_all_downs(ups: int, downs: int) -> None:
    up, down = vote_weights(ups, downs, balance="paper", cap=1.0)
    assert 1 - 1e-9 <= up * ups / (down * downs) <= 4 / 3 + 1e-9
    assert min(up, down) == 1.0  # only one side is moved, and none is made light


def test_without_balance_each_vote_counts_one() -> None:
    assert vote_weights(1, 100, balance="none", cap=3.0) == (1.0, 1.0)


Row = tuple[float, int] | tuple[float, int, float]  # log-probability, length, reward


def answers(rows: Sequence[Row], parents: Sequence[float] | None = None) -> Answers:
    """The parent gave 0 to all, unless told otherwise: gains are then log-probabilities."""
    return Answers(
        logprobs=tensor([row[0] for row in rows], requires_grad=True),
        lengths=tensor([row[1] for row in rows]),
        parent=tensor(parents or [0.0] * len(rows)),
        rewards=tensor([float(row[2]) if len(row) == 3 else 0.0 for row in rows]),
    )


def pair(chosen: Row, rejected: Row, *, weight: float = 1.0) -> Pairs:
    return Pairs(answers([chosen]), answers([rejected]), tensor([weight]))


def slopes(pairs: Pairs, loss: Tensor) -> tuple[float, float]:
    """Of the loss, in the first pair's two log-probabilities. Below 0: a step makes it likelier."""
    sides = (pairs.chosen.logprobs, pairs.rejected.logprobs)
    chosen, rejected = torch.autograd.grad(loss, sides)
    return chosen[0].item(), rejected[0].item()


AHEAD = pair((log(3), 1), (0.0, 1))
EVEN = pair((-6.0, 3, 2.0), (-6.0, 3, 2.0))


def test_dpo_by_hand() -> None:
    loss = dpo(AHEAD, Dials(beta=1))
    assert loss.item() == pytest.approx(log(4 / 3))
    assert slopes(AHEAD, loss) == pytest.approx((-1 / 4, 1 / 4))
    half = dpo(pair((2 * log(3), 1), (0.0, 9)), Dials(beta=0.5))
    assert half.item() == pytest.approx(log(4 / 3))


def test_dpo_counts_from_the_parent() -> None:
    behind_alone = Pairs(
        answers([(-9.0, 5)], [-9.0 - log(3)]), answers([(-2.0, 5)], [-2.0]), torch.ones(1)
    )
    assert dpo(behind_alone, Dials(beta=1)).item() == pytest.approx(log(4 / 3))


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_label_noise_mixes_in_the_pair_the_other_way_round(noise: float) -> None:
    loss = dpo(AHEAD, Dials(beta=1, label_noise=noise))
    assert loss.item() == pytest.approx((1 - noise) * log(4 / 3) + noise * log(4))


def test_labels_that_are_noise_move_nothing_and_take_back_what_was_learned() -> None:
    noise = Dials(beta=1, label_noise=0.5)
    assert slopes(EVEN, dpo(EVEN, noise)) == (0.0, 0.0)
    # sigmoid(lead) - 1/2, half of it for each answer's way back
    assert slopes(AHEAD, dpo(AHEAD, noise)) == pytest.approx((1 / 4, -1 / 4))


def test_with_noise_a_lead_rests_where_the_odds_are_those_of_the_labels() -> None:
    assert slopes(AHEAD, dpo(AHEAD, Dials(beta=1, label_noise=0.25))) == pytest.approx((0, 0))


def test_ipo_by_hand() -> None:
    # The mean tokens gained 2 and -1: a lead of 3, where 1/(2 beta) = 2 was the aim.
    beyond = pair((6.0, 3), (-4.0, 4))
    loss = ipo(beyond, Dials(beta=0.25))
    assert loss.item() == pytest.approx(1)
    assert slopes(beyond, loss) == pytest.approx((2 / 3, -2 / 4))
    assert ipo(beyond, Dials(beta=1 / 6)).item() == pytest.approx(0, abs=1e-9)
    assert ipo(EVEN, Dials(beta=0.25)).item() == pytest.approx(4)


def test_ipo_counts_from_the_parent() -> None:
    level = Pairs(answers([(-6.0, 3)], [-6.0]), answers([(-4.0, 4)], [-4.0]), torch.ones(1))
    assert ipo(level, Dials(beta=0.25)).item() == pytest.approx(4)


def test_simpo_by_hand() -> None:
    # Mean tokens of -2 and -3, so a lead of beta; less the margin, log 3.
    pairs = pair((-6.0, 3), (-12.0, 4))
    loss = simpo(pairs, Dials(beta=log(3) + 0.5, margin=0.5))
    assert loss.item() == pytest.approx(log(4 / 3))
    beta = log(3) + 0.5
    assert slopes(pairs, loss) == pytest.approx((-beta / 4 / 3, beta / 4 / 4))
    assert simpo(EVEN, Dials(beta=2, margin=0)).item() == pytest.approx(log(2))
    assert simpo(EVEN, Dials(beta=2, margin=log(3))).item() == pytest.approx(log(4))


def test_orpo_by_hand() -> None:
    # Mean tokens of probability 3/4 and 1/2: the odds are 3 and 1.
    pairs = pair((2 * log(3 / 4), 2), (3 * log(1 / 2), 3))
    loss = orpo(pairs, Dials(beta=0.1))
    assert loss.item() == pytest.approx(0.1 * log(4 / 3), rel=1e-5)
    # The log-odds move by 1/(1-p) = 4 and 2 with a mean token, the loss by 1/4 of that.
    assert slopes(pairs, loss) == pytest.approx((-0.1 / 2, 0.1 * 2 / 4 / 3), rel=1e-5)
    assert orpo(EVEN, Dials(beta=1)).item() == pytest.approx(log(2))


def test_orpo_bears_answers_that_are_certain() -> None:
    certain, unsure = (0.0, 4), (4 * log(1 / 2), 4)
    won, lost = pair(certain, unsure), pair(unsure, certain)
    assert orpo(won, Dials(beta=1)).item() == pytest.approx(0, abs=1e-6)
    assert orpo(lost, Dials(beta=1)).item() == pytest.approx(12 * log(10), rel=1e-5)
    assert all(isfinite(slope) for slope in slopes(lost, orpo(lost, Dials(beta=1))))


def test_rpo_by_hand() -> None:
    reached = pair((log(3), 1, 5.0), (0.0, 1, 3.0))
    at_goal = rpo(reached, Dials(beta=1, reward_scale=log(3) / 2))
    assert at_goal.item() == pytest.approx(0, abs=1e-6)
    assert slopes(reached, at_goal) == pytest.approx((0, 0), abs=1e-6)
    # Against odds of 1: half of log(1/2 : 3/4) and half of log(1/2 : 1/4).
    loss = rpo(AHEAD, Dials(beta=1))
    assert loss.item() == pytest.approx(log(4 / 3) / 2)
    assert slopes(AHEAD, loss) == pytest.approx((1 / 4, -1 / 4))


def test_rpo_pulls_the_harder_the_wider_the_gap_of_the_rewards_and_at_last_as_dpo() -> None:
    narrow, wide, boundless = (pair((0.0, 1, gap), (0.0, 1, 0.0)) for gap in (0.5, 2.0, 1e4))
    chosen = [slopes(p, rpo(p, Dials(beta=1)))[0] for p in (narrow, wide, boundless)]
    assert 0 > chosen[0] > chosen[1] > chosen[2]
    assert chosen[2] == slopes(boundless, dpo(boundless, Dials(beta=1)))[0] == -0.5
    assert rpo(boundless, Dials(beta=1)).item() == pytest.approx(log(2))


@pytest.mark.parametrize("name", ["dpo", "ipo", "simpo", "orpo"])
def test_the_size_of_rewards_counts_for_no_other_loss(name: str) -> None:
    poor, rich = (pair((-3.0, 2, reward), (-3.0, 2, 0.0)) for reward in (0.1, 9.0))
    loss, dials = PAIR_LOSSES[name], Dials(beta=1)
    assert loss(poor, dials) == loss(rich, dials)


def ranked(*rows: Row, prompts: list[int], weights: Sequence[float] = ()) -> Lists:
    told = list(weights) or [1.0] * (max(prompts) + 1)
    return Lists(answers(rows), tensor(prompts), tensor(told))


def test_rrhf_by_hand() -> None:
    # Mean tokens of -3, -1, -2 from best to worst: behind by 2 and by 1. Then one behind by 1/2.
    best, second, third = (-6.0, 2, 3.0), (-4.0, 4, 2.0), (-2.0, 1, 1.0)
    lists = ranked(third, best, (-2.0, 1, 1.0), second, (-1.5, 1, 0.0), prompts=[0, 0, 1, 0, 1])
    loss = rrhf(lists)
    assert loss.item() == pytest.approx((3 + 0.5) / 2)
    (found,) = torch.autograd.grad(loss, lists.answers.logprobs)
    # Twice up for the best, once down for each of its rivals: by their lengths, and two prompts.
    assert found.tolist() == pytest.approx([1 / 2, -2 / 2 / 2, -1 / 2, 1 / 4 / 2, 1 / 2])


def test_a_list_of_two_is_a_pair() -> None:
    lists = ranked((-6.0, 3, 1.0), (-4.0, 4, 0.0), prompts=[0, 0])
    pairs = pair((-6.0, 3), (-4.0, 4))
    assert rrhf(lists) == (pairs.rejected.means - pairs.chosen.means).mean() == 1
    right_way_round = ranked((-6.0, 3, 0.0), (-4.0, 4, 1.0), prompts=[0, 0])
    assert rrhf(right_way_round) == 0


def test_rrhf_learns_nothing_from_ties_of_any_kind_or_answers_alone() -> None:
    same_reward = ranked((-6.0, 3, 1.0), (-4.0, 4, 1.0), prompts=[0, 0])
    as_likely = ranked((-6.0, 3, 1.0), (-8.0, 4, 0.0), prompts=[0, 0])
    alone = ranked((-6.0, 3, 1.0), (-1.0, 3, 0.0), prompts=[0, 1])
    for lists in (same_reward, as_likely, alone):
        loss = rrhf(lists)
        assert loss == 0
        assert not torch.autograd.grad(loss, lists.answers.logprobs)[0].any()


def test_rankings_count_by_their_weights_and_the_mean_is_over_all() -> None:
    rows: list[Row] = [(-2.0, 1, 1.0), (-1.5, 1, 0.0), (-3.0, 1, 1.0), (-1.0, 1, 0.0)]
    lists = ranked(*rows, prompts=[0, 0, 1, 1], weights=[3.0, 0.0])
    assert rrhf(lists).item() == pytest.approx(3 * 0.5 / 2)


@EACH_LOSS
def test_a_pair_pulls_the_chosen_up_and_pushes_the_rejected_down(name: str) -> None:
    behind = pair((-8.0, 4, 3.0), (-2.0, 2, 1.0))
    chosen, rejected = slopes(behind, PAIR_LOSSES[name](behind, Dials(beta=0.5)))
    assert chosen < 0 < rejected


@EACH_LOSS
def test_pairs_count_by_their_weights_and_the_mean_is_over_all(name: str) -> None:
    loss, dials = PAIR_LOSSES[name], Dials(beta=0.5)
    first, second = ((-8.0, 4, 3.0), (-2.0, 2, 1.0)), ((-3.0, 3, 2.0), (-5.0, 2, 1.0))
    both = Pairs(answers([first[0], second[0]]), answers([first[1], second[1]]), tensor([2.0, 0.5]))
    expected = (2 * loss(pair(*first), dials) + 0.5 * loss(pair(*second), dials)) / 2
    assert loss(both, dials).item() == pytest.approx(expected.item())


@EACH_LOSS
def test_pairs_of_weight_0_teach_nothing(name: str) -> None:
    unheard = pair((-8.0, 4, 3.0), (-2.0, 2, 1.0), weight=0)
    loss = PAIR_LOSSES[name](unheard, Dials(beta=0.5))
    assert loss == 0 and slopes(unheard, loss) == (0, 0)


@pytest.mark.parametrize(
    ("name", "limit"), [("dpo", log(2)), ("simpo", log(1 + 3)), ("orpo", 0.0), ("rpo", None)]
)
def test_as_beta_goes_to_0_so_does_the_pull(name: str, limit: float | None) -> None:
    pairs = pair((-8.0, 4, log(3)), (-2.0, 2, 0.0))
    loss = PAIR_LOSSES[name](pairs, Dials(beta=1e-9, margin=log(3)))
    # RPO's is what the odds 3 : 1 tell more than a coin does.
    coin = log(2) + 3 / 4 * log(3 / 4) + 1 / 4 * log(1 / 4)
    assert loss.item() == pytest.approx(coin if limit is None else limit, abs=1e-6)
    assert slopes(pairs, loss) == pytest.approx((0, 0), abs=1e-8)


def test_as_beta_goes_to_0_ipo_aims_ever_further() -> None:
    assert ipo(EVEN, Dials(beta=1e-3)).item() == pytest.approx(500**2)


@EACH_LOSS
@settings(deadline=None)
@given(
    sides=st.tuples(*[st.tuples(st.floats(-1e5, 0), st.integers(1, 4096), st.floats(-9, 9))] * 2),
    noise=st.sampled_from([0.0, 0.3, 0.5]),
)
def test_every_loss_of_every_pair_is_finite_and_so_is_its_gradient(
    name: str, sides: tuple[Row, Row], noise: float
) -> None:
    pairs = pair(*sides)
    loss = PAIR_LOSSES[name](pairs, Dials(beta=0.1, label_noise=noise))
    assert isfinite(loss.item()) and loss.item() > -1e-5
    assert all(isfinite(slope) for slope in slopes(pairs, loss))


def test_sft_beside_a_pair_holds_the_chosen_answer() -> None:
    pairs = pair((-6.0, 3), (-1.0, 3))
    imitation = sft(pairs.chosen.logprobs, pairs.chosen.lengths, pairs.weights)
    assert imitation.item() == pytest.approx(2)
    loss = dpo(pairs, Dials(beta=1)) + imitation
    alone = slopes(pairs, dpo(pairs, Dials(beta=1)))
    assert slopes(pairs, loss) == pytest.approx((alone[0] - 1 / 3, alone[1]))


EMPTY, ONE, TWO = tensor([]), tensor([-1.0]), tensor([-1.0, -2.0])
ABSURD: list[tuple[Callable[[], object], str]] = [
    (lambda: one(-inf, LIKED), "gains holds -inf"),
    (lambda: one(0.0, LIKED, baseline=nan), "baseline holds nan"),
    (lambda: one(0.0, LIKED, weight=inf), "weights holds inf"),
    (lambda: kto_baseline(EMPTY), r"mismatched_gains is of shape \(0,\)"),
    (lambda: sft(tensor([-inf]), ONE, tensor([0.0])), "logprobs holds -inf"),
    (lambda: sft(TWO, TWO, ONE), r"weights is of shape \(1,\); expected \(2,\)"),
    (lambda: Dials(beta=0), "beta is 0; expected more than 0"),
    (lambda: Dials(beta=nan), "beta is nan"),
    (lambda: Dials(beta=1, label_noise=0.6), "label_noise is 0.6; expected 0 to 0.5"),
    (lambda: Dials(beta=1, margin=-1), "margin is -1; expected 0 or more"),
    (lambda: Dials(beta=1, reward_scale=inf), "reward_scale is inf; expected more than 0"),
]


@pytest.mark.parametrize(("absurd", "complaint"), ABSURD)
def test_what_would_end_as_nan_is_refused_by_name(
    absurd: Callable[[], object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        absurd()


def test_a_loss_that_reads_the_parent_or_rewards_misses_them_aloud() -> None:
    bare = Answers(ONE, tensor([1]))
    pairs, dials = Pairs(bare, bare, tensor([1.0])), Dials(beta=1)
    for loss in (dpo, ipo, rpo):
        with pytest.raises(ValueError, match=r"parent is None; expected \(B,\)"):
            loss(pairs, dials)
    with pytest.raises(ValueError, match=r"rewards is None; expected \(B,\)"):
        rrhf(Lists(bare, tensor([0]), tensor([1.0])))
    assert isfinite(simpo(pairs, dials)) and isfinite(orpo(pairs, dials))


def test_drift_is_half_the_mean_square_of_the_gains() -> None:
    assert drift(tensor([1.0, -3.0])).item() == 2.5
