"""What `thumbwheel status`, `history` and `trace` print."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from feedback import examples
from feedback.events import BASE
from feedback.log import Log
from ops import history
from ops.by_hand import current
from ops.evidence import Thumbs, wilson
from ops.trace import Stop
from ops.trial import fate
from trainer.adapters import Manifest, published


def thumbs_by_adapter(folder: Path) -> dict[str, Thumbs]:
    counted: dict[str, Thumbs] = defaultdict(Thumbs)
    for row in examples.read(folder).examples:
        if row.up is not None:
            so_far = counted[row.adapter]
            counted[row.adapter] = Thumbs(so_far.up + row.up, so_far.total + 1)
    return dict(counted)


def split_line(log: Log) -> str:
    split = current(log)
    canary = f", canary {split.canary} at {split.share_percent:g}%" if split.canary else ""
    paused = ", paused" if split.pinned else ""
    return (
        f"revision {split.revision}: stable {split.stable}{canary}{paused}\n"
        f"  {split.reason} ({split.by}, {split.at:%Y-%m-%d %H:%M:%S} UTC)"
    )


def status(log: Log, examples_folder: Path, adapters: Path) -> Table:
    """One row per adapter, base first."""
    current(log)  # says so where there is nothing yet
    splits, moves = history.splits(log), history.moves(log)
    thumbs = thumbs_by_adapter(examples_folder)
    table = Table("adapter", "parent", "state", "thumbs up", "95% interval", "KL to base", "gates")
    state = "stable" if splits[-1].stable == BASE else ""
    table.add_row(BASE, "", state, *_rate(thumbs.get(BASE, Thumbs())), "", "")
    for manifest in published(adapters):
        rate = _rate(thumbs.get(manifest.name, Thumbs()))
        told = (fate(manifest, splits, moves), *rate, _kl(manifest), _gates(manifest))
        table.add_row(manifest.name, manifest.parent, *told)
    return table


def moves(log: Log) -> Table:
    table = Table("when (UTC)", "what", "adapter", "split", "by", "why")
    for move in history.moves(log):
        when = f"{move.at:%Y-%m-%d %H:%M:%S}"
        row = (when, move.action, move.adapter, str(move.split_revision), move.by, move.reason)
        table.add_row(*row)
    return table


def stops(found: Iterable[Stop]) -> Table:
    table = Table("stop", "what is known there")
    for stop in found:
        table.add_row(*stop)
    return table


def _rate(thumbs: Thumbs) -> tuple[str, str]:
    if not thumbs.total:
        return "none yet", ""
    low, rate, high = wilson(thumbs)
    return f"{thumbs.up}/{thumbs.total} = {rate:.0%}", f"{low:.0%} to {high:.0%}"


def _kl(manifest: Manifest) -> str:
    estimate = manifest.kl.get("base")
    return f"{estimate.value:.2f} ± {estimate.stderr:.2f}" if estimate else ""


def _gates(manifest: Manifest) -> str:
    failed = [gate.name for gate in manifest.gates if not gate.passed]
    if not manifest.gates:
        return "none"
    return f"failed: {', '.join(failed)}" if failed else f"{len(manifest.gates)} passed"
