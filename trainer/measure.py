"""What the gates ask of a candidate: how it answers beside its parent, and what it prefers."""

from collections.abc import Sequence
from itertools import islice
from random import Random
from statistics import fmean
from typing import Any

from trainer.behaviour import Behaviour
from trainer.degenerate import mean_shares, repeated, says_nothing, scripts
from trainer.fit import Fitted
from trainer.gates import Measured
from trainer.held_out import HeldOut, Orders, Thumbs
from trainer.items import Item, Items
from trainer.kl import drift_of
from trainer.methods import KINDS
from trainer.plan import Plan
from trainer.policy import Policy, Sampled, Who
from trainer.probes import Probes, hear
from trainer.reference import parent_logprobs
from trainer.reward import Scorer
from trainer.verdicts import apart
from trainer.weighing import weigh
from trainer.words import Words


def measure(
    policy: Policy,
    fitted: Fitted,
    items: Items[Any],
    probes: Probes,
    *,
    trust: bool,
    reward: Scorer | None = None,
) -> Measured:
    """Of what is its parent again, for no epoch was kept, only what tells that it is."""
    plan, kept = probes.plan, fitted.kept_epochs > 0
    prompts = _prompts(items, plan)
    fresh = policy.sample(prompts, plan.seed)
    whose: tuple[Who, ...] = ("policy", "parent", "base")
    own, parent, base = (policy.logprobs(fresh.texts, who).tolist() for who in whose)
    before = policy.sample(prompts, plan.seed, "parent")
    return Measured(
        kept_epochs=fitted.kept_epochs,
        stopped=fitted.stopped,
        drift=drift_of(own, parent, base),
        candidate=_behaviour(fresh, probes.words),
        parent=_behaviour(before, probes.words),
        held_out=_held_out(policy, items.holdout, plan, trust=trust),
        golden=hear(policy, probes) if kept else None,
        weighed=weigh(policy, reward, items, plan, fresh=fresh.texts, before=before.texts)
        if reward and kept
        else None,
    )


def _prompts(items: Items[Any], plan: Plan) -> list[tuple[int, ...]]:
    """Held-out ones first: the candidate never saw them."""
    parts = (items.holdout, items.train)
    held, seen = ([one.answers[0].text.prompt_ids for one in part] for part in parts)
    random = Random(plan.seed)
    mixed = [*random.sample(held, len(held)), *random.sample(seen, len(seen))]
    return mixed[: plan.probe_samples]


def _behaviour(sampled: Sampled, words: Words | None) -> Behaviour:
    spoken = [  # without the end of text
        text.answer_ids[:-1] if ended else text.answer_ids
        for text, ended in zip(sampled.texts, sampled.ended, strict=True)
    ]
    read = [words.text(ids) if words else None for ids in spoken]
    known = [scripts(text) for text in read if text is not None]
    return Behaviour(
        end_rate=fmean(sampled.ended),
        length=fmean(len(text.answer_ids) for text in sampled.texts),
        repeated=fmean(repeated(ids) for ids in spoken),
        degenerate=fmean(says_nothing(*answer) for answer in zip(spoken, read, strict=True)),
        scripts=mean_shares(known) if words else None,
        n=len(spoken),
    )


def _held_out(policy: Policy, held: Sequence[Any], plan: Plan, *, trust: bool) -> HeldOut:
    kind = KINDS[plan.method]
    if kind == "verdicts":
        rows, pairs = apart(held)
        ups = sum(row.liked for row in rows)
        scarcer = min(ups, len(rows) - ups)
        kind, held = ("thumbs", rows) if scarcer >= len(pairs) else ("pairs", pairs)
    gains = _gains(policy, held, trust=trust) if held else []
    both = list(zip(held, gains, strict=True))
    if kind == "thumbs":
        return Thumbs(
            ups=[own[0] for row, own in both if row.liked],
            downs=[own[0] for row, own in both if not row.liked],
        )
    return Orders([item.leads(own) for item, own in both], kind)


def _gains(policy: Policy, held: Sequence[Item], *, trust: bool) -> list[list[float]]:
    """Of each item's answers, over the parent."""
    answers = [answer for item in held for answer in item.answers]
    own = policy.logprobs([answer.text for answer in answers])
    gains = own - parent_logprobs(policy, answers, trust=trust)
    each = iter(gains.tolist())
    return [list(islice(each, len(item.answers))) for item in held]
