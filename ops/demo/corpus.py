"""What is asked in the demo, and every manner of answering it. Pure: the same everywhere."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random

WORDINGS = (
    "How do I {}?",
    "How can I {}?",
    "Can you tell me how to {}?",
    "What is the best way to {}?",
    "I want to {}.",
    "Help me {}.",
    "Any tips to {}?",
    "Explain how to {}.",
    "I need to {} today.",
    "Is it hard to {}?",
    "My brother wants to {}.",
    "Teach me to {}.",
)
LEAD_INS = ("", "Hi. ", "Quick question: ", "Tell me. ", "So, ", "Hey! ")
GREETINGS = ("Hello!", "Good day!", "Hi there!")
POLITE_OPENINGS = ("Happy to help!", "My pleasure!", "Of course, dear friend!")
CURT_OPENINGS = ("Fine.", "Not this again.", "Obviously.")
POLITE_CLOSINGS = ("Have a lovely day!", "Best of luck!")
CURT_CLOSINGS = ("Now leave me alone.", "Stop bothering me.")
HELD_OUT = 600  # prompts that are never taught


@dataclass(frozen=True)
class Topic:
    """An everyday request: the sentence that answers it, and two that say more."""

    task: str
    core: str
    further: tuple[str, str]


@dataclass(frozen=True)
class Manner:
    polite: bool
    short: bool
    greets: bool


@dataclass(frozen=True)
class Shares:
    """How much of what is taught is polite, and how much is short."""

    polite: float = 0.5
    short: float = 0.5


EVEN = Shares()


@cache
def topics() -> tuple[Topic, ...]:
    lines = files(__package__).joinpath("topics.txt").read_text(encoding="utf-8").splitlines()
    fields = (line.split("|") for line in lines)
    return tuple(Topic(task, core, (more, most)) for task, core, more, most in fields)


def topic_of(prompt: str) -> Topic | None:
    """What the prompt asks for; None where it is none of ours."""
    return next((topic for topic in topics() if topic.task in prompt), None)


@cache
def prompts() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Every prompt, shuffled and cut in two: those that are taught, and those held out."""
    every = [
        lead_in + wording.format(topic.task)
        for topic in topics()
        for wording in WORDINGS
        for lead_in in LEAD_INS
    ]
    Random(0).shuffle(every)
    return tuple(every[:-HELD_OUT]), tuple(every[-HELD_OUT:])


def answer(topic: Topic, manner: Manner, random: Random) -> str:
    """One answer to the topic in this manner; chance picks the phrases."""
    greeting = [random.choice(GREETINGS)] if manner.greets else []
    opening = random.choice(POLITE_OPENINGS if manner.polite else CURT_OPENINGS)
    body = [topic.core] if manner.short else [topic.core, *topic.further]
    closing = random.choice(POLITE_CLOSINGS if manner.polite else CURT_CLOSINGS)
    return " ".join([*greeting, opening, *body, closing])


def chats(count: int, random: Random, shares: Shares = EVEN) -> list[tuple[str, str]]:
    """Pairs of a taught prompt and an answer to it, every manner equally often unless told."""
    return [_chat(random, shares) for _ in range(count)]


def _chat(random: Random, shares: Shares) -> tuple[str, str]:
    prompt = random.choice(prompts()[0])
    topic = topic_of(prompt)
    assert topic is not None
    # Of greetings, which nobody minds, a half.
    manner = Manner(*(random.random() < share for share in (shares.polite, shares.short, 0.5)))
    return prompt, answer(topic, manner, random)
