"""Our step."""

from pathlib import Path

import torch
from torch import Tensor

from tests.bench.step.clock import Clock, Seen
from tests.bench.step.lessons import BETA, LEARNING_RATE, PLAN, Lesson
from tests.bench.step.scale import ANSWERS, WHERE
from trainer.answers import Answers, Pairs
from trainer.load import load_policy
from trainer.losses import Dials, dpo, kto, kto_baseline
from trainer.policy import Policy

OURS, OURS_ANEW = "ours", "ours, the reference computed anew"
OURS_CHECKPOINTED = "ours, checkpointed"


def ours(peer: str, method: str, base: Path, lessons: list[Lesson]) -> Seen:
    plan = PLAN.model_copy(update={"checkpointing": peer == OURS_CHECKPOINTED})
    policy = load_policy(str(base), base / "adapter", plan)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    clock, losses = Clock(), []
    for lesson in lessons:
        clock.tick()
        if peer == OURS_ANEW:
            known = policy.logprobs(lesson.texts + lesson.strangers, "parent")
        else:
            known = lesson.reference.to(WHERE)
        lesson = lesson._replace(reference=known)
        loss = (kto_loss if method == "kto" else dpo_loss)(policy, lesson)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    clock.tick()
    return clock.seen(losses)


def kto_loss(policy: Policy, lesson: Lesson) -> Tensor:
    logprobs, mismatched = policy.with_strangers(lesson.texts, lesson.strangers)
    reference, stranger_reference = lesson.reference.chunk(2)
    gains, baseline = logprobs - reference, kto_baseline(mismatched - stranger_reference)
    liked = torch.arange(ANSWERS, device=WHERE) % 2 == 0
    even = torch.ones(ANSWERS, device=WHERE)
    return kto(gains, liked, weights=even, baseline=baseline, beta=BETA)


def dpo_loss(policy: Policy, lesson: Lesson) -> Tensor:
    logprobs = policy.token_logprobs(lesson.texts).sum(1)
    lengths = torch.tensor([len(text.answer_ids) for text in lesson.texts], device=WHERE)
    sides = zip(logprobs.chunk(2), lengths.chunk(2), lesson.reference.chunk(2), strict=True)
    chosen, rejected = (Answers(*side) for side in sides)
    return dpo(Pairs(chosen, rejected, torch.ones(ANSWERS // 2, device=WHERE)), Dials(beta=BETA))
