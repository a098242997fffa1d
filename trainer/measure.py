"""What the gates ask of a candidate: how it answers beside its parent, and what it prefers."""

from collections.abc import Sequence
from random import Random
from statistics import fmean

from trainer.behaviour import Behaviour
from trainer.degenerate import mean_of, repeated, says_nothing, scripts
from trainer.fit import Fitted
from trainer.gates import Measured
from trainer.kl import k1
from trainer.plan import Plan
from trainer.policy import Policy, Sampled
from trainer.probes import Probes, hear
from trainer.reference import parent_logprobs
from trainer.rows import Row, Rows
from trainer.words import Words


def measure(policy: Policy, fitted: Fitted, rows: Rows, probes: Probes, *, trust: bool) -> Measured:
    plan = probes.plan
    prompts = _prompts(rows, plan)
    fresh = policy.sample(prompts, plan.seed)
    own = policy.logprobs(fresh.texts).tolist()
    ups, downs = _preferences(policy, rows.holdout, trust=trust)
    return Measured(
        kept_epochs=fitted.kept_epochs,
        stopped=fitted.stopped,
        kl_parent=k1(own, policy.logprobs(fresh.texts, "parent").tolist()),
        kl_base=k1(own, policy.logprobs(fresh.texts, "base").tolist()),
        candidate=_behaviour(fresh, probes.words),
        parent=_behaviour(policy.sample(prompts, plan.seed, "parent"), probes.words),
        ups=ups,
        downs=downs,
        golden=hear(policy, probes),
    )


def _prompts(rows: Rows, plan: Plan) -> list[tuple[int, ...]]:
    """Held-out ones first: the candidate never saw them."""
    held, seen = ([row.text.prompt_ids for row in part] for part in (rows.holdout, rows.train))
    random = Random(plan.seed)
    mixed = [*random.sample(held, len(held)), *random.sample(seen, len(seen))]
    return mixed[: plan.probe_samples]


def _behaviour(sampled: Sampled, words: Words | None) -> Behaviour:
    spoken = [  # without the end of text
        text.answer_ids[:-1] if ended else text.answer_ids
        for text, ended in zip(sampled.texts, sampled.ended, strict=True)
    ]
    read = [words.text(ids) if words else None for ids in spoken]
    return Behaviour(
        end_rate=fmean(sampled.ended),
        length=fmean(len(text.answer_ids) for text in sampled.texts),
        repeated=fmean(repeated(ids) for ids in spoken),
        degenerate=fmean(says_nothing(*answer) for answer in zip(spoken, read, strict=True)),
        scripts=mean_of([scripts(text) for text in read if text is not None]) if words else None,
        n=len(spoken),
    )


def _preferences(
    policy: Policy, held: Sequence[Row], *, trust: bool
) -> tuple[list[float], list[float]]:
    if not held:
        return [], []
    gains = (
        policy.logprobs([row.text for row in held]) - parent_logprobs(policy, held, trust=trust)
    ).tolist()
    both = list(zip(gains, (row.liked for row in held), strict=True))
    return [gain for gain, liked in both if liked], [gain for gain, liked in both if not liked]
