"""Which methods what users said can feed, and which one is recommended. Pure. Knows no torch."""

from collections.abc import Sequence
from typing import NamedTuple

from trainer.methods import KINDS, Method
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


class Advice(NamedTuple):
    feeds: list[Feed]
    needed: int  # lessons, for a round
    method: Method | None  # recommended; None: nothing can be learned yet
    why: str


def advise(said: Sequence[Seen], needed: int) -> Advice:
    train, held = ([one for one in said if one.held is wanted] for wanted in (False, True))
    feeds = [
        Feed(method, count(method, train), _of(method, train), count(_tested(method), held))
        for method in KINDS
    ]
    found = {feed.method: feed.lessons for feed in feeds}
    method, why = _recommended(said, found, needed)
    return Advice(feeds, needed, method, why)


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
    said: Sequence[Seen], found: dict[Method, int], needed: int
) -> tuple[Method | None, str]:
    thumbs, pairs, verdicts = found["kto"], found["dpo"], found["rloo"]
    lacks = _reward_lacks(said)
    if verdicts >= needed and not lacks:
        told = f"{verdicts} verdicts can teach a reward model, and that the policy what it draws"
        return "rloo", f"{told}; it takes about six times as long as kto"
    if pairs >= needed and 2 * pairs >= thumbs:
        return "dpo", f"{pairs} pairs, beside {thumbs} thumbs; for an online method: {lacks}"
    if thumbs >= needed:
        return "kto", f"{thumbs} thumbs, and only {pairs} pairs; for an online method: {lacks}"
    return None, f"{thumbs} thumbs and {pairs} pairs; expected at least {needed} of either"


def _reward_lacks(said: Sequence[Seen]) -> str | None:
    """What a reward model would lack."""
    ups, downs, compared = (sum(one.up is side for one in said) for side in (True, False, None))
    wanted = (
        (len(said), "verdicts", _REWARD_VERDICTS),
        (min(ups, downs) + compared, "of the scarcer thumb and comparisons", _REWARD_SCARCER),
        (_prompts(said), "different prompts", _REWARD_PROMPTS),
    )
    lacks = [f"{n} {what} (expected {least})" for n, what, least in wanted if n < least]
    return ", ".join(lacks) or None
