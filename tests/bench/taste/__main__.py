"""What rounds of verdicts teach, by every method: `python -m tests.bench.taste --seeds 0-4`.

Teaches a base for each seed, lets the demo's users judge what the stable adapter answers, and asks
each adapter 500 prompts that nobody taught or rated. Bases and courses are kept, and not run again.
DPO's users compare two answers where the others' give a thumb on one.
"""

import argparse
import json
import pickle
from itertools import product
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from ops.demo.stage import PLAN
from tests.bench.taste.bases import MIXES, taught
from tests.bench.taste.course import Lap, Task, at_once, kept, read, read_words, run, write
from tests.bench.taste.exam import Known, Marks, mark, sit
from tests.bench.taste.methods import METHODS, OURS
from tests.bench.taste.recipe import RECIPE, fit_for, seeds
from tests.bench.taste.spread import lines
from trainer.load import load_policy
from trainer.plan import Plan
from trainer.plan_file import read_plan


def main() -> None:
    asked = _arguments()
    plan, change = read_plan(asked.plan), json.loads(asked.change)
    torch.set_num_threads(asked.threads)
    disable_progress_bar()
    for mix, verdicts, method in product(asked.mixes, asked.verdicts, asked.methods):
        plans = [
            Plan.model_validate(
                fit_for(plan, method, verdicts, seed, asked.longer).model_dump() | change
            )
            for seed in asked.seeds
        ]
        size = (verdicts, asked.rounds, asked.prompts)
        tasks = [
            Task(mix, seed, method, *size, plan)
            for seed, plan in zip(asked.seeds, plans, strict=True)
        ]
        show(tasks, [done(task, asked.folder) for task in tasks])


def done(task: Task, folder: Path) -> list[Lap]:
    """The base before anything was learned, then every round."""
    base = taught(folder / "bases", task.seed, task.mix)
    marks, known = start(base, task, folder / "starts")
    path = kept(folder / "courses", task)
    if not path.exists():
        write(path, run(task, base, known))
    return [Lap(marks, True, "", 0.0, 0.0, {}), *read(path)]


def start(base: Path, task: Task, folder: Path) -> tuple[Marks, Known]:
    """The base's own marks and answers; the plan's lessons are not in them."""
    path = folder / f"{base.name}-{task.asked}.pickle"
    if not path.exists():
        policy = load_policy(str(base), None, at_once(task.plan))
        answers = sit(policy, read_words(base), task.asked, task.seed)
        known = Known(answers, policy.logprobs([answer.text for answer in answers]).tolist())
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps((mark(policy, answers, known), known)))
    found: tuple[Marks, Known] = pickle.loads(path.read_bytes())
    return found


def show(tasks: list[Task], laps: list[list[Lap]]) -> None:
    task = tasks[0]
    print(f"\n**{task.method}**, {task.verdicts} verdicts a round, base {task.mix}\n")
    names = ["base", *(f"round {number + 1}" for number in range(task.rounds))]
    rows = {
        name: figures([seed[at] for seed in laps], [seed[0].marks for seed in laps])
        for at, name in enumerate(names)
    }
    print("\n".join(lines(rows, [one.seed for one in tasks])), flush=True)
    for one, seed in zip(tasks, laps, strict=True):
        for name, lap in zip(names, seed, strict=True):
            if not lap.learned:
                print(f"\nseed {one.seed}, {name} is not published: {lap.why}", flush=True)


def figures(laps: list[Lap], bases: list[Marks]) -> dict[str, list[float]]:
    """Of each seed; a name with a comma ends in its unit."""
    marks = [lap.marks for lap in laps]
    found = {
        "liked": [one.liked for one in marks],
        "right": [one.right for one in marks],
        "right, % of the base's": [
            100 * one.right / base.right for one, base in zip(marks, bases, strict=True)
        ],
        "ended by itself": [one.ended for one in marks],
        "length, tokens": [one.tokens for one in marks],
        "KL to base, nats": [one.kl for one in marks],
        "its standard error, nats": [one.kl_error for one in marks],
        "base's answers ordered": [one.ordered for one in marks],
    }
    if any(lap.seconds for lap in laps):
        found["thumbs up or comparisons won before"] = [lap.ups for lap in laps]
        found["the round, s of the processor"] = [lap.seconds for lap in laps]
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.taste", description=__doc__)
    parser.add_argument("--seeds", type=seeds, default=seeds("0-4"))
    parser.add_argument("--verdicts", type=int, nargs="+", default=[200], help="a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=500, help="of the exam")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[OURS])
    parser.add_argument("--mixes", nargs="+", choices=MIXES, default=["even"])
    parser.add_argument("--plan", type=Path, default=RECIPE, help=f"as the demo's, {PLAN}")
    parser.add_argument("--change", default="{}", help="JSON: what differs from that")
    parser.add_argument("--longer", type=int, default=1, help="times the epochs: at equal time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
