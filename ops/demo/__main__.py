"""The demo, wired: `python -m ops.demo`, which `make demo` calls.

The model is kept for the next time; each run gets a folder of its own, and topics of its own where
the log is on Kafka.
"""

import argparse
import asyncio
import sys
from datetime import datetime
from pathlib import Path

from ops.demo.board import Board
from ops.demo.brokers import EXPECTED, SQLITE, NoLog, log_for
from ops.demo.claims import claims
from ops.demo.plot import draw
from ops.demo.processes import Broken, teach
from ops.demo.report import render
from ops.demo.stage import set_up
from ops.demo.story import Story
from ops.running.supervisor import until_told

REPORT, PLOT = Path("demo-report.md"), Path("demo-report.png")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".demo"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", default=SQLITE, help=EXPECTED)
    chosen = parser.parse_args()
    sys.exit(asyncio.run(demo(chosen.folder.resolve(), chosen.seed, chosen.log)))


async def demo(folder: Path, seed: int, kind: str) -> int:
    """The exit code: 0 only if everything that the demo is to show has happened."""
    board = Board()
    model = folder / f"model-{seed}"
    what = "teaching a model of 1.3M parameters to answer everyday requests, a minute or two"
    board.say(f"{what}: {model}")
    try:
        await teach(model, seed)
    except Broken as error:
        board.say(str(error), "bold red")
        return 1
    now = f"{datetime.now():%Y%m%d-%H%M%S}"
    own = folder / now
    try:
        with log_for(kind, folder / "kafka" / now) as log:
            story = Story(set_up(own, model, log), board, seed)
            with board:
                await until_told(story.play(), lambda: board.say("stopping"))
            return close(story, board)
    except NoLog as error:
        board.say(str(error), "bold red")
        return 1


def close(story: Story, board: Board) -> int:
    """Write the report, and print it."""
    if not story.stage.home.exists():
        return 1
    record = story.record()
    draw(record, PLOT)
    report = render(record, PLOT.name)
    REPORT.write_text(report)
    board.tell(report)
    board.say(f"the report is in {REPORT} and {PLOT}")
    return 0 if all(claim.holds for claim in claims(record)) else 1


if __name__ == "__main__":
    main()
