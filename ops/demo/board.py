"""What a demo shows while it goes on: lines as things happen, and on a terminal a live table."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markdown import Markdown
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from feedback.events import BASE
from ops.demo.seen import Count
from ops.evidence import Thumbs, wilson
from ops.move import Move
from serving.split import Split
from trainer.adapters import Manifest

_BAR = 20  # characters


class Board:
    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._began = time.monotonic()
        self._waiting_for = ""
        self._table: Table | None = None
        self._live = Live(console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(f"{self.seconds:5.0f} s  {text}", style), soft_wrap=True)

    def tell(self, markdown: str) -> None:
        """Laid out on a terminal, as it is elsewhere."""
        told = Markdown(markdown) if self.console.is_terminal else Text(markdown)
        self.console.print(told, soft_wrap=not self.console.is_terminal)

    def moved(self, move: Move) -> None:
        """Something that ops did, or somebody at the command line."""
        self.say(f"{move.adapter} {move.action.replace('_', ' ')}: {move.reason}", "bold")

    def wait_for(self, what: str) -> None:
        self._waiting_for = what
        self._draw()

    def show(self, split: Split, count: Count, manifests: list[Manifest]) -> None:
        self._table = table(split, count, manifests)
        self._draw()

    def _draw(self) -> None:
        waiting = Spinner("dots", f"{self.seconds:.0f} s, {self._waiting_for}")
        self._live.update(Group(self._table, waiting) if self._table else waiting)


def table(split: Split, count: Count, manifests: list[Manifest]) -> Table:
    """One row per adapter that has answered, base first."""
    head = ("adapter", "traffic", "answers", "thumbs up", "95% interval", "", "truly liked")
    made = Table(*head, "KL to base")
    kl = {m.name: f"{m.kl['base'].value:.2f}" for m in manifests if "base" in m.kl}
    for name in sorted(count.adapters, key=lambda name: (name != BASE, name)):
        liked = count.liked(name)
        told = (_traffic(split, name), str(liked.total), *_rate(count.thumbs(name)))
        made.add_row(name, *told, f"{liked.rate:.0%}", kl.get(name, ""))
    return made


def _traffic(split: Split, name: str) -> str:
    if name == split.canary:
        return f"canary {split.share_percent:g}%"
    return f"stable {100 - split.share_percent:g}%" if name == split.stable else ""


def _rate(thumbs: Thumbs) -> tuple[str, str, str]:
    if not thumbs.total:
        return "", "", ""
    low, rate, high = wilson(thumbs)
    told = f"{rate:.0%} of {thumbs.total}"
    return told, f"{low:.0%} to {high:.0%}", _bar(low, rate, high)


def _bar(low: float, rate: float, high: float) -> str:
    """The interval, drawn from 0 to 1."""
    places = [i / (_BAR - 1) for i in range(_BAR)]
    bar = ["─" if low <= place <= high else "·" for place in places]
    bar[round(rate * (_BAR - 1))] = "●"
    return "".join(bar)
