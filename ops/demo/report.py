"""The demo's closing report, as Markdown. Pure: it is told from the log and the manifests alone."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ops.demo.claims import Claim, claims
from ops.demo.findings import Line, Record, judged, lines
from ops.evidence import Thumbs, wilson
from serving.split import Split

_HEAD = (
    "adapter",
    "became",
    "answers",
    "thumbs up",
    "rate, 95% interval",
    "truly liked",
    "right",
    "tokens",
    "KL to base",
)
_LEGEND = """\
*Thumbs up*: what the users said of 40% of the answers, one thumb in ten by mistake. *Truly liked*:
the hidden taste (polite, short, right and complete) applied to every answer on the log, without
mistakes. *Right*: it answers what was asked and nothing in it is garbled. *KL to base*: nats an
answer, measured by the trainer on fresh answers before the adapter was published."""


def render(record: Record, plot: str) -> str:
    """The report; `plot` is the name of the picture beside it."""
    found = claims(record)
    return "\n".join(
        [
            "# Thumbwheel's demo",
            "",
            summary(found),
            "",
            *(f"- {'✔' if claim.holds else '✘'} {claim.what}: {claim.seen}" for claim in found),
            "",
            "## Adapters",
            "",
            *_table(_HEAD, map(adapter_row, lines(record))),
            "",
            _LEGEND,
            "",
            f"![How the liked rate grew]({plot})",
            "",
            "## What moved",
            "",
            *_table(("after", "split", "stable", "canary", "by", "why"), _moves(record)),
            "",
        ]
    )


def summary(found: list[Claim]) -> str:
    failed = [claim.what for claim in found if not claim.holds]
    if not failed:
        return f"All {len(found)} things that the demo is to show have happened."
    return f"Not shown, of {len(found)} things: {'; '.join(failed)}."


def adapter_row(line: Line) -> tuple[str, ...]:
    return (
        line.adapter,
        line.fate,
        str(len(line.answers)),
        f"{line.thumbs.up} of {line.thumbs.total}",
        _rate(line.thumbs),
        _rate(line.liked),
        f"{line.right.rate:.1%}" if line.answers else "",
        f"{line.tokens:.1f}" if line.answers else "",
        f"{line.kl.value:.2f} ± {line.kl.stderr:.2f}" if line.kl else "0",
    )


def _rate(thumbs: Thumbs) -> str:
    if not thumbs.total:
        return ""
    low, rate, high = wilson(thumbs)
    return f"{rate:.1%} ({low:.1%} to {high:.1%})"


def _moves(record: Record) -> Iterable[tuple[str, ...]]:
    if not record.splits:
        return []
    answers = judged(record.completions)
    began = answers[0].at if answers else record.splits[0].at
    return (_move(split, began) for split in record.splits)


def _move(split: Split, began: datetime) -> tuple[str, ...]:
    after = max(split.at - began, timedelta())
    canary = f"{split.canary} {split.share_percent:g}%" if split.canary else ""
    row = (str(split.revision), split.stable, canary, split.by, split.reason)
    return (f"{after.total_seconds():.0f} s", *row)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    every = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in every]
