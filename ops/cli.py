"""The command line: `thumbwheel …`. Knows nothing but what to call and how to print it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from feedback.log import Log, LogAway, open_log
from ops import by_hand, tables
from ops.act import SplitContended
from ops.settings import Settings, operator
from ops.trace import trace as traced
from trainer.adapters import AdapterError

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__.split(":")[0])
console = Console()

Home = Annotated[
    Path | None,
    typer.Option(help="Where `thumbwheel up` keeps everything.", envvar="THUMBWHEEL_HOME"),
]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]


@app.command()
def status(home: Home = None) -> None:
    """The split in force, and what is known of every adapter."""
    with _opened(home) as (settings, log):
        console.print(tables.split_line(log))
        console.print(tables.status(log, settings.examples_folder, settings.adapters_folder))


@app.command()
def history(home: Home = None) -> None:
    """Every move of the split, with its reason and its author."""
    with _opened(home) as (_, log):
        console.print(tables.moves(log))


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="The adapter to go back to, or base.")] = None,
    reason: Reason = "",
    home: Home = None,
) -> None:
    """Undo the last move: the canary's traffic or, with no canary, the last promotion.

    Automation pauses until `thumbwheel resume`.
    """
    with _opened(home) as (settings, log):
        by_hand.roll_back(log, settings.adapters_folder, operator(), to, reason)
        console.print(tables.split_line(log))


@app.command()
def pause(reason: Reason = "", home: Home = None) -> None:
    """Leave the split as it is until told otherwise."""
    with _opened(home) as (_, log):
        by_hand.pause(log, operator(), reason)
        console.print(tables.split_line(log))


@app.command()
def resume(reason: Reason = "", home: Home = None) -> None:
    """Let automation move the split again."""
    with _opened(home) as (_, log):
        by_hand.resume(log, operator(), reason)
        console.print(tables.split_line(log))


@app.command()
def trace(completion_id: str, home: Home = None) -> None:
    """Follow one completion: what was said of it, who learned from it, what that led to."""
    with _opened(home) as (settings, log):
        found = traced(log, settings.examples_folder, settings.adapters_folder, completion_id)
        if not found:
            raise by_hand.NothingToDo(f"no completion {completion_id!r} is on the log")
        console.print(tables.stops(found))


@contextmanager
def _opened(home: Path | None) -> Iterator[tuple[Settings, Log]]:
    """The settings and the log; what a person got wrong is told in one line."""
    settings = Settings(home=home) if home else Settings()
    try:
        _exists(settings)
        log = open_log(settings.log_url)
        try:
            yield settings, log
        finally:
            log.close()
    except (by_hand.NothingToDo, AdapterError, SplitContended, LogAway, ValueError) as error:
        Console(stderr=True).print(f"thumbwheel: {error}", style="red", highlight=False)
        raise typer.Exit(1) from error


def _exists(settings: Settings) -> None:
    # Opening an embedded log makes it; a mistyped --home must not leave an empty one behind.
    if settings.log is None and not (settings.home / "log.db").exists():
        raise by_hand.NothingToDo(
            f"{settings.home} has no log; expected the --home of a `thumbwheel up`"
        )


def main() -> None:
    app()
