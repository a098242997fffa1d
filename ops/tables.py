"""What `thumbwheel status`, `history`, `plan`, `trace`, `quarantine` and `forget` print."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.table import Column, Table

from feedback import examples
from feedback.events import BASE
from feedback.log import Log
from ops import history
from ops.by_hand import current
from ops.evidence import Thumbs, wilson
from ops.forget import Known
from ops.move import Look
from ops.quarantine import Held
from ops.trace import Stop
from ops.trial import Fates
from ops.why import Story
from trainer.adapters import Manifest, published
from trainer.advice import Advice

_REASONS = 3  # of one rater, and how many more there are


def thumbs_by_adapter(folder: Path) -> dict[str, Thumbs]:
    """Those that count: not what is quarantined."""
    counted: dict[str, Thumbs] = defaultdict(Thumbs)
    for row in examples.read(folder).examples:
        if row.up is not None and row.weight > 0:
            so_far = counted[row.adapter]
            counted[row.adapter] = Thumbs(so_far.up + row.up, so_far.total + 1)
    return dict(counted)


def in_force(log: Log) -> str:
    """The split, and what its canary waits for."""
    split = current(log)
    canary = f", canary {split.canary} at {split.share_percent:g}%" if split.canary else ""
    paused = ", paused" if split.pinned else ""
    looks = history.looks(log, split.canary, 1) if split.canary else []
    return "\n  ".join(
        [
            f"revision {split.revision}: stable {split.stable}{canary}{paused}",
            f"{split.reason} ({split.by}, {split.at:%Y-%m-%d %H:%M:%S} UTC)",
            *(look(one) for one in looks if one.split_revision == split.revision),
        ]
    )


def status(log: Log, examples_folder: Path, adapters: Path) -> Table:
    """One row per adapter, base first."""
    current(log)  # says so where there is nothing yet
    splits = history.splits(log)
    fates = Fates(splits, history.moves(log))
    thumbs = thumbs_by_adapter(examples_folder)
    table = Table("adapter", "parent", "state", "thumbs up", "95% interval", "KL to base", "gates")
    state = "stable" if splits[-1].stable == BASE else ""
    table.add_row(BASE, "", state, *_rate(thumbs.get(BASE, Thumbs())), "", "")
    for manifest in published(adapters):
        rate = _rate(thumbs.get(manifest.name, Thumbs()))
        told = (fates.of(manifest), *rate, _kl(manifest), _gates(manifest))
        table.add_row(manifest.name, manifest.parent, *told)
    return table


def moves(log: Log) -> Table:
    stable = {split.revision: split.stable for split in history.splits(log)}
    table = Table("when (UTC)", "what", "adapter", "split", "stable then", "by", "why")
    for move in history.moves(log):
        when, revision = f"{move.at:%Y-%m-%d %H:%M:%S}", move.split_revision
        then = stable.get(revision, "")
        table.add_row(when, move.action, move.adapter, str(revision), then, move.by, move.reason)
    return table


def explained(story: Story) -> Iterator[Table | str]:
    """Its round, what was decided on it and why, and the numbers of its last look."""
    yield f"{story.adapter}, made of {story.parent} by {story.method}: {story.state}"
    gates = Table("gate", "", "why")
    for gate in story.gates:
        gates.add_row(gate.name, "passed" if gate.passed else "failed", gate.reason)
    yield gates
    moved = Table("when (UTC)", "what", "split", "by", "why")
    for move in story.moves:
        when = f"{move.at:%Y-%m-%d %H:%M:%S}"
        moved.add_row(when, move.action, str(move.split_revision), move.by, move.reason)
    yield moved
    if story.looks:
        yield look(story.looks[-1])
    if story.numbers:
        numbers = Table("number, as it was", Column("", justify="right"))
        for name, value in story.numbers.items():
            numbers.add_row(name, f"{value:.4g}")
        yield numbers


def look(one: Look) -> str:
    """What was decided last, and what is waited for."""
    return f"{one.at:%Y-%m-%d %H:%M:%S} UTC: {one.decision}: {one.reason}"


def methods(advice: Advice) -> Table:
    """One row for each method of learning, the recommended one marked."""
    enough_for = f"enough for a round ({advice.needed})"
    table = Table("method", "to learn from", "of", "held out", enough_for)
    for method, lessons, of, held, lacks in advice.feeds:
        enough = "no" if lacks else "yes, recommended" if method == advice.method else "yes"
        table.add_row(method, str(lessons), of, str(held), enough)
    return table


def stops(found: Iterable[Stop]) -> Table:
    table = Table("stop", "what is known there")
    for stop in found:
        table.add_row(*stop)
    return table


def held(found: Iterable[Held]) -> Table:
    """One row for each rater and what was decided on them."""
    whole = Column("rater", no_wrap=True)  # to be copied
    table = Table(whole, "verdicts", "of", "on", "since (UTC)", "state", "why")
    groups: dict[tuple[str, str], list[Held]] = defaultdict(list)
    for one in found:
        groups[one.identity.rater, _state(one)].append(one)
    for (rater, state), some in groups.items():
        completions = {one.identity.completion_id for one in some}
        of = next(iter(completions)) if len(completions) == 1 else f"{len(completions)} completions"
        on = ", ".join(sorted({one.adapter for one in some}))
        since = f"{min(one.judged_at for one in some):%Y-%m-%d %H:%M:%S}"
        table.add_row(rater, str(len(some)), of, on, since, state, _reasons(some))
    return table


def known(found: Known) -> Table:
    table = Table("adapter", "what it has of them")
    for trace in found.traces:
        table.add_row(trace.adapter, trace.told)
    return table


def _state(one: Held) -> str:
    if one.waits:
        return "quarantined"
    done = {0.0: "dropped", 1.0: "released"}.get(one.weight, f"weight {one.weight:g}")
    return f"{done} by {one.by}"


def _reasons(some: list[Held]) -> str:
    counted = Counter(one.reason for one in some).most_common()
    told = [reason for reason, _ in counted[:_REASONS]]
    more = len(counted) - len(told)
    return "\n".join([*told, *([f"and {more} more reasons"] if more else [])])


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
