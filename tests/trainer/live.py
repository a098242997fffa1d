"""Adapters made by chance, and what they answered live, on a real log."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from feedback.events import Completion, Score, decode, encode
from feedback.log import COMPLETIONS, SCORES, SPLIT, Log, read_all
from serving.split import SPLIT_KEY, Split
from tests.trainer.tiny import PLAN
from trainer.adapters import claim_name, publish
from trainer.batch import Text
from trainer.blank import blank_manifest
from trainer.load import load_policy
from trainer.policy import Policy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE_TOKEN = PLAN.model_copy(update={"max_new_tokens": 1})


def publish_strange(base: Path, store: Path, name: str, seed: int) -> Policy:
    """An adapter whose answers are not base's, and the same model as the trainer knows it."""
    policy = load_policy(str(base), None, ONE_TOKEN)
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in policy.parameters():
            weight.add_(torch.randn(weight.shape, generator=chance), alpha=0.2)
    policy.save(folder := claim_name(store, name))
    publish(folder, blank_manifest(name, str(base)))
    return policy


def split(revision: int, stable: str, canary: str | None = None) -> Split:
    return Split(
        at=NOW,
        revision=revision,
        stable=stable,
        canary=canary,
        share_percent=5.0 if canary else 0.0,
        reason="a test",
        by="me",
    )


def move(log: Log, revision: int, stable: str, canary: str | None = None) -> None:
    log.append(SPLIT.name, SPLIT_KEY, encode(split(revision, stable, canary)))


def answered(policy: Policy, adapter: str, prompts: Sequence[tuple[int, ...]]) -> list[Completion]:
    """As the engine logs it."""
    texts = policy.sample(prompts, seed=len(prompts)).texts
    every = policy.every_logprob(texts).tolist()
    return [
        completion(f"{adapter}-{at}", adapter, text, told[: len(text.answer_ids)])
        for at, (text, told) in enumerate(zip(texts, every, strict=True))
    ]


def completion(id: str, adapter: str, text: Text, logprobs: Sequence[float]) -> Completion:
    return Completion(
        at=NOW,
        id=id,
        user="ann",
        adapter=adapter,
        split_revision=1,
        messages=(),
        answer="",
        prompt_ids=text.prompt_ids,
        answer_ids=text.answer_ids,
        logprobs=tuple(logprobs),
        parameters={"temperature": 1.0},
        finish_reason="stop",
        total_seconds=0.5,
    )


def serve(log: Log, completions: Sequence[Completion]) -> None:
    log.append_all([(COMPLETIONS.name, one.id, encode(one)) for one in completions])


def scores(log: Log) -> list[Score]:
    return [decode(record.value, (Score,)) for record in read_all(log, SCORES.name)]
