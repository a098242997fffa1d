"""What was seen of stable and canary since the trial began: completions from the log, thumbs from
the examples. Counts only what is new at each look; all it holds can be counted again."""

from dataclasses import dataclass, field
from pathlib import Path

from feedback import examples
from feedback.events import Completion
from feedback.examples import Identity, Watermark
from feedback.log import COMPLETIONS, Log, read_on
from ops.decide import Arm, Observation
from ops.evidence import Thumbs
from ops.history import readable
from ops.trial import Rollout


@dataclass
class _Seen:
    """Where the last look ended, and what was found up to there."""

    rollout: Rollout
    offsets: dict[int, int] = field(default_factory=dict)
    watermark: Watermark = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)  # what was spooled may be on the log twice
    completions: dict[str, int] = field(default_factory=dict)
    step_completions: dict[str, int] = field(default_factory=dict)
    step_errors: dict[str, int] = field(default_factory=dict)
    thumbs: dict[Identity, tuple[str, int, bool]] = field(default_factory=dict)


class Observer:
    def __init__(self, log: Log, folder: Path) -> None:
        self._log, self._folder = log, folder
        self._seen: _Seen | None = None

    def look(self, rollout: Rollout) -> Observation:
        if self._seen is None or self._seen.rollout != rollout:
            self._seen = _Seen(rollout)
        self._count_completions(self._seen)
        self._count_thumbs(self._seen)
        return Observation(
            stable=_arm(self._seen, rollout.first.stable),
            canary=_arm(self._seen, rollout.canary),
        )

    def _count_completions(self, seen: _Seen) -> None:
        records = read_on(self._log, COMPLETIONS.name, seen.offsets)
        for _, completion in readable(records, (Completion,)):
            _count(seen, completion)

    def _count_thumbs(self, seen: _Seen) -> None:
        for batch in examples.batches(self._folder, seen.watermark):
            for row in examples.rows(batch):
                revision = row.split_revision
                if row.slot != "thumb" or revision is None or not _on_trial(seen, revision):
                    continue
                seen.thumbs.pop(row.identity, None)
                if row.up is not None and row.weight > 0:
                    seen.thumbs[row.identity] = (row.adapter, revision, row.up)
            seen.watermark |= batch.end


def _count(seen: _Seen, completion: Completion) -> None:
    if not _on_trial(seen, completion.split_revision) or completion.id in seen.ids:
        return
    seen.ids.add(completion.id)
    name = completion.adapter
    seen.completions[name] = seen.completions.get(name, 0) + 1
    if (completion.split_revision or 0) >= seen.rollout.step.revision:
        seen.step_completions[name] = seen.step_completions.get(name, 0) + 1
        seen.step_errors[name] = seen.step_errors.get(name, 0) + _failed(completion)


def _failed(completion: Completion) -> bool:
    # A reader who hangs up is no fault of the adapter's.
    return completion.error is not None and completion.error != "client closed"


def _on_trial(seen: _Seen, revision: int | None) -> bool:
    """Whether it was served by a split of this trial: both arms at the same time, by chance."""
    return revision is not None and revision >= seen.rollout.first.revision


def _arm(seen: _Seen, adapter: str) -> Arm:
    thumbs = dict[int, Thumbs]()
    for name, revision, up in seen.thumbs.values():
        if name == adapter:
            so_far = thumbs.get(revision, Thumbs())
            thumbs[revision] = Thumbs(so_far.up + up, so_far.total + 1)
    return Arm(
        completions=seen.completions.get(adapter, 0),
        step_completions=seen.step_completions.get(adapter, 0),
        step_errors=seen.step_errors.get(adapter, 0),
        thumbs_by_revision=thumbs,
    )
