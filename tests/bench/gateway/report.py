"""The figures as a table for docs/experiments.md: medians, with the least and the most. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from tests.bench.gateway.measures import Behind, Found, Row

Rounds = Mapping[str, Sequence[Found]]  # of each server, the first is the engine alone


def table(rounds: Rounds) -> Iterator[str]:
    yield f"| | {' | '.join(rounds)} |"
    yield "|---" * (len(rounds) + 1) + "|"
    engine = next(iter(rounds))
    rows = dict.fromkeys(row for found in rounds[engine] for row in found)
    for row in rows:
        cells = [_cell(row, rounds, server, engine) for server in rounds]
        yield f"| {row.what}, {row.unit} | {' | '.join(cells)} |"


def _cell(row: Row, rounds: Rounds, server: str, engine: str) -> str:
    more = row.added and server != engine
    bases = [found.get(row, 0.0) if more else 0.0 for found in rounds[engine]]
    pairs = [(f[row], base) for f, base in zip(rounds[server], bases, strict=True) if row in f]
    if not pairs:
        return ""
    if behind := [seen for seen, _ in pairs if isinstance(seen, Behind)]:
        return f"falls behind: {min(behind):.0f} a second"
    found = [seen - base for seen, base in pairs]
    told = _number(median(found), sign=more)
    if len(found) == 1:
        return told
    return f"{told} ({_number(min(found))} to {_number(max(found))})"


def _number(value: float, *, sign: bool = False) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:{'+' if sign else ''},.{digits}f}"
