"""Guardrails that operators name themselves: PromQL, asked of a Prometheus. Edge."""

import time
from collections.abc import Sequence
from math import isfinite
from string import Template
from typing import Annotated, Literal, NamedTuple

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ops.seen import Queried
from ops.trial import Rollout

EVERY_SECONDS = 15.0  # it scrapes no more often
_TIMEOUT_SECONDS, _ALL_SECONDS = 2.0, 5.0  # of a query, and of all at once


class Query(BaseModel):
    """`promql` may speak of `$canary` and `$stable`. Above `most` the canary is withdrawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=100)]
    promql: Annotated[str, Field(min_length=1)]
    most: float


class _Sample(BaseModel):
    value: tuple[float, float]


class _Data(BaseModel):
    result: list[_Sample] | tuple[float, float]  # a vector, or a scalar

    @property
    def values(self) -> list[float]:
        if isinstance(self.result, tuple):
            return [self.result[1]]
        return [one.value[1] for one in self.result]


class _Reply(BaseModel):
    status: Literal["success"]
    data: _Data


class _Asked(NamedTuple):
    canary: str
    at: float
    found: list[Queried]


class Prometheus:
    """What it said is remembered for a while."""

    def __init__(self, url: str, queries: Sequence[Query]) -> None:
        self._url, self._queries = url.rstrip("/"), queries
        self._last: _Asked | None = None
        self._order = list(range(len(queries)))  # in which they are asked

    def ask(self, rollout: Rollout) -> list[Queried]:
        now, last = time.monotonic(), self._last
        if last is None or last.canary != rollout.canary or now - last.at >= EVERY_SECONDS:
            found = self._all(rollout)
            # As of now: to ask may have taken long.
            self._last = last = _Asked(rollout.canary, time.monotonic(), found)
        return last.found

    def _all(self, rollout: Rollout) -> list[Queried]:
        """As far as a tick has time: those that had no turn come first the next time."""
        found, unasked = dict[int, Queried](), list[int]()
        ends, silent = time.monotonic() + _ALL_SECONDS, ""
        for at in self._order:
            query = self._queries[at]
            if not silent and time.monotonic() > ends:
                silent = "others took too long"
            if silent:
                unasked.append(at)
                found[at] = Queried(query.name, None, query.most, silent)
                continue
            try:
                found[at] = self._found(query, rollout)
            except httpx.HTTPError as error:
                found[at] = Queried(query.name, None, query.most, repr(error))
                if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):  # it is away
                    silent = repr(error)
        self._order = unasked + [at for at in self._order if at not in unasked]
        return [found[at] for at in sorted(found)]

    def _found(self, query: Query, rollout: Rollout) -> Queried:
        """The largest, of several series."""
        names = {"canary": rollout.canary, "stable": rollout.first.stable}
        asked = {"query": Template(query.promql).safe_substitute(names)}
        reply = httpx.get(
            f"{self._url}/api/v1/query",
            params=asked,
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,  # a proxy of the environment is for the world outside
        )
        try:
            values = _Reply.model_validate_json(reply.content).data.values
        except ValidationError:  # what is wrong with a query it tells in the reply
            return Queried(query.name, None, query.most, reply.text[:300])
        return Queried(query.name, max(filter(isfinite, values), default=None), query.most)
