"""A user's wish to be forgotten: what is known of them, the wish on the log, and the way back from
adapters that learned from them.
"""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from feedback import examples
from feedback.events import BASE, Forget, encode
from feedback.log import FORGETS, Log
from feedback.privacy import pseudonym
from ops.by_hand import NothingToDo
from ops.history import forgets, splits
from ops.settings import Settings
from trainer.adapters import AdapterError, Lesson, Manifest, published, read_lineage

_PEOPLE = ("completion_id", "slot", "user", "rater")


class Trace(NamedTuple):
    """What an adapter has of a user."""

    adapter: str
    told: str
    learned: bool  # not only tested on them


class Known(NamedTuple):
    examples: int
    traces: list[Trace]
    before: Forget | None  # somebody asked for it already

    @property
    def learned(self) -> list[str]:
        return [trace.adapter for trace in self.traces if trace.learned]


def pseudonym_of(settings: Settings, user: str) -> str:
    """As the gateway makes it. Never makes a secret: with a new one nobody would be found."""
    kept = settings.home / "secret"
    if settings.secret:
        return pseudonym(settings.secret.get_secret_value().encode(), user)
    if kept.is_file():
        return pseudonym(kept.read_text().encode(), user)
    raise NothingToDo(
        f"no secret to find {user!r} by; expected THUMBWHEEL_SECRET as the gateway has it, "
        f"or {kept}, or --pseudonym"
    )


def checked(user: str) -> str:
    """A name in the place of a pseudonym would be on the log for ever."""
    if not re.fullmatch("[0-9a-f]{24}", user):
        raise ValueError("user is no pseudonym; expected 24 digits of 0 to 9 and a to f")
    return user


def known(log: Log, examples_folder: Path, adapters: Path, user: str) -> Known:
    mine = set[tuple[str, str, str]]()
    for batch in examples.batches(examples_folder):
        for row in examples.some(batch, _PEOPLE):
            if user in (row["user"], row["rater"]):
                mine.add((row["completion_id"], row["slot"], row["rater"]))
    traces = _traces(adapters, user, {name for name, _, _ in mine})
    before = next((wish for wish in forgets(log) if wish.user == user), None)
    return Known(len(mine), traces, before)


def ask(log: Log, user: str, by: str) -> None:
    log.append(FORGETS.name, user, encode(Forget(at=datetime.now(UTC), user=user, by=by)))


def is_gone(folder: Path, user: str) -> Callable[[], bool]:
    """Asks whether no file has them any more. A file that has not never will, and is read once."""
    clean = set[Path]()

    def clean_by_now() -> bool:
        files = {batch.path: batch for batch in examples.batches(folder)}
        clean.update(path for path in files.keys() - clean if not _has(files[path], user))
        return clean >= files.keys()

    return clean_by_now


def way_back(log: Log, adapters: Path, learned: list[str]) -> str | None:
    """The last stable adapter that has nothing of them, where one that has gets traffic."""
    in_force = splits(log)
    if not in_force or not {in_force[-1].stable, in_force[-1].canary} & {*learned}:
        return None
    sound = {made.name for made in published(adapters)} - {*learned}
    served = (split.stable for split in reversed(in_force))
    return next((name for name in served if name in sound), BASE)


def _traces(adapters: Path, user: str, rated: set[str]) -> list[Trace]:
    found: dict[str, Trace] = {}
    for made in published(adapters):  # parents first
        own, parent = _own(adapters, made, user, rated), found.get(made.parent)
        if parent and parent.learned and not (own and own.learned):
            own = Trace(made.name, f"continues {made.parent}", learned=True)
        if own:
            found[made.name] = own
    return list(found.values())


def _own(adapters: Path, made: Manifest, user: str, rated: set[str]) -> Trace | None:
    try:
        lessons = read_lineage(adapters, made.name)
    except AdapterError as error:
        return Trace(made.name, f"perhaps: {error}", learned=True)
    # A completion may be there twice: with who asked, and with who corrected it.
    theirs = {(one.completion_id, one.use) for one in lessons if _is_of(one, user, rated)}
    uses = Counter(use for _, use in theirs)
    told = ", ".join(f"{use} {count}" for use, count in sorted(uses.items()))
    return Trace(made.name, told, learned=uses.keys() != {"holdout"}) if uses else None


def _is_of(lesson: Lesson, user: str, rated: set[str]) -> bool:
    return lesson.user == user or lesson.completion_id in rated


def _has(batch: examples.Batch, user: str) -> bool:
    try:
        return any(user in (row["user"], row["rater"]) for row in examples.some(batch, _PEOPLE))
    except FileNotFoundError:
        return False  # it was too old, and went
