"""PPO, GRPO and RLOO on a tiny model, with a reward that is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, nan
from statistics import fmean, stdev
from typing import cast

import pytest
import torch
from torch import Tensor

from tests.trainer.compared import plan_of
from tests.trainer.test_online import PROMPTS, EvenLikers, even
from tests.trainer.tiny import quiet
from trainer.asking import Answers, Ask, itself
from trainer.batch import Text
from trainer.drawn import Teacher
from trainer.endings import RoundFailed
from trainer.fit import fit
from trainer.methods import ROLLOUTS, Method, usual_epochs
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reward import Scored
from trainer.reward_fit import Learned
from trainer.rollout_lessons import RolloutLessons

EACH = pytest.mark.parametrize("method", ROLLOUTS)


def lessons_of(policy: Policy, plan: Plan) -> RolloutLessons:
    return RolloutLessons(Teacher(Learned(EvenLikers([]), {}), PROMPTS, itself), policy, plan)


@EACH
def test_before_the_first_step_nothing_is_clipped_and_nothing_drifts(
    policy: Policy, method: str
) -> None:
    lessons = lessons_of(policy, plan_of(method))
    told = lessons.renew(policy, 0, 0.05)
    taught = lessons.losses(policy, range(8))
    assert taught.shown["beyond_clip"].item() == 0
    assert told["rollout_kl"] == pytest.approx(0.0, abs=1e-5)
    assert taught.gains is None
    assert len(lessons) == 12 * 4


def test_a_better_answer_than_the_others_is_made_likelier(policy: Policy) -> None:
    lessons = lessons_of(policy, plan_of("rloo"))
    lessons.renew(policy, 0, 0.0)
    lessons.losses(policy, range(48)).loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in policy.parameters():
            assert parameter.grad is not None
            parameter -= parameter.grad
    best = [text for text in lessons.texts if even(text) > 0.6]
    rest = [text for text in lessons.texts if even(text) < 0.4]
    gains = [
        (policy.logprobs(some) - policy.logprobs(some, "parent")).mean() for some in (best, rest)
    ]
    assert gains[0] > gains[1]


@dataclass(frozen=True)
class Indifferent:
    def scored(self, policy: Policy, texts: Sequence[Text], at_once: int) -> Scored:
        return Scored(torch.zeros(len(texts)), torch.ones(len(texts)))


def taught_by_nothing(policy: Policy, method: str, **changes: float) -> list[dict[str, float]]:
    """Six iterations with no reward but what the plan pays: what was told before each."""
    plan = plan_of(method, epochs=6, online_prompts=40, **changes)
    lessons = RolloutLessons(Teacher(Learned(Indifferent(), {}), PROMPTS, itself), policy, plan)
    curves = fit(policy, lessons, plan, tell=quiet).curves
    return [dict(zip(curves, told, strict=False)) for told in zip(*curves.values(), strict=False)]


@EACH
def test_drift_is_paid_for_in_the_rewards(policy: Policy, method: str) -> None:
    """Moved away from its parent, a policy that must pay for it comes back."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    told = taught_by_nothing(policy, method, kl_weight=1.0, learning_rate=3e-3)
    assert 0 < told[-1]["rollout_kl"] < 0.8 * told[0]["rollout_kl"]


@EACH
def test_a_round_of_the_usual_length_stays_nearer_where_drift_costs_more(
    policy: Policy, method: Method
) -> None:
    """Of one epoch it would not: its answers are the parent's own."""
    before, went = policy.weights(), list[float]()
    for kl_weight in (0.0, 5.0):
        policy.restore(before)
        changes = {"online_prompts": 40, "learning_rate": 5e-3, "kl_weight": kl_weight}
        plan = plan_of(method, epochs=usual_epochs(method), **changes)
        fitted = fit(policy, lessons_of(policy, plan), plan, tell=quiet)
        went.append(fitted.curves["kl_parent_k2"][-1])
    assert went[1] < 0.9 * went[0], went  # of 20 seeds 0.2 to 0.71


