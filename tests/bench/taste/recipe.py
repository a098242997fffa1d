"""What every method starts from, and with which seeds."""

from pathlib import Path

from tests.bench.taste.methods import METHODS
from trainer.plan import Plan

# Chosen on seed 10, then frozen. It takes twice the demo's steps.
RECIPE = Path(__file__).with_name("recipe.json")


def fit_for(plan: Plan, method: str, verdicts: int, seed: int, longer: int) -> Plan:
    """Of 100 thumbs ten are held out: too few of each kind for a gate."""
    few = {"min_rows": verdicts // 2, "min_holdout": 0} if verdicts < 200 else {}
    told = plan.model_dump() | few | METHODS[method].change | {"seed": seed}
    return Plan.model_validate(told | {"epochs": longer * told["epochs"]})


def seeds(said: str) -> list[int]:
    """`0-4`, or `10,11`."""
    first, dash, last = said.partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [*map(int, said.split(","))]
