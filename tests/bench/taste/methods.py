"""Who learns from the same thumbs: our round, our SFT on liked answers alone, TRL's KTO."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch

from trainer.adapters import Manifest, claim, publish
from trainer.batch import Text
from trainer.course import Course, Places, read_course
from trainer.load import load_policy
from trainer.losses import sft
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.rows import Row
from trainer.run import run_round

SFT_EPOCHS = 5


class Learned(NamedTuple):
    adapter: str | None  # that may serve now
    why: str
    seconds: float  # of the processor: others may use the other cores, or this one
    phases: dict[str, float]  # of our own round, by the clock


Method = Callable[[Places, str, Plan], Learned]


def ours(places: Places, parent: str, plan: Plan) -> Learned:
    """A whole round, gates included."""
    began, ticks = time.process_time(), [("reading", time.perf_counter())]

    def tell(step: str, done: int, of: int) -> None:
        if not done:
            ticks.append((step, time.perf_counter()))

    ended = run_round(places, parent, plan, tell=tell)
    ticks.append(("end", time.perf_counter()))
    phases = {step: after - began for (step, began), (_, after) in pairwise(ticks)}
    name = ended.manifest.name if ended.manifest and ended.outcome == "published" else None
    return Learned(name, ended.why, time.process_time() - began, phases)


def liked_only(places: Places, parent: str, plan: Plan) -> Learned:
    """SFT on the liked answers, the replayed ones too. No gates."""
    began = time.process_time()
    course = read_course(places, parent, plan, _tokenize)
    policy = load_policy(places.base, course.folder, plan)
    texts = [row.text for row in _lessons(course, plan) if row.liked]
    optimizer = torch.optim.AdamW(policy.parameters(), lr=plan.learning_rate, weight_decay=0.0)
    random, size = Random(plan.seed), plan.batch_size
    for _ in range(SFT_EPOCHS):
        mixed = random.sample(texts, len(texts))
        for at in range(0, len(mixed) - size + 1, size):
            _imitate(policy, mixed[at : at + size], optimizer, plan)
    return _published(places, course, plan, policy.save, began)


def _imitate(
    policy: Policy, texts: list[Text], optimizer: torch.optim.Optimizer, plan: Plan
) -> None:
    lengths = torch.tensor([len(text.answer_ids) for text in texts])
    loss = sft(policy.token_logprobs(texts).sum(1), lengths, torch.ones(len(texts)))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(policy.parameters(), plan.clip)
    optimizer.step()


def trl_kto(places: Places, parent: str, plan: Plan) -> Learned:
    """TRL's KTO, its reference the parent: its own defaults but for what the plan names."""
    from tests.bench.taste.trl import train  # takes seconds, and ours does without

    began = time.process_time()
    course = read_course(places, parent, plan, _tokenize)
    model = train(places, course.folder, _lessons(course, plan), plan)
    save: Callable[[Path], Any] = lambda folder: model.save_pretrained(  # noqa: E731
        folder, selected_adapters=["default"], save_embedding_layers=False
    )
    return _published(places, course, plan, save, began)


METHODS: dict[str, Method] = {"ours": ours, "SFT on thumbs-up": liked_only, "TRL's KTO": trl_kto}


def _tokenize(text: str) -> Sequence[int]:
    raise ValueError(f"a correction: {text!r}; expected thumbs alone")


def _lessons(course: Course, plan: Plan) -> list[Row]:
    """What our own round learns from, in an order of its own."""
    rows = [*course.items.train, *course.items.replay]
    return Random(plan.seed).sample(rows, len(rows))


def _published(
    places: Places, course: Course, plan: Plan, save: Callable[[Path], Any], began: float
) -> Learned:
    folder = claim(places.adapters, places.series)
    save(folder)
    manifest = Manifest(
        name=folder.name,
        parent=course.parent,
        base=places.base,
        created_at=datetime.now(UTC),
        plan=plan.model_dump(mode="json"),
        watermark=course.watermark,
        dataset_digest=course.items.digest,
        counts=course.items.counts,
        gates=(),
        kl={},
        curves={},
        scores={},
        libraries={},
        seconds=time.process_time() - began,
    )
    publish(folder, manifest)
    return Learned(folder.name, "no gates", manifest.seconds, {})