def test_surprise_is_paid_for_if_the_plan_says_so(policy: Policy) -> None:
    def surprise() -> float:
        return -policy.logprobs(policy.sample(PROMPTS * 2, seed=3).texts).mean().item()

    before = surprise()
    taught_by_nothing(policy, "rloo", kl_weight=0.0, entropy_weight=1.0, learning_rate=1e-2)
    assert surprise() > before + 0.2


def test_only_ppo_has_a_value_head_and_it_learns(policy: Policy) -> None:
    assert lessons_of(policy, plan_of("grpo")).parameters() == []
    plan = plan_of("ppo", epochs=2)
    lessons = lessons_of(policy, plan)
    (head,) = lessons.parameters()
    assert not head.any()
    fitted = fit(policy, lessons, plan, tell=quiet)
    assert head.abs().max() > 1e-3
    assert len(fitted.curves["value"]) == len(fitted.curves["ppo"]) == 12
    assert len(fitted.curves["kl_weight"]) == 2  # it adapts


@pytest.mark.integration
@EACH
def test_the_policy_comes_to_say_what_the_reward_likes(policy: Policy, method: str) -> None:
    def share() -> float:
        return fmean(even(text) for text in policy.sample(PROMPTS * 5, seed=99).texts)

    before = share()
    plan = plan_of(method, epochs=8, online_prompts=40, learning_rate=1e-2)
    fitted = fit(policy, lessons_of(policy, plan), plan, tell=quiet)
    assert fitted.kept_epochs == 8, fitted.stopped
    assert share() > before + 0.1
    assert fitted.curves["reward"][-1] > fitted.curves["reward"][0] + 0.05


@dataclass
class Tables:
    """A policy whose every number is known; a prompt's one id is its row."""

    parent: Tensor
    now: Tensor
    values: Tensor
    device = torch.device("cpu")

    def last_states(self, texts: Sequence[Text]) -> Tensor:
        return torch.zeros(len(texts), 3)

    def every_logprob(self, texts: Sequence[Text], who: str) -> Tensor:
        assert who == "parent"
        return self.parent

    def with_values(self, texts: Sequence[Text], head: Tensor) -> tuple[Tensor, Tensor]:
        rows = [text.prompt_ids[0] for text in texts]
        return self.now[rows], self.values[rows]


@dataclass(frozen=True)
class Pays:
    odds: list[float]

    def scored(self, policy: Policy, texts: Sequence[Text], at_once: int) -> Scored:
        return Scored(torch.tensor(self.odds, dtype=torch.double), torch.ones(len(texts)))


SIZES, ODDS = [3, 1, 4, 2], [9.0, -1.0, 0.5, 0.0]


def plain_ppo(was: Tables, now: Tables, picked: Sequence[int], plan: Plan) -> Tensor:
    """As its paper writes it, token by token."""
    bounded = [
        min(max((one - fmean(ODDS)) / (stdev(ODDS) + 1e-4), -plan.reward_clip), plan.reward_clip)
        for one in ODDS
    ]
    advantages: list[list[float]] = []
    for row, size in enumerate(SIZES):
        old, parent, values = (
            [*map(float, one[row, :size])] for one in (was.now, was.parent, was.values)
        )
        after, ahead, found = 0.0, 0.0, [0.0] * size
        for at in range(size - 1, -1, -1):
            reward = -0.3 * (old[at] - parent[at]) - plan.entropy_weight * old[at]
            reward += bounded[row] if at == size - 1 else 0.0
            after = reward + ahead - values[at] + plan.gae_smooth * after
            found[at], ahead = after, values[at]
        advantages.append(found)
    every = [one for line in advantages for one in line]
    gains, errors = [], []
    for row in picked:
        for at, advantage in enumerate(advantages[row]):
            white = (advantage - fmean(every)) / (stdev(every) + 1e-8)
            ratio = torch.exp(now.now[row, at] - was.now[row, at])
            kept = torch.clamp(ratio, 1 - plan.ratio_clip, 1 + plan.ratio_clip)
            gains.append(torch.minimum(ratio * white, kept * white))
            value, old_value = now.values[row, at], was.values[row, at]
            came = advantage + old_value
            near = old_value + torch.clamp(value - old_value, -plan.value_clip, plan.value_clip)
            errors.append(torch.maximum((value - came) ** 2, (near - came) ** 2) / 2)
    return -torch.stack(gains).mean() + plan.value_weight * torch.stack(errors).mean()


