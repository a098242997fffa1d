"""`thumbwheel export`, `quarantine` and `forget`: what operators do about what users said."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from feedback.export import Form, export
from feedback.log import Log
from ops import forget, quarantine, tables
from ops.settings import Settings, operator
from ops.terminal import Home, Reason, Wait, complained, opened, settings_at, show, waited

app = typer.Typer()


class Decision(StrEnum):
    RELEASE = "release"
    DROP = "drop"
    VOID = "void"


_DONE = {Decision.RELEASE: "released", Decision.DROP: "dropped", Decision.VOID: "voided"}
_LATER = "It is on the log, and holds as soon as the worker has read it."


@app.command("export")
def export_(
    form: Annotated[Form, typer.Option("--as", help="Which of TRL's formats.")],
    out: Annotated[Path, typer.Option(help="The file to write, JSON Lines.")],
    min_weight: Annotated[float, typer.Option(help="Leave out what counts less.")] = 0.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
    home: Home = None,
) -> None:
    """Write the examples as rows that TRL's trainers read.

    Which example becomes which row is told in docs/export.md.
    """
    with complained(OSError):
        folder = settings_at(home).examples_folder
        report = export(folder, form, out, min_weight=min_weight, overwrite=overwrite)
        show(f"{report.rows} rows of {report.used} examples in {out}")
        for why, count in report.dropped.items():
            show(f"  {count} left out: {why}")


@app.command("quarantine")
def quarantine_(
    decision: Annotated[
        Decision | None,
        typer.Argument(
            help="Let what is held count, or never; or void all they said so far, held or not; "
            "without it, list.",
            show_default=False,
        ),
    ] = None,
    who: Annotated[
        str | None, typer.Argument(help="A rater, or a completion's id.", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="List what people decided, too.")
    ] = False,
    reason: Reason = "",
    wait: Wait = 30.0,
    home: Home = None,
) -> None:
    """List the verdicts that the guard quarantined, and decide on them.

    A person's decision outranks the guard's, for ever. A later one replaces it.
    """
    with opened(home) as (settings, log):
        if decision is None:
            _list(settings.examples_folder, everything=everything)
        elif who is None:
            raise ValueError(f"{decision} of what? expected a rater, or a completion's id")
        else:
            _decide(settings, log, decision, who, reason, wait)


@app.command("forget")
def forget_(
    user: Annotated[str, typer.Argument(help="As the app names them in its requests.")],
    pseudonym: Annotated[
        bool, typer.Option("--pseudonym", help="USER is a pseudonym, as the log has it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = 30.0,
    home: Home = None,
) -> None:
    """Leave all that a user asked and said out of the examples and of all later rounds.

    What stays is told in docs/privacy.md. Without an answer nothing is done.
    """
    with opened(home) as (settings, log):
        if not user:
            raise ValueError("user is empty; expected a user as the app names them")
        name = forget.checked(user) if pseudonym else forget.pseudonym_of(settings, user)
        found = forget.known(log, settings.examples_folder, settings.adapters_folder, name)
        _tell(name, found)
        if not yes:
            typer.confirm("This cannot be undone (--yes does not ask). Go on?", abort=True)
        forget.ask(log, name, operator())
        gone = forget.is_gone(settings.examples_folder, name)
        _tell_done(waited(gone, wait, "the worker removes their examples"))
        _tell_what_stays(settings, log, found)


def _list(folder: Path, *, everything: bool) -> None:
    found = [one for one in quarantine.held(folder) if everything or one.waits]
    show(tables.held(found) if found else "nothing is quarantined that nobody decided on")


def _decide(
    settings: Settings, log: Log, decision: Decision, who: str, reason: str, wait: float
) -> None:
    folder, done = settings.examples_folder, _DONE[decision]
    weight = 1.0 if decision is Decision.RELEASE else 0.0
    why = reason or f"{done} by hand"
    decided = quarantine.decide(
        log, folder, who, weight, by=operator(), reason=why, everything=decision is Decision.VOID
    )
    count = len(decided.identities)
    if before := decided.overruled:
        last = f"{before[-1].identity.completion_id} by {before[-1].by}: {before[-1].reason}"
        show(f"{len(before)} of them decided otherwise before, the last {last}")
    if waited(lambda: quarantine.is_settled(folder, decided), wait, "the worker settles it"):
        show(f"{done}: {count} verdicts")
        return
    show(
        f"not {done} yet: {count} verdicts. {_LATER}\n"
        "Older verdicts than feedback_window_days and a day stay as they are: the worker no "
        "longer knows their completions."
    )


def _tell(name: str, found: forget.Known) -> None:
    show(f"{name}: {found.examples} examples")
    if found.before:
        show(f"asked for already by {found.before.by}, at {found.before.at:%Y-%m-%d %H:%M:%S} UTC")
    elif not found.examples and not found.traces:
        show(
            "No example is theirs and no adapter learned from them: is the id right, and the "
            "secret?\nThe wish can be recorded all the same. It holds for what they say later."
        )
    if found.traces:
        show(tables.known(found))


def _tell_done(gone: bool) -> None:
    if gone:
        show("done: no example is theirs, and what they say becomes none")
    else:
        show(f"not done yet: examples of theirs are left. {_LATER}")


def _tell_what_stays(settings: Settings, log: Log, found: forget.Known) -> None:
    show(
        "Their records stay on the log and in the worker's window until those let go of them, "
        "and in what was exported. A round that runs now may still use them."
    )
    if not found.learned:
        return
    show(f"{', '.join(found.learned)} keep what they learned.")
    if to := forget.way_back(log, settings.adapters_folder, found.learned):
        show(
            f"One of them gets traffic, and later rounds build on it: thumbwheel rollback --to {to}"
        )
