"""What every command needs: where the loop lies, and how results and complaints are told."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from feedback.begin import BAD_SETTINGS, settings_complaint
from feedback.log import Log, LogAway, open_log
from ops.act import SplitContended
from ops.by_hand import NothingToDo
from ops.settings import Settings
from trainer.adapters import AdapterError
from trainer.advice import BadPlan

Home = Annotated[
    Path | None,
    typer.Option(help="Where `thumbwheel up` keeps everything.", envvar="THUMBWHEEL_HOME"),
]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Wait = Annotated[float, typer.Option(min=0, help="How many seconds to wait for the worker.")]

_LOOK_SECONDS = 0.2
_WRONG: tuple[type[Exception], ...] = (
    NothingToDo,
    AdapterError,
    SplitContended,
    ValueError,
)


def show(told: Table | str) -> None:
    """As it is: what users and operators wrote is no markup."""
    soft = isinstance(told, str)
    Console(markup=False, emoji=False).print(told, highlight=False, soft_wrap=soft)


@contextmanager
def opened(home: Path | None) -> Iterator[tuple[Settings, Log]]:
    with complained(OSError):
        settings = settings_at(home)
        exists(settings)
        with closing(open_log(settings.log_url)) as log:
            yield settings, log


@contextmanager
def complained(*more: type[Exception]) -> Iterator[None]:
    """What a person got wrong is told in one line."""
    wrong: tuple[type[Exception], ...] = (*_WRONG, *more)
    try:
        yield
    except ValidationError as error:
        _end(settings_complaint(error), error, BAD_SETTINGS)
    except BadPlan as error:
        _end(str(error), error, BAD_SETTINGS)
    except LogAway as error:
        _end(f"the log is away: {error}", error)
    except wrong as error:
        _end(str(error), error)


def settings_at(home: Path | None) -> Settings:
    return Settings(home=home) if home else Settings()


def waited(done: Callable[[], bool], seconds: float, what: str) -> bool:
    """Whether it was done within so long. A person sees what is waited for, a script nothing."""
    ends = time.monotonic() + seconds
    with Console(stderr=True).status(what):
        while not (ended := done()) and time.monotonic() < ends:
            time.sleep(_LOOK_SECONDS)
    return ended


def exists(settings: Settings) -> None:
    # Opening an embedded log makes it; a mistyped --home must not leave an empty one behind.
    if settings.log is None and not (settings.home / "log.db").exists():
        raise NothingToDo(f"{settings.home} has no log; expected the --home of a `thumbwheel up`")


def _end(complaint: str, error: Exception, code: int = 1) -> NoReturn:
    Console(stderr=True).print(
        f"thumbwheel: {complaint}", style="red", markup=False, emoji=False, soft_wrap=True
    )
    raise typer.Exit(code) from error
