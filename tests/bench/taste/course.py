"""A seed's rounds with one method: users judge, it learns, and what it may publish serves next."""

import json
import tempfile
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from feedback.events import BASE
from tests.bench.taste.exam import Known, Marks, mark, sit
from tests.bench.taste.methods import METHODS, learn
from tests.bench.taste.users import decided
from tests.trainer.tiny import settle
from trainer.course import Places
from trainer.load import load_policy
from trainer.plan import Plan
from trainer.words import Words, load_words


class Task(NamedTuple):
    """All that a course's outcome depends on."""

    mix: str
    seed: int
    method: str
    verdicts: int  # a round
    rounds: int
    asked: int  # prompts of the exam
    plan: Plan


class Lap(NamedTuple):
    """One round and what is known after it; `learned` says whether its adapter serves."""

    marks: Marks
    learned: bool
    why: str
    ups: float  # of its thumbs; of comparisons those with a winner
    seconds: float
    phases: dict[str, float]


def run(task: Task, base: Path, of_base: Known) -> list[Lap]:
    words = read_words(base)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        places = Places(str(base), "taste", root / "examples", root / "adapters", root / "state")
        laps, stable = list[Lap](), BASE
        for number in range(task.rounds):
            stable, lap = _round(task, places, words, stable, number, of_base)
            laps.append(lap)
        return laps


def _round(
    task: Task, places: Places, words: Words, stable: str, number: int, of_base: Known
) -> tuple[str, Lap]:
    policy = load_policy(places.base, _folder(places, stable), at_once(task.plan))
    first, count = number * task.verdicts, task.verdicts
    say = METHODS[task.method].say
    verdicts = say(policy, words, adapter=stable, first=first, count=count, seed=task.seed)
    settle(places.examples, verdicts, start=first, end=first + count)
    learned = learn(places, stable, task.plan)
    stable = learned.adapter or stable
    policy = load_policy(places.base, _folder(places, stable), at_once(task.plan))
    marks = mark(policy, sit(policy, words, task.asked, task.seed), of_base)
    ups = fmean(map(decided, verdicts))
    served = learned.adapter is not None
    return stable, Lap(marks, served, learned.why, ups, learned.seconds, learned.phases)


def at_once(plan: Plan) -> Plan:
    """To sample with: 512 answers at once take a fifth less time than 128."""
    return plan.model_copy(update={"batch_size": 64})


def _folder(places: Places, adapter: str) -> Path | None:
    return None if adapter == BASE else places.adapters / adapter


def read_words(base: Path) -> Words:
    words = load_words(str(base))
    assert words is not None
    return words


def kept(folder: Path, task: Task) -> Path:
    """Where the outcome of this task lies, or will."""
    said = json.dumps([*task[:-1], task.plan.model_dump(mode="json", exclude_defaults=True)])
    digest = sha256(said.encode()).hexdigest()[:12]
    return folder / f"{task.mix}-{task.seed}-{task.method}-{task.verdicts}-{digest}.json"


def write(path: Path, laps: list[Lap]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [lap._asdict() | {"marks": lap.marks._asdict()} for lap in laps]
    path.write_text(json.dumps(told, indent=1))


def read(path: Path) -> list[Lap]:
    said: list[dict[str, Any]] = json.loads(path.read_text())
    return [Lap(**(one | {"marks": Marks(**one["marks"])})) for one in said]
