"""Two fresh answers to a prompt, and which of them a judge finds better.

Knows neither who judges nor how it is asked.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Literal

from trainer.batch import Text
from trainer.endings import RoundFailed
from trainer.labels import Labels, some
from trainer.plan import Plan
from trainer.policy import Speak
from trainer.rubric import Case, Ruling
from trainer.spoken import spoken
from trainer.words import Words

Two = tuple[Text, Text]
Fate = Ruling | Literal["same answers", "over budget"]
# What the manifest counts each as.
JUDGED: dict[Fate, str] = {
    "first": "judged: labels",
    "second": "judged: labels",
    "tie": "judged: ties",
    "position": "judged: by position",
    "unreadable": "judged: unreadable",
    "declined": "judged: declined",
    "same answers": "judged: same answers",
    "over budget": "judged: over budget",
}


def judged(
    speak: Speak,
    ask: Callable[[Sequence[Case]], list[Ruling]],
    prompts: Sequence[tuple[int, ...]],
    words: Words,
    plan: Plan,
) -> Labels:
    """The order of the two is drawn; the judge is asked in both."""
    random = Random(f"{plan.seed}/judge")
    picked, affordable = some(prompts, plan.judged_pairs, random), plan.judge_questions // 2
    drawn, asked = 0, list[tuple[Two, Case]]()
    while drawn < len(picked) and len(asked) < affordable:  # as many as it may still be asked of
        part = picked[drawn : drawn + affordable - len(asked)]
        cases = [(two, _case(two, words)) for two in _twos(speak, part, random)]
        asked += [one for one in cases if one[1].first != one[1].second]
        drawn += len(part)
    rulings = ask([case for _, case in asked])
    if rulings and set(rulings) == {"declined"}:
        raise RoundFailed(f"the judge declined all {len(rulings)} pairs; the log has why")
    fates = Counter[Fate](rulings)
    fates["same answers"] = drawn - len(asked)
    fates["over budget"] = len(picked) - drawn
    pairs = [
        two if one == "first" else two[::-1]
        for one, (two, _) in zip(rulings, asked, strict=True)
        if one in ("first", "second")
    ]
    counts = Counter(JUDGED[fate] for fate in fates.elements())
    return Labels(pairs, dict(sorted(counts.items())))


def _twos(speak: Speak, prompts: Sequence[tuple[int, ...]], random: Random) -> list[Two]:
    texts = speak([prompt for prompt in prompts for _ in range(2)], random.randrange(2**31)).texts
    drawn = zip(texts[::2], texts[1::2], strict=True)
    return [two if random.random() < 0.5 else two[::-1] for two in drawn]


def _case(two: Two, words: Words) -> Case:
    first, second = (spoken(words.text(one.answer_ids)) for one in two)
    return Case(words.text(two[0].prompt_ids), first, second)
