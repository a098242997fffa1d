"""What is measured of one server in one round: loads, and the figures read off them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from tests.bench.gateway.load import Seen, crowded, paced, wave
from tests.bench.gateway.peers import Peer
from tests.bench.gateway.wishes import LONG, PACED, WHOLE, Wish

WARM_SECONDS = 0.5
BEHIND_SECONDS = 1.0  # after the last answer was due
MOST_SECONDS = 8.0  # of one load; who needs more is not asked again


class Behind(float):
    """In the place of a latency: the answers a second, where they are fewer than was asked for."""


class Row(NamedTuple):
    """One line of the table. `added`: what is told is how much more it is than at the engine."""

    what: str
    unit: str
    added: bool = False


Found = dict[Row, float]


@dataclass(frozen=True)
class Plan:
    rounds: int = 3
    seconds: float = 2.0  # of each load
    calm_rate: float = 10.0  # requests a second
    rate: float = 100.0
    at_once: int = 32
    streams: int = 64


@dataclass(frozen=True)
class Load:
    name: str
    run: Callable[[int], Seen]  # on a port
    figures: Callable[[Seen, float], Found]  # with the CPU seconds that it took


def loads(plan: Plan) -> Iterator[Load]:
    yield from _paced(plan, plan.calm_rate)
    name = f"whole answers, {plan.at_once} in flight"
    crowd = partial(crowded, wish=WHOLE, at_once=plan.at_once, seconds=plan.seconds)
    yield Load(name, crowd, partial(_pace, name))
    name = f"{plan.streams} streams of {LONG.tokens} chunks at once"
    flood = partial(wave, wish=LONG, at_once=plan.streams, most_seconds=MOST_SECONDS)
    yield Load(name, flood, partial(_chunk_pace, name))
    yield from _paced(plan, plan.rate)  # last, as it is too much for some


def _paced(plan: Plan, rate: float) -> Iterator[Load]:
    for kind, wish in (("whole answer", WHOLE), ("stream", PACED)):
        name = f"{kind} of {wish.tokens} tokens, {rate:.0f} a second"
        run = partial(paced, wish=wish, rate=rate, seconds=plan.seconds)
        yield Load(name, run, partial(_latencies, name, plan.seconds))


def warm(peer: Peer) -> None:
    for wish in (WHOLE, Wish(tokens=8, streams=True)):
        peer.take(crowded(peer.port, wish, at_once=8, seconds=WARM_SECONDS))


def measure(peer: Peer, plan: Plan) -> Found:
    """What it could not keep up with, or took too long for, it is not asked again."""
    found: Found = {}
    for load in loads(plan):
        if load.name in peer.tried_once:
            continue
        peer.process.settle()
        before = peer.process.cpu_seconds
        seen = load.run(peer.port)
        figures = load.figures(seen, peer.process.cpu_seconds - before)
        found |= figures
        peer.take(seen)
        behind = any(isinstance(figure, Behind) for figure in figures.values())
        if behind or seen.seconds > MOST_SECONDS:
            peer.tried_once.add(load.name)
    return found | {Row("resident memory", "MB"): peer.process.resident_mb}


def _latencies(name: str, planned_seconds: float, seen: Seen, cpu_seconds: float) -> Found:
    kinds = {f"{name}: its end": seen.total}
    if seen.wish.streams:
        kinds = {f"{name}: its first chunk": seen.first} | kinds
    rows = {
        Row(f"{kind}, p{percent}", "ms", added=True): (seconds, percent)
        for kind, seconds in kinds.items()
        for percent in (50, 99)
    }
    if seen.late or seen.seconds > planned_seconds + BEHIND_SECONDS:
        return dict.fromkeys(rows, Behind(seen.answered / seen.seconds))
    cost = {Row(f"{name}: processor for each", "ms"): 1000 * cpu_seconds / seen.answered}
    return {row: _at(*told) for row, told in rows.items()} | cost


def _pace(name: str, seen: Seen, cpu_seconds: float) -> Found:
    return {
        Row(f"{name}: answered", "a second"): seen.answered / seen.seconds,
        Row(f"{name}: processor for each", "ms"): 1000 * cpu_seconds / seen.answered,
    }


def _chunk_pace(name: str, seen: Seen, cpu_seconds: float) -> Found:
    return {
        Row(f"{name}: chunks", "a second"): seen.chunks / seen.seconds,
        Row(f"{name}: processor for a chunk", "us"): 1_000_000 * cpu_seconds / seen.chunks,
    }


def _at(seconds: list[float], percent: int) -> float:
    """The percentile, in milliseconds."""
    ordered = sorted(seconds)
    return 1000 * ordered[math.ceil(len(ordered) * percent / 100) - 1]