@pytest.mark.parametrize("seed", range(5))
def test_a_step_is_that_of_a_plain_ppo_whose_rewards_are_bounded_and_whitened(seed: int) -> None:
    dials = {"reward_clip": 0.8, "value_clip": 0.1, "value_weight": 0.5, "gae_smooth": 0.9}
    draws = {"online_prompts": 2, "answers_per_prompt": 2, "entropy_weight": 0.05}
    plan = plan_of("ppo", **dials, **draws)
    random = torch.Generator().manual_seed(seed)
    parent, old, new, values, later = (
        torch.randn(4, 4, generator=random, dtype=torch.double) * spread
        for spread in (1.0, 1.0, 0.3, 1.0, 1.0)
    )
    was = Tables(parent, old, values)
    now = Tables(parent, (old + new).requires_grad_(), later.requires_grad_())
    texts = [Text((row,), (7,) * size) for row, size in enumerate(SIZES)]
    teacher = Teacher(Learned(Pays(ODDS), {}), PROMPTS, lambda *_: Answers(texts, None))
    lessons = RolloutLessons(teacher, cast(Policy, was), plan)
    lessons.renew(cast(Policy, was), 0, 0.3)
    steps = (
        lessons.losses(cast(Policy, now), [2, 0]).loss,
        plain_ppo(was, now, [2, 0], plan),
    )
    found, expected = (torch.autograd.grad(step, [now.now, now.values]) for step in steps)
    assert steps[0].item() == pytest.approx(steps[1].item(), abs=1e-6)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() < 1e-6
        assert one.abs().max() > 0


def engine_off_by(nats: float) -> Ask:
    def engine(asked: Policy, prompts: Sequence[tuple[int, ...]], seed: int) -> Answers:
        texts = asked.sample(prompts, seed).texts
        lines = zip((asked.every_logprob(texts) + nats).tolist(), texts, strict=True)
        return Answers(texts, [line[: len(text.answer_ids)] for line, text in lines])

    return engine


@pytest.mark.parametrize(("nats", "told"), [(1.5, "1.5"), (nan, "nan")])
def test_who_answers_with_other_weights_fails_the_round(
    policy: Policy, nats: float, told: str
) -> None:
    teacher = Teacher(Learned(EvenLikers([]), {}), PROMPTS, engine_off_by(nats))
    lessons = RolloutLessons(teacher, policy, plan_of("rloo", max_logprob_gap=1.0))
    with pytest.raises(RoundFailed, match=f"off by {told}; expected at most max_logprob_gap, 1:"):
        lessons.renew(policy, 0, 0.0)


def test_what_an_engine_found_likelier_counts_less(policy: Policy) -> None:
    """Its log-probabilities are half a nat above ours: e^-0.5 of each advantage is left."""

    plan = plan_of("rloo", max_logprob_gap=1.0)
    losses = []
    for ask in (itself, engine_off_by(0.5)):
        teacher = Teacher(Learned(EvenLikers([]), {}), PROMPTS, ask)
        lessons = RolloutLessons(teacher, policy, plan)
        told = lessons.renew(policy, 0, 0.0)
        losses.append(lessons.losses(policy, range(4)).loss.item())
    assert told["engine_gap"] == pytest.approx(0.5, abs=1e-4)
    assert told["importance"] == pytest.approx(exp(-0.5), abs=1e-4)
    assert losses[1] == pytest.approx(exp(-0.5) * losses[0], rel=1e-3)
    assert losses[0] != 0
