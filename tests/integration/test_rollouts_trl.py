"""GRPO and RLOO against TRL's trainers: the same answers, rewards, log-probabilities and parent.

Advantages are TRL's. GRPO's loss is that of its "bnpo", and of "dapo" where a step has all that was
drawn. Two things differ, and the docs say so (docs/formats.md#methods):
- TRL's GRPO adds the drift to the loss, as k3 times the token's ratio; ours takes it off the
  reward, as RLOO does in both.
- TRL's RLOO has one ratio for a whole answer, and a mean over answers; ours has them of tokens. So
  it is the same where an answer has one token, and before the first step but for a constant.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor, tensor
from transformers import AutoTokenizer

from tests.integration.test_losses_trl import CLOSE, assert_close
from tests.trainer.compared import plan_of
from tests.trainer.test_online import PROMPTS, EvenLikers
from tests.trainer.tiny import PLAN, make_model
from trainer.advantages import among_group, leave_one_out, mean
from trainer.asking import itself
from trainer.batch import Text
from trainer.drawn import Teacher
from trainer.load import load_policy
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reward_fit import Learned
from trainer.rollout_lessons import RolloutLessons

pytestmark = pytest.mark.integration

DRAWN = 12 * 4
EVERY = range(DRAWN)
SOME = (3, 4, 5, 11, 20, 21, 40, 47)  # a batch knows no prompts


@pytest.fixture(scope="module", autouse=True)
def without_vllm() -> Iterator[None]:
    """TRL would load it, for half a minute, and nothing is drawn here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "vllm", None)
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def parent(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that is not the base."""
    folder: Path = tmp_path_factory.mktemp("parent")
    policy = load_policy(str(base), None, PLAN)
    move(policy, 0)
    policy.save(folder)
    return folder


@torch.no_grad()
def move(policy: Policy, seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in policy.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)


class Bench:
    """What one policy drew after it had left its parent, and steps that it has taken since.

    TRL's has a model of its own, which is moved alike.
    """

    def __init__(self, base: Path, parent: Path, plan: Plan, kl_weight: float) -> None:
        self._base, self._parent, self._plan = base, parent, plan
        self.policy = self._moved(load_policy(str(base), parent, plan))
        learned = Learned(EvenLikers([]), {})
        teacher = Teacher(learned, PROMPTS, itself)
        self._lessons = RolloutLessons(teacher, self.policy, plan)
        told = self._lessons.renew(self.policy, 0, kl_weight)
        assert told["rollout_kl"] > 0.1  # else nothing is paid for
        self.texts = self._lessons.texts
        self.rewards = EvenLikers([]).scored(self.policy, self.texts, DRAWN).odds
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        move(self.policy, 1 + self.steps)

    def taught(self, picked: Sequence[int] = EVERY) -> Tensor:
        taught = self._lessons.losses(self.policy, picked)
        assert (taught.shown["beyond_clip"] > 0.05) == (self.steps > 0)
        return taught.loss

    def drift(self) -> Tensor:
        """(N, A), of what was drawn, from the parent, by the policy as it is now; with gradient."""
        parent = self.policy.every_logprob(self.texts, "parent")
        return self.policy.token_logprobs(self.texts) - parent

    def there(self) -> Tensor:
        width = max(len(text.answer_ids) for text in self.texts)
        return tensor([[at < len(text.answer_ids) for at in range(width)] for text in self.texts])

    def theirs(self, name: str, rewards: Tensor | None = None, **dials: Any) -> "Theirs":
        policy = load_policy(str(self._base), self._parent, self._plan)
        scores = (self.rewards if rewards is None else rewards).tolist()
        made = Theirs(policy, self.texts, trainer(name, policy, self._base, scores, **dials))
        self._moved(policy)
        made.score()
        for step in range(self.steps):
            move(policy, 2 + step)
        return made

    @staticmethod
    def _moved(policy: Policy) -> Policy:
        move(policy, 1)
        return policy


class Theirs:
    """TRL's trainer, handed the answers that it would draw."""

    def __init__(self, policy: Policy, texts: Sequence[Text], trainer: Any) -> None:
        self._policy, self._texts, self._trainer = policy, texts, trainer
        self.batch: dict[str, Tensor] = {}

    def score(self) -> None:
        self._trainer.texts = self._texts
        with self._policy.lent():
            self.batch = self._trainer._generate_and_score_completions([{"prompt": ""}] * DRAWN)

    def loss(self, picked: Sequence[int] = EVERY) -> Tensor:
        some = {
            name: one[list(picked)] if isinstance(one, Tensor) and one.dim() else one
            for name, one in self.batch.items()
        }
        with self._policy.lent() as model:
            found: Tensor = self._trainer.compute_loss(model, some)
        return found

    def differences(self, bench: Bench, ours: Tensor, theirs: Tensor) -> dict[str, float]:
        slope = gradient(bench.policy, ours)
        assert slope.abs().max() > 1e-3  # else there is nothing to be equal
        return {
            "loss": abs(ours.item() - theirs.item()),
            "gradient": (slope - gradient(self._policy, theirs)).abs().max().item(),
        }


def gradient(policy: Policy, loss: Tensor) -> Tensor:
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, policy.parameters())])


