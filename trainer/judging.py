"""What the reward and a second opinion say of a candidate's fresh answers beside its parent's."""

from torch import Tensor

from trainer.batch import Text
from trainer.hacking import Judged, Second, Trusted
from trainer.items import Items
from trainer.kl import mean_of
from trainer.opinion import opinion
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reward import Reward, Scored, said, states_of
from trainer.verdicts import Verdict, apart


def judge(
    policy: Policy,
    reward: Reward,
    items: Items[Verdict],
    plan: Plan,
    *,
    fresh: list[Text],
    before: list[Text],
) -> Judged:
    """`fresh` and `before`: the candidate's and the parent's, to the same prompts."""
    now, then = (reward.scored(policy, texts, 8 * plan.batch_size) for texts in (fresh, before))
    return Judged(
        gain=mean_of((now.odds - then.odds).tolist()),
        trust_drop=mean_of((then.trust - now.trust).tolist()),
        candidate=_trusted(now),
        parent=_trusted(then),
        second=_second(policy, items, plan, fresh, before) if plan.second_opinion else None,
    )


def _trusted(scored: Scored) -> Trusted:
    beyond = (scored.trust < 1).double().mean()
    return Trusted(scored.trust.mean().item(), beyond.item())


def _second(
    policy: Policy, items: Items[Verdict], plan: Plan, fresh: list[Text], before: list[Text]
) -> Second:
    """By what the parent makes of every answer: nothing that was learned since has moved that."""

    def states(texts: list[Text]) -> Tensor:
        return states_of(policy, policy.parent, texts, 8 * plan.batch_size)

    rated = [*items.train, *items.replay]
    judge = opinion(states(said(rated)), rated)
    now, then = (judge.worth(states(texts)) for texts in (fresh, before))
    rows, pairs = apart(items.holdout)
    held = rows or pairs
    right = judge.order(states(said(held)), held) if held else None
    return Second(mean_of((now - then).tolist()), right.share if right else None)
