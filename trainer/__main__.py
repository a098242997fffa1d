"""The trainer, wired: `python -m trainer` waits for rounds to be due.

`--once` runs one round now, `--if-due` only if one is due. `--blank` publishes NAME-v0, `--export`
serves the metrics of rounds that others run. Torch is loaded only when a round begins.
"""

import argparse
import logging
import signal
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from feedback.begin import settings_told
from feedback.examples import BadExamples
from feedback.log import LogAway, open_log
from trainer.adapters import AdapterError
from trainer.advice import check_files
from trainer.attempt import attempt
from trainer.base_model import base_files
from trainer.due import Rules
from trainer.endings import CODES_TOLD, EXIT_CODES, FAILED, NOT_DUE, NobodyAnswers, RoundFailed
from trainer.guide import require_judge
from trainer.lock import RoundRunning
from trainer.loop import Loop, Start
from trainer.metrics import Metrics
from trainer.newest import Newest
from trainer.parent import AnotherName, SplitReader
from trainer.past import Ended
from trainer.plan import Plan
from trainer.plan_file import BadPlan, read_plan
from trainer.record import Record
from trainer.settings import ExportSettings, Settings, placed
from trainer.tally import Tally
from trainer.trackers import require
from trainer.waiting import name_of

_log = logging.getLogger("trainer")


def main() -> None:
    asked = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.WARNING)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # of 4 bit, where nothing is
    _end_when_told(alone=asked.once or asked.if_due)
    with settings_told("trainer", Settings.model_fields):
        if asked.export:
            return export(ExportSettings())
        settings = Settings()
        # For --blank too: `up` runs that first, and the engine takes minutes.
        plan = read_plan(settings.trainer_plan)
        check_files(plan)
        require_judge(plan, settings.judge)
        require(settings.trainer_report_to)
        here = placed()
        if here and not asked.once:
            raise ValueError("torchrun started this; expected python -m trainer --once of it")
        if asked.blank:
            return publish_the_blank(settings)
        _make(settings.trainer_state)
        if not settings.examples.is_dir():
            _log.warning("examples is %s: no folder yet", settings.examples)
        opened = open_log(settings.log)
    if here and here.rank:
        logging.getLogger().setLevel(logging.WARNING)  # the first tells
    with closing(opened) as log:
        split = SplitReader(log, settings.name)
        if asked.once:
            sys.exit(once(settings, plan, split))
        if asked.if_due:
            sys.exit(if_due(settings, plan, split))
        watch(settings, plan, split)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer",
        description=__doc__,
        epilog=f"Exit codes of --once and --if-due:\n{CODES_TOLD}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--once", action="store_true", help="run one round now, then end")
    which.add_argument("--if-due", action="store_true", help="run one if one is due, then end")
    which.add_argument("--blank", action="store_true", help="publish NAME-v0, then end")
    which.add_argument("--export", action="store_true", help="serve metrics, run no rounds")
    return parser.parse_args()


