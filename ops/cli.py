"""The command line: `thumbwheel …`. Knows nothing but what to call and how to print it."""

import asyncio
from importlib.metadata import version as released
from pathlib import Path
from typing import Annotated, Any

import typer

from feedback.begin import known_only
from ops import by_hand, cli_feedback, tables
from ops.kept import read_kept
from ops.programs import Ports, Up
from ops.quarantine import void
from ops.rounds import rounds
from ops.settings import UpSettings, inherited_env, operator
from ops.terminal import Home, Reason, complained, exists, opened, show
from ops.trace import trace as traced
from ops.train import train
from ops.up import up
from ops.why import story
from trainer.advice import advice, check_files, read_plan

Plan = Annotated[
    Path | None, typer.Option(help="JSON: how rounds are trained.", exists=True, dir_okay=False)
]
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
    plan: Plan = None,
    engine_arg: Annotated[list[str] | None, typer.Option(help="One more word for vLLM.")] = None,
    quiet: Annotated[bool, typer.Option(help="Leave what the processes say to the logs.")] = False,
) -> None:
    """Run the whole loop on this machine, until Ctrl-C.

    Every option can be set in the environment too: see docs/configuration.md.
    """
    told = {"model": model, "name": name, "home": home, "serving_port": port, "trainer_plan": plan}
    given: dict[str, Any] = {key: value for key, value in told.items() if value is not None}
    with complained():
        known_only(UpSettings.model_fields, "ops")
        settings = UpSettings(**given)
        options = _options(settings, tuple(engine_arg or ()), show_lines=not quiet)
        raise typer.Exit(asyncio.run(up(options)))


@app.command("train")
def train_(
    once: Annotated[bool, typer.Option("--once", help="Run a round now.")] = False,
    if_due: Annotated[bool, typer.Option("--if-due", help="Only if a round is due.")] = False,
    home: Home = None,
    plan: Plan = None,
    model: Annotated[str | None, typer.Option(help="Unless the home says it.")] = None,
    name: Annotated[str | None, typer.Option(help="Unless the home says it.")] = None,
) -> None:
    """Run one round on the stable adapter, beside a loop that runs or without one.

    The last line says what came of it, and so does the exit code:\n
    \b
    0   an adapter was published that passed its gates
    1   the round could not begin: another one runs, the log is away, no such base model
    2   wrong arguments
    3   an adapter was published, but it failed a gate: the last line says which, and why
    4   too few examples: nothing is published
    5   the round failed: nothing is published
    6   --if-due: no round is due
    78  a setting or the plan is wrong
    """
    told = {"home": home, "trainer_plan": plan, "model": model, "name": name}
    given: dict[str, Any] = {key: value for key, value in told.items() if value is not None}
    if once == if_due:
        raise typer.BadParameter(
            "expected either --once or --if-due; rounds without end: `thumbwheel up`"
        )
    with complained(OSError):
        known_only(UpSettings.model_fields, "ops")
        settings = UpSettings(**given)
        exists(settings)
        train(settings, inherited_env(), if_due=if_due)


@app.command()
def status(home: Home = None) -> None:
    """The split in force, and what is known of every adapter."""
    with opened(home) as (settings, log):
        show(tables.in_force(log))
        show(tables.status(log, settings.examples_folder, settings.adapters_folder))


@app.command()
def history(home: Home = None) -> None:
    """Every move of the split, with its reason and its author."""
    with opened(home) as (_, log):
        show(tables.moves(log))


@app.command("rounds")
def rounds_(home: Home = None) -> None:
    """What the watch over each round saw, oldest first: was its reward earned, or gamed?"""
    with opened(home) as (settings, _):
        told = rounds(settings.adapters_folder)
        show(told if told.row_count else "no round has published an adapter yet")


@app.command("plan")
def plan_(home: Home = None, plan: Plan = None) -> None:
    """Which methods of learning the new verdicts can feed, and which one is recommended.

    Of the stable adapter's answers, what was said since its own data ended.
    """
    with opened(home) as (settings, log):
        stable = by_hand.stable(log)
        how = read_plan(_plan_at(settings.home, plan))
        told = advice(settings.examples_folder, settings.adapters_folder, stable, how)
        show(f"said of {stable}'s answers since its data ended:")
        show(tables.methods(told))
        show(f"recommended: {told.method or 'to wait'}: {told.why}")
        check_files(how)


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="The adapter to go back to, or base.")] = None,
    quarantine: Annotated[
        list[str] | None,
        typer.Option(help="A rater, or a completion's id: let nothing count that they said."),
    ] = None,
    reason: Reason = "",
    home: Home = None,
) -> None:
    """Undo the last move: the canary's traffic or, with no canary, the last promotion.

    Automation pauses until `thumbwheel resume`. The next round learns from where the adapter that
    serves ended.
    """
    with opened(home) as (settings, log):
        by, why = operator(), reason or by_hand.ROLLED_BACK
        taken_back = None
        try:
            by_hand.roll_back(log, settings.adapters_folder, by, to, why)
            show(tables.in_force(log))
        except by_hand.TakenBack as error:  # asked again, after it failed midway
            taken_back = error
        voided = void(log, settings.examples_folder, quarantine or (), by=by, reason=why)
        for who, count in voided.items():
            later = "count no more, as soon as the worker has read it"
            none = f"  nothing counted that {who!r} said, or that was said of it"
            show(f"  {count} verdicts of {who} {later}" if count else none)
        if taken_back:
            raise taken_back


@app.command()
def promote(
    canary: Annotated[str | None, typer.Argument(help="Only if it is this one.")] = None,
    reason: Reason = "",
    home: Home = None,
) -> None:
    """Make the canary stable now, whatever its users said so far."""
    with opened(home) as (settings, log):
        by_hand.promote(log, settings.adapters_folder, operator(), canary, reason)
        show(tables.in_force(log))


@app.command()
def explain(adapter: str, home: Home = None) -> None:
    """Why an adapter was promoted, or withdrawn, with the numbers as they were."""
    with opened(home) as (settings, log):
        for part in tables.explained(story(log, settings.adapters_folder, adapter)):
            show(part)


@app.command()
def pause(reason: Reason = "", home: Home = None) -> None:
    """Leave the split as it is until told otherwise."""
    with opened(home) as (_, log):
        by_hand.pause(log, operator(), reason)
        show(tables.in_force(log))


@app.command()
def resume(reason: Reason = "", home: Home = None) -> None:
    """Let automation move the split again."""
    with opened(home) as (_, log):
        by_hand.resume(log, operator(), reason)
        show(tables.in_force(log))


@app.command()
def trace(completion_id: str, home: Home = None) -> None:
    """Follow one completion: what was said of it, who learned from it, what that led to."""
    with opened(home) as (settings, log):
        found = traced(log, settings.examples_folder, settings.adapters_folder, completion_id)
        if not found:
            raise by_hand.NothingToDo(f"no completion {completion_id!r} is on the log")
        show(tables.stops(found))


def _plan_at(home: Path, asked: Path | None) -> Path | None:
    """What was asked for; else what the loop was started with."""
    kept = read_kept(home)
    return asked or UpSettings().trainer_plan or (kept.plan if kept else None)


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
            ops=settings.ops_port,
        ),
        plan=settings.trainer_plan,
        engine_args=engine_args,
        env=settings.elsewhere,
        show_lines=show_lines,
    )


app.add_typer(cli_feedback.app)  # without a name: its commands are commands here


def main() -> None:
    app()
