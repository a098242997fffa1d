"""One round, watched by whoever wants to know, and recorded however it ends."""

import logging
import time
from datetime import UTC, datetime

from trainer.endings import Ending
from trainer.forecast import Forecast
from trainer.lock import RoundRunning
from trainer.past import Ended, UnderWay
from trainer.plan import Plan
from trainer.progress import progress
from trainer.record import Record
from trainer.settings import Settings, placed
from trainer.trackers import About, Trackers
from trainer.watched import UNWATCHED, Tell, Watch, note_all, tell_all

_log = logging.getLogger("trainer")


def attempt(parent: str, settings: Settings, plan: Plan) -> Ended:
    """Raises what ended the round. That another one runs is none of the past."""
    began = datetime.now(UTC)
    if (here := placed()) and here.rank:
        return _round(parent, began, settings, plan, UNWATCHED)  # the first tells and records
    record = Record(settings.trainer_state)
    before = record.begin().newest
    forecast = Forecast(before.steps if before else None)
    about = About(settings.name, parent, began, settings.trainer_state, plan)
    trackers = Trackers(settings.trainer_report_to, about, record.tracker_failed)

    with record.under_way(lambda: _news(parent, began, forecast)) as count:

        def end(ended: Ended) -> Ended:
            ended = ended.model_copy(update={"steps": forecast.took})
            count(ended)
            trackers.ended(ended)
            if ended.outcome != "failed":  # of that tells whoever catches it
                _log.info("%s", ended)
            return ended

        try:
            with progress(forecast) as screen:
                tell = tell_all(_clocked(forecast), screen.tell)
                watch = Watch(tell, note_all(screen.note, trackers.note))
                ended = _round(parent, began, settings, plan, watch)
        except RoundRunning:
            raise
        except Exception as error:
            end(_ended("failed", str(error) or type(error).__name__, parent, began))
            raise
        except BaseException:  # a signal, or Ctrl-C
            if forecast.step:
                end(_ended("stopped", f"told to end at {forecast.step.name}", parent, began))
            raise
        return end(ended)


def _round(parent: str, began: datetime, settings: Settings, plan: Plan, watch: Watch) -> Ended:
    # Here, because torch takes seconds and 700 MB that waiting does not need.
    from trainer.course import Places
    from trainer.launch import start

    places = Places(
        base=settings.model,
        series=settings.name,
        examples=settings.examples,
        adapters=settings.adapters,
        state=settings.trainer_state,
        judge=settings.judge,
        engines=settings.engines,
    )
    outcome, why, manifest = start(places, parent, plan, watch, placed())
    ended = _ended(outcome, why, parent, began)
    return ended.made(manifest) if manifest else ended


def _ended(outcome: Ending, why: str, parent: str, began: datetime) -> Ended:
    now = datetime.now(UTC)
    return Ended(outcome=outcome, why=why, parent=parent, began_at=began, ended_at=now)


def _clocked(forecast: Forecast) -> Tell:
    return lambda step, done, of: forecast.told(step, done, of, time.monotonic())


def _news(parent: str, began: datetime, forecast: Forecast) -> UnderWay | None:
    """None before the first word: until then another round may be running."""
    if (step := forecast.step) is None:
        return None
    return UnderWay(
        began_at=began,
        told_at=datetime.now(UTC),
        parent=parent,
        step=step.name,
        done=step.done,
        of=step.of,
        left_seconds=forecast.left(time.monotonic()).seconds,
    )
