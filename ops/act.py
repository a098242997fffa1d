"""What ops does to the world: write the split, and warm an adapter on an engine."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from feedback.events import BASE, encode, first_complaint
from feedback.examples import Watermark
from feedback.log import COMPLETIONS, SCORES, VERDICTS, Log
from ops.history import splits
from serving.split import SPLIT_KEY, Split

LOAD_TIMEOUT_SECONDS = 120.0
_NOT_THIS_ONE = (400, 404, 409, 422)  # how vLLM says that it does not load an adapter


class _Answered(BaseModel):
    model: str


class _Complaint(BaseModel):
    message: str


class _Complained(BaseModel):
    """As vLLM complains. A wrong path or a proxy says something else."""

    error: _Complaint


class CannotLoad(Exception):
    """The engine did not answer with the adapter it was asked for."""


class SplitContended(Exception):
    """Somebody else kept writing the split."""


def first_split(log: Log) -> Split:
    """The split in force; written where there is none yet."""
    known = splits(log)
    if known:
        return known[-1]
    split = Split(
        at=datetime.now(UTC), revision=1, stable=BASE, reason="nothing is better yet", by="ops"
    )
    log.append("split", SPLIT_KEY, encode(split))
    return splits(log)[-1]


def change_split(log: Log, seen: Split, reason: str, by: str, **changes: Any) -> Split:
    """Write the revision after `seen`.

    Of two writers of one revision the first on the log wins; the other gets SplitContended, for
    what it decided on is no longer so.
    """
    at = datetime.now(UTC)
    told = {"at": at, "revision": seen.revision + 1, "reason": reason, "by": by}
    try:
        split = Split.model_validate(seen.model_dump() | changes | told)
    except ValidationError as error:
        raise ValueError(first_complaint(error)) from error
    log.append("split", SPLIT_KEY, encode(split))
    in_force = next(s for s in splits(log) if s.revision >= split.revision)
    if in_force != split:
        raise SplitContended(
            f"revision {split.revision} was written by {in_force.by} just before: {in_force.reason}"
        )
    return split


def reached(log: Log) -> Watermark:
    """How far the log goes."""
    topics = (COMPLETIONS.name, VERDICTS.name, SCORES.name)
    return {f"{topic}/{place}": end for topic in topics for place, end in log.end(topic).items()}


def warm_all(engines: Sequence[str], adapter: str, key: str | None = None) -> None:
    """Every one: a user may be given to any."""
    for url in engines:
        warm(url, adapter, key)


def warm(engine_url: str, adapter: str, key: str | None = None) -> None:
    """Have the engine load the adapter, and see that it is this one that answers."""
    body = {
        "model": adapter,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 1,
    }
    try:
        answer = httpx.post(
            f"{engine_url}/v1/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {key}"} if key else None,
            timeout=LOAD_TIMEOUT_SECONDS,
            trust_env=False,  # no proxy stands between us and the engine
        )
    except httpx.HTTPError as error:
        raise ConnectionError(f"the engine at {engine_url} does not answer: {error!r}") from error
    try:
        if answer.status_code in _NOT_THIS_ONE:
            complaint = _Complained.model_validate_json(answer.content).error.message
            raise CannotLoad(f"the engine refused {adapter}: {complaint[:300]}")
        told = _Answered.model_validate_json(answer.content).model
    except ValidationError as error:  # a wrong key, a limit, a proxy: no fault of the adapter's
        said = f"{answer.status_code}: {answer.text[:300]}"
        raise ConnectionError(f"the engine at {engine_url} answered {said}") from error
    if told != adapter:
        raise CannotLoad(f"asked for {adapter}, the engine answered as {told}")
