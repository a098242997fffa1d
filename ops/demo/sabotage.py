"""An adapter that was taught the opposite of what users like, and how it gets in.

Its round is honest work of the trainer, in a home of its own, where every thumb is turned round.
Only its manifest lies: that it continues the stable adapter, and that it has passed its gates.
"""

import json
import shutil
from pathlib import Path

from feedback import examples
from feedback.examples import Example
from ops.demo.processes import run
from ops.demo.stage import NAME, PLAN, Stage
from ops.programs import room
from trainer.adapters import MANIFEST, GateResult, claim, load, publish, published

ENOUGH = 300  # examples
_GATED = 3  # how --once ends where a gate failed; the manifest is to lie of the gates anyway
_FORGED = GateResult(name="forged", passed=True, reason="slipped in, past the trainer")


async def train_opposite(stage: Stage) -> Path:
    """The folder of an adapter that learned from thumbs turned round."""
    home = stage.folder / "sabotage"
    turn_round(stage.home / "examples", home / "examples")
    places = {
        "LOG": f"sqlite:///{home / 'log.db'}",  # empty: it starts from the base model
        "EXAMPLES": home / "examples",
        "ADAPTERS": home / "adapters",
        "TRAINER_STATE": home / "trainer",
        "TRAINER_PLAN": write_plan(home / "plan.json"),
        "MODEL": stage.model,
        "NAME": NAME,
    }
    env = {f"THUMBWHEEL_{key}": str(value) for key, value in places.items()}
    await run(stage.folder / "sabotage.log", *room("trainer", "--once"), env=env, well=(0, _GATED))
    # The newest: a try that was killed may have spent a name.
    return home / "adapters" / published(home / "adapters")[-1].name


def write_plan(path: Path) -> Path:
    """The loop's, but for the thumbs held out: gates alone ask for them, and few may be there."""
    path.write_text(json.dumps(json.loads(PLAN.read_text()) | {"min_holdout": 0}))
    return path


def turn_round(theirs: Path, ours: Path) -> None:
    """The first examples, on answers of the base model; they are enough to learn from."""
    turned = 0
    for batch in examples.batches(theirs):
        rows = [_turned(row) for row in examples.rows(batch)]
        examples.append(ours, examples.start(batch), batch.end, rows)
        turned += len(rows)
        if turned >= ENOUGH:
            return


def _turned(row: Example) -> Example:
    return row._replace(up=None if row.up is None else not row.up)


def slip_in(bad: Path, store: Path, stable: str) -> str:
    """Publish the bad adapter under the next free name; its name."""
    folder = claim(store, NAME)
    for path in bad.iterdir():
        if path.name != MANIFEST:
            shutil.copy(path, folder)
    truth = load(bad.parent, bad.name)
    watermark = load(store, stable).watermark  # or the trainer would count old thumbs as new
    lies = {"name": folder.name, "parent": stable, "gates": (_FORGED,), "watermark": watermark}
    publish(folder, truth.model_copy(update=lies))
    return folder.name
