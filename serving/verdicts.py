"""What a user says of an answer: read strictly, made durable, and only then accepted."""

import logging
from asyncio import to_thread
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from feedback.events import (
    Comparison,
    Correction,
    Outcome,
    Retraction,
    Thumb,
    Verdict,
    encode,
    group_of,
)
from feedback.log import VERDICTS, LogAway
from feedback.privacy import CannotRedact, Redact, redacted
from serving.errors import BadVerdict, NotStored
from serving.form import Form, as_form, explained, read_comparison, read_form
from serving.metrics import Metrics
from serving.rater import Rated, Raters

KEY_HEADER = "idempotency-key"
_MOST = {"comment": 4000, "correction": 200_000}  # characters, as on the log
_log = logging.getLogger(__name__)


class Spool(Protocol):
    def append(self, topic: str, key: str, value: bytes) -> None: ...


@dataclass(frozen=True)
class Verdicts:
    raters: Raters
    spool: Spool
    metrics: Metrics
    redact: Redact | None = None

    async def accept(self, body: dict[str, Any], headers: Mapping[str, str]) -> str:
        """The verdict's key, once it is durable. Its completion need not be known yet."""
        form = read_form(body)
        return await self._accept(form, self.raters.rated(form, headers), headers)

    async def accept_comparison(self, body: dict[str, Any], headers: Mapping[str, str]) -> str:
        said = read_comparison(body)
        rated = self.raters.rated(said, headers)
        return await self._accept(as_form(said, rated.completion_id), rated, headers)

    async def _accept(self, form: Form, rated: Rated, headers: Mapping[str, str]) -> str:
        verdict = _verdict(self._redacted(form), _key(form, headers.get(KEY_HEADER)), rated)
        try:
            await to_thread(
                self.spool.append,
                VERDICTS.name,
                group_of(verdict.completion_id),
                encode(verdict),
            )
        except (OSError, LogAway) as error:
            raise NotStored(f"the verdict could not be stored, send it again: {error}") from error
        self.metrics.verdicts.labels(verdict.kind).inc()
        return verdict.key

    def _redacted(self, form: Form) -> Form:
        """A thumb counts without its comment too; a correction is nothing but its text."""
        field = "correction" if form.correction else "comment"
        text = getattr(form, field)
        if self.redact is None or not text:
            return form
        kept = None
        try:
            kept = redacted(self.redact, text)[: _MOST[field]]  # labels can make it longer
        except CannotRedact as error:
            _log.error("a %s cannot be redacted and is left out: %s", field, error)
        if form.correction and not kept:
            raise NotStored("the correction could not be redacted, send it again later")
        return form.model_copy(update={field: kept})


def _key(form: Form, header: str | None) -> str:
    """Said again with the same key, a verdict counts once."""
    if form.key and header and form.key != header:
        raise BadVerdict(f"key is {form.key!r}; expected {header!r} as in {KEY_HEADER}", "key")
    return form.key or header or uuid4().hex


def _verdict(form: Form, key: str, rated: Rated) -> Verdict:
    about: dict[str, Any] = {
        "at": datetime.now(UTC),
        "key": key,
        "completion_id": rated.completion_id,
        "user": rated.user,
    }
    with explained(Form):
        if form.thumb:
            return Thumb(**about, up=form.thumb == "up", comment=form.comment)
        if form.correction:
            return Correction(**about, text=form.correction)
        if form.outcome:
            return Outcome(**about, name=form.outcome.name, value=form.outcome.value)
        if form.comparison:
            rival = form.comparison
            return Comparison(**about, other_id=rival.other_id, winner=rival.winner)
        assert form.retract  # a form says exactly one thing
        return Retraction(**about, of=form.retract)