def trainer(name: str, policy: Policy, base: Path, rewards: list[float], **dials: Any) -> Any:
    """It reads no prompt, draws nothing, and knows the reward of each answer."""
    import trl  # takes seconds, and the other tests do without

    class Fed(getattr(trl, f"{name}Trainer")):  # type: ignore[misc]
        texts: Sequence[Text]

        def _send_telemetry(self) -> None:
            """Nobody is told."""

        def _generate(self, prompts: list[str]) -> tuple[Any, ...]:
            asked, said = map(list, zip(*self.texts, strict=True))
            if name == "RLOO":
                return asked, said, prompts
            return asked, said, None, prompts, None, {}, None, None

    config = getattr(trl, f"{name}Config")(
        str(base / "trl"),
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        per_device_train_batch_size=DRAWN,
        num_generations=4,
        num_iterations=2,  # or GRPO's would not ask what the log-probabilities were
        **dials,
    )
    with policy.lent() as model:
        made = Fed(
            model,
            reward_funcs=lambda **_: rewards,
            args=config,
            train_dataset=Dataset.from_list([{"prompt": ""}] * DRAWN),
            processing_class=AutoTokenizer.from_pretrained(base),
        )
    made.current_gradient_accumulation_steps = 1  # as its loop would say
    return made


@pytest.mark.parametrize(("name", "ours"), [("GRPO", among_group), ("RLOO", leave_one_out)])
def test_advantages_are_those_of_trl(
    base: Path, parent: Path, name: str, ours: Callable[[Tensor], Tensor]
) -> None:
    bench = Bench(base, parent, plan_of("grpo"), 0.0)
    rewards = torch.randn(DRAWN, generator=torch.Generator().manual_seed(0))
    rewards[:4] = 0.7  # whom nothing tells apart
    found = bench.theirs(name, rewards, beta=0.0).batch["advantages"]
    assert found.abs().max() > 1
    assert found.tolist() == pytest.approx(ours(rewards.view(-1, 4)).flatten().tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("loss", "picked"), [("bnpo", EVERY), ("dapo", EVERY), ("bnpo", SOME)], ids=str
)
def test_grpo_is_that_of_trl(base: Path, parent: Path, loss: str, picked: Sequence[int]) -> None:
    bench = Bench(base, parent, plan_of("grpo", ratio_clip=0.1), 0.0)
    bench.step()
    theirs = bench.theirs("GRPO", loss_type=loss, epsilon=0.1, beta=0.0)
    assert_close(theirs.differences(bench, bench.taught(picked), theirs.loss(picked)))


def test_grpo_that_pays_for_drift_is_that_of_trl_with_a_reward_that_does(
    base: Path, parent: Path
) -> None:
    bench = Bench(base, parent, plan_of("grpo"), 0.3)
    paid = bench.rewards - 0.3 * (bench.drift() * bench.there()).sum(1).detach()
    bench.step()
    theirs = bench.theirs("GRPO", paid, loss_type="bnpo", beta=0.0)
    assert_close(theirs.differences(bench, bench.taught(), theirs.loss()))


def test_the_drift_that_trls_grpo_pays_for_is_a_term_of_its_loss(base: Path, parent: Path) -> None:
    bench = Bench(base, parent, plan_of("grpo"), 0.0)
    before = bench.drift().detach()
    bench.step()
    now = bench.drift()
    k3 = (-now).exp() + now - 1
    term = mean((now - before).exp() * k3, bench.there())
    theirs = bench.theirs("GRPO", loss_type="bnpo", beta=0.3)
    assert_close(theirs.differences(bench, bench.taught() + 0.3 * term, theirs.loss()))


@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_rloo_is_that_of_trl_where_an_answer_has_one_token(
    base: Path, parent: Path, kl_weight: float
) -> None:
    bench = Bench(base, parent, plan_of("rloo", max_new_tokens=1), kl_weight)
    bench.step()
    theirs = bench.theirs("RLOO", epsilon=0.2, beta=kl_weight)
    assert_close(theirs.differences(bench, bench.taught(), theirs.loss()))


@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_before_the_first_step_rloo_learns_what_trls_does(
    base: Path, parent: Path, kl_weight: float
) -> None:
    """What it adds up is the same; ours divides by tokens, and TRL's by answers."""
    bench = Bench(base, parent, plan_of("rloo"), kl_weight)
    theirs = bench.theirs("RLOO", beta=kl_weight)
    tokens = bench.there().sum()
    found = theirs.differences(bench, bench.taught() * tokens / DRAWN, theirs.loss())
    assert found["gradient"] < CLOSE


@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_rloo_is_trls_grpo_with_the_advantages_of_trls_rloo(
    base: Path, parent: Path, kl_weight: float
) -> None:
    bench = Bench(base, parent, plan_of("rloo"), kl_weight)
    bench.step()
    advantages = bench.theirs("RLOO", beta=kl_weight).batch["advantages"]
    theirs = bench.theirs("GRPO", loss_type="bnpo", beta=0.0)
    theirs.batch["advantages"] = advantages
    assert_close(theirs.differences(bench, bench.taught(), theirs.loss()))
