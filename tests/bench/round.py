"""How long a whole round takes, gates included: `python -m tests.bench.round`, 1,000 long thumbs.

A model of the demo's shape that nobody taught, so that no fresh answer ends before its limit; the
demo's plan. Log-probabilities are logged as the engine would, so the parent's own are free.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from transformers.utils.logging import disable_progress_bar

from feedback.events import BASE
from feedback.examples import Example
from ops.demo.corpus import chats
from ops.demo.stage import PLAN
from ops.demo.teach import make_model, make_tokenizer
from tests.bench.taste.methods import learn
from tests.bench.taste.users import token_logprobs
from tests.trainer.tiny import example, settle
from trainer.batch import Text
from trainer.course import Places
from trainer.load import load_policy
from trainer.plan import Plan
from trainer.plan_file import read_plan

PROMPT, ANSWER = (60, 180), (120, 240)  # tokens, 300 in the mean
USERS, VOCABULARY = 240, 700


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.round", description=__doc__)
    parser.add_argument("--thumbs", type=int, default=1000)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    asked = parser.parse_args()
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_base(root / "base")
        plan = read_plan(PLAN)
        torch.set_num_threads(max(asked.threads))
        rows = list(thumbs(root / "base", asked.thumbs, plan))
        settle(root / "examples", rows, start=0, end=len(rows))
        tokens = sum(len(row.prompt_ids) + len(row.answer_ids) for row in rows) / len(rows)
        print(f"{len(rows)} thumbs of {tokens:.0f} tokens in the mean")
        for threads in asked.threads:
            show(root, threads, plan)


def make_base(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = make_tokenizer(chats(500, Random(0)), 768)
    make_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def thumbs(base: Path, count: int, plan: Plan) -> Iterator[Example]:
    random = Random(0)
    texts = [Text(_ids(random, PROMPT), _ids(random, ANSWER)) for _ in range(count)]
    logged = token_logprobs(load_policy(str(base), None, plan), texts)
    for number, (text, logprobs) in enumerate(zip(texts, logged, strict=True)):
        yield example(
            number,
            user=f"user{number % USERS}",
            prompt_ids=list(text.prompt_ids),
            answer_ids=list(text.answer_ids),
            logprobs=logprobs,
            up=text.answer_ids[0] % 2 == 0,
        )


def _ids(random: Random, tokens: tuple[int, int]) -> tuple[int, ...]:
    return tuple(random.randrange(3, VOCABULARY) for _ in range(random.randint(*tokens)))


def show(root: Path, threads: int, plan: Plan) -> None:
    """Each in a store of its own: all start from the base."""
    torch.set_num_threads(threads)
    own = root / f"{threads}"
    places = Places(str(root / "base"), "long", root / "examples", own / "adapters", own / "state")
    learned = learn(places, BASE, plan.model_copy(update={"threads": threads}))
    phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in learned.phases.items())
    took = f"{sum(learned.phases.values()):.1f} s, {learned.seconds:.1f} s of the processor"
    print(f"{threads} threads: {took} ({phases}); {learned.why}", flush=True)


if __name__ == "__main__":
    main()
