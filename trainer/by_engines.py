"""Fresh answers drawn by the engines that serve, for all processes of a round."""

from asyncio import run
from collections.abc import Sequence

from trainer.asking import Answers, Ask
from trainer.batch import Text
from trainer.course import Places
from trainer.desk import Answer
from trainer.drafts import put_draft
from trainer.engine import opened
from trainer.policy import Policy
from trainer.ranks import Ranks
from trainer.sampler import Question, drawn
from trainer.settings import Engines
from trainer.spare import Spare
from trainer.turns import in_turns


def by_engines(engines: Engines, places: Places, ranks: Ranks) -> Ask:
    spares = [Spare(engines.pace) for _ in engines.urls]

    def ask(policy: Policy, prompts: Sequence[tuple[int, ...]], seed: int) -> Answers:
        def work() -> list[Answer]:
            model = put_draft(places, policy.save)
            question = Question(model, prompts, seed, policy.longest, policy.ends)
            return run(_drawn(engines, spares, question))

        found = in_turns(work, ranks)
        both = zip(prompts, found, strict=True)
        texts = [Text(prompt, tuple(answer.ids)) for prompt, answer in both]
        return Answers(texts, [answer.logprobs for answer in found])

    return ask


async def _drawn(engines: Engines, spares: Sequence[Spare], question: Question) -> list[Answer]:
    async with opened(engines) as found:
        return await drawn([*zip(found, spares, strict=True)], question, engines.pace)
