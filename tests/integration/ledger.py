"""What clients said and were told, held against what the log and the examples hold in the end."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from feedback.events import outcome_slot
from feedback.examples import Example, Identity
from feedback.privacy import pseudonym
from tests.serving.gateway import SECRET

# What one person says of an answer in one slot: up or down, a number, a text; None: taken back.
Value = bool | float | str | None


@dataclass
class Ledger:
    """Kept by the clients. `answered`: those whose answer came whole, and what it was."""

    answered: dict[str, str] = field(default_factory=dict)
    stands: dict[Identity, tuple[str, Value]] = field(default_factory=dict)  # its key and value
    keys: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)  # what each that failed was told
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    phase: str = ""  # under which the seconds to a 202 are kept

    def about_to_say(self, body: dict[str, Any]) -> None:
        self.keys.add(body["key"])

    def accepted(self, body: dict[str, Any], user: str) -> None:
        """What was said last of one thing by one person stands."""
        rater = pseudonym(SECRET.encode(), body.get("user", user))
        identity = Identity(body["completion_id"], _slot(body), rater)
        self.stands[identity] = (body["key"], _value(body))

    def complaints(self, written: list[Example], standing: list[Example]) -> list[str]:
        """What is wrong with the examples: all rows ever written, and those that stand."""
        return [
            *self._lost(standing),
            *self._wrong(standing),
            *self._invented(written),
            *_twice(written, standing),
        ]

    def _lost(self, standing: list[Example]) -> Iterator[str]:
        found = {row.identity for row in standing}
        for identity, (key, value) in self.stands.items():
            heard = identity.completion_id in self.answered
            if heard and value is not None and identity not in found:
                yield f"lost: {identity}, {value!r} by {key}"

    def _wrong(self, standing: list[Example]) -> Iterator[str]:
        for row in standing:
            said = self.stands.get(row.identity)
            if said != (row.verdict_key, _found(row)):
                yield f"wrong: {row.identity} is {_found(row)!r} by {row.verdict_key}, said {said}"
            answer = self.answered.get(row.completion_id, row.answer)
            if row.answer != answer:
                yield f"wrong: {row.completion_id} answered {row.answer!r}, told {answer!r}"

    def _invented(self, written: list[Example]) -> Iterator[str]:
        for row in written:
            if row.verdict_key not in self.keys:
                yield f"invented: {row.identity} by {row.verdict_key}"


def _twice(written: list[Example], standing: list[Example]) -> Iterator[str]:
    """One statement is one row, and of one thing one row stands: a crash repeats neither."""
    # Of two clicks with one key the earlier may come second: its row then says another time.
    for said, times in Counter(map(_statement, written)).items():
        if times > 1:
            yield f"twice: {said} is in {times} rows"
    for identity, times in Counter(row.identity for row in standing).items():
        if times > 1:
            yield f"twice: {identity} stands {times} times"


def _statement(row: Example) -> tuple[object, ...]:
    return row.identity, row.verdict_key, row.judged_at, row.weight


def _slot(body: dict[str, Any]) -> str:
    if "outcome" in body:
        return outcome_slot(body["outcome"]["name"])
    return (
        str(body["retract"]) if "retract" in body else "thumb" if "thumb" in body else "correction"
    )


def _value(body: dict[str, Any]) -> Value:
    if "outcome" in body:
        return float(body["outcome"]["value"])
    if "thumb" in body:
        return bool(body["thumb"] == "up")
    return body.get("correction")


def _found(row: Example) -> Value:
    by_kind: dict[str, Value] = {"thumb": row.up, "correction": row.correction}
    return by_kind.get(row.slot, row.value)
