"""What `thumbwheel rounds` prints: of each adapter what the watch over its round saw."""

from collections.abc import Callable, Iterator, Mapping
from math import sqrt
from pathlib import Path
from statistics import fmean

from rich.box import SIMPLE
from rich.table import Table

from trainer.adapters import Manifest, published

_UNKNOWN = "-"
_COLUMNS = ("adapter", "how far it went", "what judged it", "how it answers")


def rounds(adapters: Path) -> Table:
    """One row per published adapter, oldest first. Gains are over the parent."""
    made = {one.name: one for one in published(adapters)}
    table = Table(*_COLUMNS, box=SIMPLE, show_lines=True)
    for one in made.values():
        table.add_row(*("\n".join(cell) for cell in _told(one, made)))
    return table


def _told(one: Manifest, made: Mapping[str, Manifest]) -> Iterator[list[str]]:
    """A value a line, so that all of it fits where terminals are narrow."""
    scores, kl = one.scores, {name: found.value for name, found in one.kl.items()}
    method = str(one.plan.get("method", _UNKNOWN))
    yield [one.name, f"of {one.parent}", method, outcome(one)]
    yield [
        _line("epochs kept", scores.get("kept_epochs"), "{:g}".format),
        _line("KL to base", kl.get("base"), "{:.2f}".format),
        _line("√KL to parent", kl.get("parent"), lambda nats: f"{sqrt(max(nats, 0)):.2f}"),
    ]
    yield [
        _line("reward gained", scores.get("reward_gain"), "{:+.2f}".format),
        _line("a √nat", _per_root_nat(one), "{:+.2f}".format),
        _line("before", _before(one, made), "{:+.2f}".format),
        _line("reward right", _newest(one, "reward_order"), "{:.0%}".format),
        _line("second opinion", scores.get("second_opinion_gain"), "{:+.2f}".format),
        _line("held-out accuracy", scores.get("held_out_accuracy"), "{:.0%}".format),
    ]
    yield [
        _line("beyond reach", _change(one, "beyond_reach"), "{:+.1%}".format),
        _line("length", _times_parents(one, "length"), "{:.2f} times".format),
        _line("repetition", _change(one, "repetition"), "{:+.1%}".format),
    ]


def outcome(one: Manifest) -> str:
    """`passed`, or which gates it failed."""
    failed = [gate.name for gate in one.gates if not gate.passed]
    return f"failed {', '.join(failed)}" if failed else ("passed" if one.passed else "no gates")


def ancestors(one: Manifest, made: Mapping[str, Manifest]) -> Iterator[Manifest]:
    """The parent, then its parent; a manifest that names no older one ends the line."""
    while (parent := made.get(one.parent)) and parent.version < one.version:
        yield parent
        one = parent


def _per_root_nat(one: Manifest) -> float | None:
    return one.scores.get("reward_gain_per_root_nat")


def _before(one: Manifest, made: Mapping[str, Manifest]) -> float | None:
    """The mean of its line: later rounds have less to gain, so this is told and no gate."""
    earlier = [gain for each in ancestors(one, made) if (gain := _per_root_nat(each)) is not None]
    return fmean(earlier) if earlier else None


def _newest(one: Manifest, curve: str) -> float | None:
    return one.curves[curve][-1] if one.curves.get(curve) else None


def _change(one: Manifest, name: str) -> float | None:
    own, parents = one.scores.get(name), one.scores.get(f"{name}_parent")
    return None if own is None or parents is None else own - parents


def _times_parents(one: Manifest, name: str) -> float | None:
    own, parents = one.scores.get(name), one.scores.get(f"{name}_parent")
    return own / parents if own is not None and parents else None


def _line(name: str, value: float | None, told: Callable[[float], str]) -> str:
    return f"{name} {_UNKNOWN if value is None else told(value)}"
