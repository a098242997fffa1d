"""What the reward and a second opinion say of a candidate's fresh answers beside its parent's."""

from typing import NamedTuple

from torch import Tensor

from trainer.batch import Text
from trainer.discernment import discernment
from trainer.hacking import Second, Trusted, Weighed
from trainer.items import Items
from trainer.kl import mean_of
from trainer.opinion import Opinion, opinion
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reward import Scored, Scorer, said, states_of
from trainer.verdicts import Verdict


class _Gain(NamedTuple):
    """(N,) each: what answers are worth, to the same prompts."""

    now: Tensor
    then: Tensor

    @property
    def values(self) -> Tensor:
        return (self.now - self.then).double().cpu()

    @property
    def deviations(self) -> Tensor:
        """Of the parent's answers: so two judges can be compared, whatever their scales."""
        return self.values / self.then.double().cpu().std(correction=0).clamp(min=1e-6)


def weigh(
    policy: Policy,
    reward: Scorer,
    items: Items[Verdict],
    plan: Plan,
    *,
    fresh: list[Text],
    before: list[Text],
) -> Weighed:
    """`fresh` and `before`: the candidate's and the parent's, to the same prompts."""
    now, then = (reward.scored(policy, texts, 8 * plan.batch_size) for texts in (fresh, before))
    gain = _Gain(now.odds, then.odds)
    second = None
    if plan.min_seconded is not None:
        asker = _Asker(policy, items, plan)
        other = _Gain(asker.worth(fresh), asker.worth(before))
        second = _second(gain, other, plan.min_seconded, asker.order())
    return Weighed(
        gain=mean_of(gain.values.tolist()),
        trust_drop=mean_of((then.trust - now.trust).tolist()),
        candidate=_trusted(now),
        parent=_trusted(then),
        second=second,
    )


def _trusted(scored: Scored) -> Trusted:
    beyond = (scored.trust < 1).double().mean()
    return Trusted(scored.trust.mean().item(), beyond.item())


def _second(gain: _Gain, other: _Gain, asked: float, order: float | None) -> Second:
    claimed, found = (one.deviations for one in (gain, other))
    rose = claimed.mean().item()
    return Second(
        gain=mean_of(other.values.tolist()),
        share=found.mean().item() / rose if rose > 0 else None,
        lead=mean_of((found - asked * claimed).tolist()),
        order=order,
    )


class _Asker:
    """The second judge, by what the parent makes of answers: nothing learned has moved that."""

    def __init__(self, policy: Policy, items: Items[Verdict], plan: Plan) -> None:
        self._policy, self._at_once = policy, 8 * plan.batch_size
        self._held = items.holdout
        rated = [*items.train, *items.replay]
        self._opinion: Opinion = opinion(self._states(said(rated)), rated)

    def worth(self, texts: list[Text]) -> Tensor:
        return self._opinion.worth(self._states(texts))

    def order(self) -> float | None:
        """Of what is held out, the share of better and worse that it tells in order."""
        right = discernment(lambda some: self.worth(said(some)).tolist(), self._held).orders()
        return right.share if right else None

    def _states(self, texts: list[Text]) -> Tensor:
        return states_of(self._policy, self._policy.parent, texts, self._at_once)
