"""The command line: `thumbwheel …`. Knows nothing but what to call and how to print it."""

import asyncio
from importlib.metadata import version as released
from pathlib import Path
from typing import Annotated, Any

import typer

from ops import by_hand, cli_feedback, tables
from ops.programs import Ports, Up
from ops.settings import UpSettings, operator
from ops.terminal import Home, Reason, complained, opened, show
from ops.trace import trace as traced
from ops.up import up

ABOUT = "An online feedback loop for deployed language models."
app = typer.Typer(no_args_is_help=True, add_completion=False, help=ABOUT)


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Say which this is.")] = False,
) -> None:
    if version:
        show(f"thumbwheel {released('thumbwheel')}")


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
    with complained():
        settings = UpSettings(**given)
        options = _options(settings, tuple(engine_arg or ()), show_lines=not quiet)
        raise typer.Exit(asyncio.run(up(options)))


@app.command()
def status(home: Home = None) -> None:
    """The split in force, and what is known of every adapter."""
    with opened(home) as (settings, log):
        show(tables.split_line(log))
        show(tables.status(log, settings.examples_folder, settings.adapters_folder))


@app.command()
def history(home: Home = None) -> None:
    """Every move of the split, with its reason and its author."""
    with opened(home) as (_, log):
        show(tables.moves(log))


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="The adapter to go back to, or base.")] = None,
    reason: Reason = "",
    home: Home = None,
) -> None:
    """Undo the last move: the canary's traffic or, with no canary, the last promotion.

    Automation pauses until `thumbwheel resume`.
    """
    with opened(home) as (settings, log):
        by_hand.roll_back(log, settings.adapters_folder, operator(), to, reason)
        show(tables.split_line(log))


@app.command()
def pause(reason: Reason = "", home: Home = None) -> None:
    """Leave the split as it is until told otherwise."""
    with opened(home) as (_, log):
        by_hand.pause(log, operator(), reason)
        show(tables.split_line(log))


@app.command()
def resume(reason: Reason = "", home: Home = None) -> None:
    """Let automation move the split again."""
    with opened(home) as (_, log):
        by_hand.resume(log, operator(), reason)
        show(tables.split_line(log))


@app.command()
def trace(completion_id: str, home: Home = None) -> None:
    """Follow one completion: what was said of it, who learned from it, what that led to."""
    with opened(home) as (settings, log):
        found = traced(log, settings.examples_folder, settings.adapters_folder, completion_id)
        if not found:
            raise by_hand.NothingToDo(f"no completion {completion_id!r} is on the log")
        show(tables.stops(found))


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


app.add_typer(cli_feedback.app)  # without a name: its commands are commands here


def main() -> None:
    app()
