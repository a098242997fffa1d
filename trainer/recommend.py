"""Which methods what users said can feed, and which one is recommended. Pure. Knows no torch."""

from collections.abc import Sequence
from typing import NamedTuple

from trainer.methods import KINDS, Method
from trainer.reserved import few_held, few_of_each
from trainer.waiting import Seen, count, name_of

# A reward model of fewer verdicts, or of fewer of the scarcer thumb, was not tried.
_REWARD_VERDICTS = 200
_REWARD_SCARCER = 40  # one in ten is held out, and a gate wants three
_REWARD_PROMPTS = 32


class Feed(NamedTuple):
    method: Method
    lessons: int  # to learn from
    of: str  # what they are
    held: int  # to test on
    lacks: str | None  # what a round would miss, to learn from or to test on


class Advice(NamedTuple):
    feeds: list[Feed]
    needed: int  # lessons, for a round
    method: Method | None  # recommended; None: nothing can be learned yet
    why: str


def advise(said: Sequence[Seen], needed: int, held_needed: int) -> Advice:
    """As the plan's `min_rows` and `min_holdout` want it."""
    train, held = ([one for one in said if one.held is wanted] for wanted in (False, True))

    def feed(method: Method) -> Feed:
        lessons, tests = count(method, train), count(_tested(method), held)
        few = None if lessons >= needed else f"{lessons} {name_of(method)}; expected {needed}"
        lacks = few or _untested(method, tests, held, held_needed)
        return Feed(method, lessons, _of(method, train), tests, lacks)

    feeds = [feed(method) for method in KINDS]
    return Advice(feeds, needed, *_recommended(said, feeds, needed))


def _untested(method: Method, tests: int, held: Sequence[Seen], needed: int) -> str | None:
    """As the round itself will see it."""
    if KINDS[method] in ("pairs", "lists"):
        return few_held(tests, name_of(method), needed)
    ups, downs, compared = _sides(held)
    if KINDS[method] == "verdicts" and compared >= max(needed, 1):
        return None
    return few_of_each(ups, downs, needed)


def _tested(method: Method) -> Method:
    """Imitation is tested on what was not liked, too."""
    return "kto" if method == "sft" else method


def _of(method: Method, said: Sequence[Seen]) -> str:
    """Online methods draw answers to what was asked."""
    name = name_of(method)
    if KINDS[method] != "verdicts":
        return name
    prompts = _prompts(said)
    return f"{name} on {prompts} prompt{'' if prompts == 1 else 's'}"


def _prompts(said: Sequence[Seen]) -> int:
    return len({one.prompt for one in said})


def _recommended(
    said: Sequence[Seen], feeds: Sequence[Feed], needed: int
) -> tuple[Method | None, str]:
    found = {feed.method: feed for feed in feeds}
    thumbs, pairs, verdicts = (found[method].lessons for method in ("kto", "dpo", "rloo"))
    lacks = _reward_lacks(said) or found["rloo"].lacks
    if not lacks:
        told = f"{verdicts} verdicts can teach a reward model, and that the policy what it draws"
        return "rloo", f"{told}; it takes about six times as long as kto"
    kto, dpo = found["kto"].lacks, found["dpo"].lacks
    if not dpo and (kto or 2 * pairs >= thumbs):
        return "dpo", f"{pairs} pairs, beside {thumbs} thumbs; for an online method: {lacks}"
    if not kto:
        return "kto", f"{thumbs} thumbs, and only {pairs} pairs; for an online method: {lacks}"
    told = f"{thumbs} thumbs and {pairs} pairs"
    if max(thumbs, pairs) < needed:
        return None, f"{told}; expected at least {needed} of either"
    return None, f"{told}, but {kto if thumbs >= needed else dpo}"


def _sides(said: Sequence[Seen]) -> tuple[int, int, int]:
    """Ups, downs, and what compares two answers by itself."""
    ups, downs, compared = (sum(one.up is side for one in said) for side in (True, False, None))
    return ups, downs, compared


def _reward_lacks(said: Sequence[Seen]) -> str | None:
    """What a reward model would lack."""
    ups, downs, compared = _sides(said)
    wanted = (
        (len(said), "verdicts", _REWARD_VERDICTS),
        (min(ups, downs) + compared, "of the scarcer thumb and comparisons", _REWARD_SCARCER),
        (_prompts(said), "different prompts", _REWARD_PROMPTS),
    )
    lacks = [f"{n} {what} (expected {least})" for n, what, least in wanted if n < least]
    return ", ".join(lacks) or None