def _end_when_told(*, alone: bool) -> None:
    """Wherever a round is, it may end: nothing of it is seen before it is whole."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # 0 of --once: an adapter is published.
        signal.signal(number, lambda got, _: sys.exit(128 + got if alone else 0))


def publish_the_blank(settings: Settings) -> None:
    # Here: where metrics alone are served there is no numpy.
    from trainer.blank import publish_blank

    try:
        blank = publish_blank(settings.adapters, settings.name, settings.model)
    except AdapterError as error:
        sys.exit(str(error))
    _log.info("%s is in %s", blank.name, settings.adapters)


def _make(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        told = f"trainer_state is {str(state)!r}; expected a folder to write to"
        raise ValueError(f"{told}: {error.strerror}") from error


def export(settings: ExportSettings) -> None:
    if not settings.trainer_state.is_dir():  # a mistyped one would tell of no rounds for ever
        told = f"trainer_state is {str(settings.trainer_state)!r}"
        raise ValueError(f"{told}; expected the folder in which rounds keep their state")
    with suppress(OSError):  # it may only read there
        Record(settings.trainer_state).begin()  # from now on, no round is a round missed
    _serve(settings)
    while True:
        signal.pause()


def _serve(settings: ExportSettings) -> None:
    host, port = settings.trainer_metrics_host, settings.trainer_metrics_port
    try:
        Metrics(settings.trainer_state).serve(host, port)
    except OSError as error:
        sys.exit(f"trainer_metrics_port is {port} of {host}: {error.strerror}")


def once(settings: Settings, plan: Plan, split: SplitReader) -> int:
    """The exit code, as `endings` tells them. The last line, on stdout, says what came of it."""
    try:
        return _single(split.serving().stable, settings, plan)
    except (LogAway, AnotherName) as error:
        sys.exit(str(error))


def if_due(settings: Settings, plan: Plan, split: SplitReader) -> int:
    record = Record(settings.trainer_state)
    loop = _loop(settings, plan, split, began=record.begin().since)
    try:
        start = _look(loop, record)
    except (LogAway, BadExamples, AnotherName) as error:
        sys.exit(str(error))
    if start is None:
        print(f"not due: {loop.why}")
        return NOT_DUE
    return _single(start.parent, settings, plan)


def _single(parent: str, settings: Settings, plan: Plan) -> int:
    try:
        _has_config(settings.model)
        ended = attempt(parent, settings, plan)
    except (RoundRunning, BadPlan) as error:
        sys.exit(str(error))
    except Exception as error:
        _tell_failure(error)
        print(f"failed: no adapter, {error}")
        return FAILED
    here = placed()
    if not (here and here.rank):  # the first tells
        print(ended)
    return 0 if here else EXIT_CODES[ended.outcome]  # torchrun calls every other code a failure


def _has_config(model: str) -> None:
    try:
        files = base_files(model)
    except AdapterError as error:
        sys.exit(str(error))
    if not (files / "config.json").is_file():
        sys.exit(f"model is {model!r}; expected a folder with a config.json")


def _loop(settings: Settings, plan: Plan, split: SplitReader, *, began: datetime) -> Loop:
    rules = Rules(
        min_examples=settings.trainer_min_examples,
        min_rows=plan.min_rows,
        interval_seconds=settings.trainer_interval_seconds,
        lessons=name_of(plan.method),
    )
    newest = Newest(settings.adapters, settings.name)
    tally = Tally(settings.examples, plan.method, plan.holdout_percent)
    return Loop(rules, split, tally, newest, began=began)


def watch(settings: Settings, plan: Plan, split: SplitReader) -> None:
    record = Record(settings.trainer_state)
    loop = _loop(settings, plan, split, began=record.begin().since)
    _serve(settings)
    while True:
        well = turn(settings, plan, loop, record)
        time.sleep(settings.trainer_poll_seconds if well else settings.trainer_retry_seconds)


def turn(settings: Settings, plan: Plan, loop: Loop, record: Record) -> bool:
    """Whether all went well; if not, the next turn may come later."""
    try:
        start = _look(loop, record)
        return start is None or _makes_one(start, settings, plan, loop)
    except (LogAway, RoundRunning) as error:
        _log.warning("not now: %s", error)
    except Exception as error:
        _tell_failure(error)
    return False


def _makes_one(start: Start, settings: Settings, plan: Plan, loop: Loop) -> bool:
    try:
        made = attempt(start.parent, settings, plan).adapter is not None
    except (RoundRunning, NobodyAnswers):  # of the same lessons one may be made soon
        raise
    except Exception:
        loop.made_nothing(datetime.now(UTC))
        raise
    if not made:
        loop.made_nothing(datetime.now(UTC))
    return made


def _look(loop: Loop, record: Record) -> Start | None:
    """What cannot be looked at, such as damaged examples, counts as a round that failed: once."""
    now = datetime.now(UTC)
    try:
        start = loop.look(now)
    except LogAway:
        raise
    except Exception as error:
        if loop.why != str(error):
            loop.why = why = str(error)
            record.ended(Ended(outcome="failed", why=why, parent="", began_at=now, ended_at=now))
        raise
    record.waits(loop.waiting)
    if start:
        _log.info("a round on %s: %s", start.parent, start.why)
    return start


def _tell_failure(error: Exception) -> None:
    # What these say is enough; anything else is a fault of ours, and its traceback is wanted.
    told = isinstance(error, RoundFailed | BadExamples | AdapterError)
    _log.error("the round failed: %s", error, exc_info=None if told else error)


if __name__ == "__main__":
    main()
