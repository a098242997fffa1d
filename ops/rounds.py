"""What `thumbwheel rounds` prints: of each adapter what the watch over its round saw."""

from collections.abc import Callable, Iterator, Mapping
from math import sqrt
from pathlib import Path
from statistics import fmean

from rich.table import Table

from trainer.adapters import Manifest, published

_UNKNOWN = "-"
_COLUMNS = (
    *("adapter", "parent", "method", "outcome", "KL to base", "√KL to parent", "reward gained"),
    *("a √nat", "before", "second opinion", "beyond what was rated", "held-out preference"),
    *("length", "repetition"),
)


def rounds(adapters: Path) -> Table:
    """One row per published adapter, oldest first. Gains are over the parent."""
    made = {one.name: one for one in published(adapters)}
    table = Table(*_COLUMNS)
    for one in made.values():
        table.add_row(*_told(one, made))
    return table


def _told(one: Manifest, made: Mapping[str, Manifest]) -> Iterator[str]:
    scores, kl = one.scores, {name: found.value for name, found in one.kl.items()}
    yield from (one.name, one.parent, str(one.plan.get("method", _UNKNOWN)), outcome(one))
    yield _or_unknown(kl.get("base"), "{:.2f}".format)
    yield _or_unknown(kl.get("parent"), lambda nats: f"{sqrt(max(nats, 0)):.2f}")
    yield _or_unknown(scores.get("reward_gain"), "{:+.2f}".format)
    yield _or_unknown(_per_root_nat(one), "{:+.2f}".format)
    yield _or_unknown(_before(one, made), "{:+.2f}".format)
    yield _or_unknown(scores.get("second_opinion_gain"), "{:+.2f}".format)
    yield _or_unknown(_change(one, "beyond_reach"), "{:+.1%}".format)
    yield _or_unknown(scores.get("held_out_accuracy"), "{:.0%}".format)
    yield _or_unknown(_times_parents(one, "length"), "{:.2f} times".format)
    yield _or_unknown(_change(one, "repetition"), "{:+.1%}".format)


def outcome(one: Manifest) -> str:
    """`passed`, or the gates that it failed."""
    failed = [gate.name for gate in one.gates if not gate.passed]
    return ", ".join(failed) or ("passed" if one.passed else "no gates")


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


def _change(one: Manifest, name: str) -> float | None:
    own, parents = one.scores.get(name), one.scores.get(f"{name}_parent")
    return None if own is None or parents is None else own - parents


def _times_parents(one: Manifest, name: str) -> float | None:
    own, parents = one.scores.get(name), one.scores.get(f"{name}_parent")
    return own / parents if own is not None and parents else None


def _or_unknown(value: float | None, told: Callable[[float], str]) -> str:
    return _UNKNOWN if value is None else told(value)
