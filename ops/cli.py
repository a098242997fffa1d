"""The command line: `thumbwheel …`. Knows nothing but what to call and how to print it."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version as released
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from feedback.events import first_complaint
from feedback.log import Log, LogAway, open_log
from ops import by_hand, tables
from ops.act import SplitContended
from ops.programs import Ports, Up
from ops.settings import Settings, UpSettings, operator
from ops.trace import trace as traced
from ops.up import up
from trainer.adapters import AdapterError

ABOUT = "An online feedback loop for deployed language models."
app = typer.Typer(no_args_is_help=True, add_completion=False, help=ABOUT)

Home = Annotated[
    Path | None,
    typer.Option(help="Where `thumbwheel up` keeps everything.", envvar="THUMBWHEEL_HOME"),
]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Say which this is.")] = False,
) -> None:
    if version:
        _show(f"thumbwheel {released('thumbwheel')}")


@app.command("up")
def up_(
    model: Annotated[str | None, typer.Option(help="The base model: a folder, or a name.")] = None,
    name: Annotated[str | None, typer.Option(help="What users ask for.")] = None,
    home: Home = None,
    port: Annotated[int | None, typer.Option(help="Of the gateway.")] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="JSON: how rounds are trained.", exists=True, dir_okay=False),
    ] = None,
    engine_arg: Annotated[list[str] | None, typer.Option(help="One more word for vLLM.")] = None,
    quiet: Annotated[bool, typer.Option(help="Leave what the processes say to the logs.")] = False,
) -> None:
    """Run the whole loop on this machine, until Ctrl-C.

    Every option can be set in the environment too: see docs/configuration.md.
    """
    told = {"model": model, "name": name, "home": home, "serving_port": port, "trainer_plan": plan}
    given: dict[str, Any] = {key: value for key, value in told.items() if value is not None}
    with _complained():
        settings = UpSettings(**given)
        options = _options(settings, tuple(engine_arg or ()), show_lines=not quiet)
        raise typer.Exit(asyncio.run(up(options)))


@app.command()
def status(home: Home = None) -> None:
    """The split in force, and what is known of every adapter."""
    with _opened(home) as (settings, log):
        _show(tables.split_line(log))
        _show(tables.status(log, settings.examples_folder, settings.adapters_folder))


@app.command()
def history(home: Home = None) -> None:
    """Every move of the split, with its reason and its author."""
    with _opened(home) as (_, log):
        _show(tables.moves(log))


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
        _show(tables.split_line(log))


@app.command()
def pause(reason: Reason = "", home: Home = None) -> None:
    """Leave the split as it is until told otherwise."""
    with _opened(home) as (_, log):
        by_hand.pause(log, operator(), reason)
        _show(tables.split_line(log))


@app.command()
def resume(reason: Reason = "", home: Home = None) -> None:
    """Let automation move the split again."""
    with _opened(home) as (_, log):
        by_hand.resume(log, operator(), reason)
        _show(tables.split_line(log))


@app.command()
def trace(completion_id: str, home: Home = None) -> None:
    """Follow one completion: what was said of it, who learned from it, what that led to."""
    with _opened(home) as (settings, log):
        found = traced(log, settings.examples_folder, settings.adapters_folder, completion_id)
        if not found:
            raise by_hand.NothingToDo(f"no completion {completion_id!r} is on the log")
        _show(tables.stops(found))


def _options(settings: UpSettings, engine_args: tuple[str, ...], *, show_lines: bool) -> Up:
    if settings.model is None:
        raise ValueError("model is not set; expected --model with a folder or a name")
    return Up(
        model=settings.model,
        name=settings.name,
        home=settings.home,
        host=settings.serving_host,
        ports=Ports(
            serving=settings.serving_port,
            engine=settings.engine_port,
            feedback_metrics=settings.feedback_metrics_port,
            trainer_metrics=settings.trainer_metrics_port,
            ops_metrics=settings.ops_metrics_port,
        ),
        plan=settings.trainer_plan,
        engine_args=engine_args,
        env=settings.elsewhere,
        show_lines=show_lines,
    )


def _show(told: Table | str) -> None:
    Console().print(told)


@contextmanager
def _opened(home: Path | None) -> Iterator[tuple[Settings, Log]]:
    with _complained():
        settings = Settings(home=home) if home else Settings()
        _exists(settings)
        with closing(open_log(settings.log_url)) as log:
            yield settings, log


@contextmanager
def _complained() -> Iterator[None]:
    """What a person got wrong is told in one line."""
    try:
        yield
    except ValidationError as error:
        _end(first_complaint(error), error)
    except (by_hand.NothingToDo, AdapterError, SplitContended, LogAway, ValueError) as error:
        _end(str(error), error)


def _end(complaint: str, error: Exception) -> NoReturn:
    Console(stderr=True).print(
        f"thumbwheel: {complaint}", style="red", markup=False, soft_wrap=True
    )
    raise typer.Exit(1) from error


def _exists(settings: Settings) -> None:
    # Opening an embedded log makes it; a mistyped --home must not leave an empty one behind.
    if settings.log is None and not (settings.home / "log.db").exists():
        raise by_hand.NothingToDo(
            f"{settings.home} has no log; expected the --home of a `thumbwheel up`"
        )


def main() -> None:
    app()
