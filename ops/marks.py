"""Withdrawn adapters are marked in the store, so that engines refuse them; who serves is not."""

import logging
from collections.abc import Callable
from pathlib import Path

from feedback.events import BASE
from ops.trial import action
from serving.split import Split
from trainer.adapters import AdapterError, bring_back, withdraw

_log = logging.getLogger(__name__)


def follow(adapters: Path, splits: list[Split], after: Split) -> None:
    """Mark whom the revision `after` withdrew, unless a later one of `splits` serves them."""
    before = next((split for split in reversed(splits) if split.revision < after.revision), after)
    for name in sorted(withdrawn(before, after) - served(splits[-1])):
        _try(name, "marked as withdrawn", lambda at: withdraw(adapters, at, after.reason, after.by))


def unmark(adapters: Path, name: str) -> None:
    """Before a split names it: an engine that is asked for it must not refuse.

    Where the split is then not written it stays free: better than marked, and serving.
    """
    _try(name, "freed of its mark", lambda at: bring_back(adapters, at))


def withdrawn(before: Split, after: Split) -> set[str]:
    """Those whose traffic was taken. Who gave way to a better one is as good as it was."""
    gone = served(before) - served(after)
    return gone - {before.stable} if action(before, after) == "promoted" else gone


def served(split: Split) -> set[str]:
    return {name for name in (split.stable, split.canary) if name and name != BASE}


def _try(name: str, wish: str, act: Callable[[str], None]) -> None:
    """Traffic is moved whatever the store says, which may be one that we cannot write."""
    try:
        act(name)
    except (AdapterError, OSError) as error:
        _log.warning("%s cannot be %s in the store: %s", name, wish, error)
