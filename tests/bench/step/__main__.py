"""A step of training beside TRL's on the same ids: `python -m tests.bench.step`, one thread.

LoRA of rank 16 on all linears of a Qwen3 made on the spot. With a GPU: 0.5B parameters in
bfloat16, seconds by its events. Else 19M in float32, seconds of the CPU, for others may use the
other cores. Each peer has a process of its own.
"""

import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

from tests.bench.step.clock import Seen
from tests.bench.step.lessons import METHODS, prepare
from tests.bench.step.ours import OURS
from tests.bench.step.peers import PEERS, measure
from tests.bench.step.scale import ANSWERS
from tests.bench.step.theirs import SHIPPED


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        alone(prepare, base)
        for method in METHODS:
            show(method, {peer: alone(measure, peer, method, base) for peer in PEERS})


def alone(work: Callable[..., Any], *args: Any) -> Any:
    """In a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def show(method: str, found: dict[str, dict[str, Seen]]) -> None:
    for lengths in ("mixed", "equal"):
        print(f"\n| {method.upper()}, {lengths} lengths | s a step | answers/s | ours is | MB |")
        print("|---|---|---|---|---|")
        ours = a_step(found[OURS][lengths])
        for peer, seen in found.items():
            took = a_step(seen[lengths])
            cells = f"{took:.3f} | {ANSWERS / took:.2f} | {took / ours:.2f} times as fast"
            print(f"| {peer} | {cells} | {seen['mixed'].megabytes:.0f} |")
    one, other = (found[peer]["curve"].losses for peer in (SHIPPED, OURS))
    worst = max(abs(a - b) / abs(a) for a, b in zip(one, other, strict=True))
    print(f"\n{len(one)} losses, TRL's from {one[0]:.4f} to {one[-1]:.4f}: ours at most ", end="")
    print(f"{worst:.1e} of it apart", flush=True)


def a_step(seen: Seen) -> float:
    """Seconds; the first of several warms up."""
    return fmean(seen.seconds[1:] or seen.seconds)


if __name__ == "__main__":
    main()
