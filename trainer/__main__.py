"""The trainer, wired: `python -m trainer` waits for rounds to be due, `--once` runs one now.

`--blank` publishes NAME-v0 and ends. Torch is loaded only when a round begins.
"""

import argparse
import logging
import signal
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from feedback.begin import settings_told
from feedback.examples import BadExamples
from feedback.log import LogAway, open_log
from trainer.adapters import AdapterError
from trainer.blank import publish_blank
from trainer.due import Rules
from trainer.endings import EXIT_CODES, FAILED, RoundFailed
from trainer.golden import BadGolden, read_golden
from trainer.lock import RoundRunning
from trainer.loop import Loop
from trainer.metrics import Metrics
from trainer.newest import Newest
from trainer.parent import SplitReader
from trainer.plan import Plan, read_plan
from trainer.settings import Settings, placed
from trainer.tally import Tally
from trainer.waiting import name_of

if TYPE_CHECKING:
    from trainer.run import Round

_log = logging.getLogger("trainer")


def main() -> None:
    asked = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Wherever a round is, it may end: nothing of it is seen before it is whole.
    stopped = 128 + signal.SIGTERM if asked.once else 0  # 0 of --once: an adapter is published
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(stopped))
    with settings_told():
        settings = Settings()
        # For --blank too: `up` runs that first, and the engine takes minutes.
        plan = read_plan(settings.trainer_plan)
        read_golden(plan.golden)  # each round reads it anew; what is wrong today is told today
        here = placed()
        if here and not asked.once:
            raise ValueError("torchrun started this; expected python -m trainer --once of it")
    if here and here.rank:
        logging.getLogger().setLevel(logging.WARNING)  # the first tells
    if asked.blank:
        return publish_the_blank(settings)
    with closing(open_log(settings.log)) as log:
        split = SplitReader(log)
        if asked.once:
            sys.exit(once(settings, plan, split))
        watch(settings, plan, split)


def publish_the_blank(settings: Settings) -> None:
    try:
        blank = publish_blank(settings.adapters, settings.name, settings.model)
    except AdapterError as error:
        sys.exit(str(error))
    _log.info("%s is in %s", blank.name, settings.adapters)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--once", action="store_true", help="run one round now, then end")
    which.add_argument("--blank", action="store_true", help="publish NAME-v0, then end")
    return parser.parse_args()


def once(settings: Settings, plan: Plan, split: SplitReader) -> int:
    """The exit code, as `endings` tells them."""
    try:
        return EXIT_CODES[round_on(split.serving().stable, settings, plan).outcome]
    except (LogAway, RoundRunning, BadGolden) as error:
        sys.exit(str(error))
    except Exception as error:
        _tell_failure(error)
        return FAILED


def watch(settings: Settings, plan: Plan, split: SplitReader) -> None:
    rules = Rules(
        min_examples=settings.trainer_min_examples,
        min_rows=plan.min_rows,
        interval_seconds=settings.trainer_interval_seconds,
        lessons=name_of(plan.method),
    )
    newest = Newest(settings.adapters, settings.name)
    tally = Tally(settings.examples, plan.method)
    loop = Loop(rules, split, tally, newest, began=datetime.now(UTC))
    metrics = Metrics()
    metrics.serve(settings.trainer_metrics_port)
    while True:
        well = turn(settings, plan, loop, metrics)
        time.sleep(settings.trainer_poll_seconds if well else settings.trainer_retry_seconds)


def turn(settings: Settings, plan: Plan, loop: Loop, metrics: Metrics) -> bool:
    """Whether all went well; if not, the next turn may come later."""
    try:
        start = loop.look(datetime.now(UTC))
        metrics.waiting(loop.waiting)
        if start is None:
            return True
        _log.info("a round on %s: %s", start.parent, start.why)
        ended = round_on(start.parent, settings, plan)
    except (LogAway, RoundRunning) as error:
        _log.warning("not now: %s", error)
        return False
    except Exception as error:
        _tell_failure(error)
        metrics.ended("failed")
        return False
    metrics.ended(ended.outcome, ended.manifest)
    return ended.manifest is not None


def _tell_failure(error: Exception) -> None:
    # What these say is enough; anything else is a fault of ours, and its traceback is wanted.
    told = isinstance(error, RoundFailed | BadExamples | AdapterError)
    _log.error("the round failed: %s", error, exc_info=None if told else error)


def round_on(parent: str, settings: Settings, plan: Plan) -> "Round":
    # Here, because torch takes seconds and 700 MB that waiting does not need.
    from trainer.course import Places
    from trainer.launch import start

    places = Places(
        base=settings.model,
        series=settings.name,
        examples=settings.examples,
        adapters=settings.adapters,
        state=settings.trainer_state,
    )
    ended = start(places, parent, plan, placed())
    name = ended.manifest.name if ended.manifest else "no adapter"
    _log.info("%s: %s, %s", ended.outcome, name, ended.why)
    return ended


if __name__ == "__main__":
    main()
