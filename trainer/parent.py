"""Which adapter serves now, from the topic `split`. Reads three of its fields."""

import logging
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feedback.events import BASE, Id, SchemaV1, first_complaint
from feedback.log import SPLIT, Log
from trainer.endings import RoundFailed

_log = logging.getLogger("trainer")


class Serving(BaseModel):
    """What the newest split says; the base model alone, where there is none yet."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")
    kind: Literal["split"]
    v: SchemaV1
    revision: Annotated[int, Field(ge=1)] | None
    stable: Id
    canary: Id | None = None


class AnotherName(RoundFailed):
    """What serves is no adapter of this name: a round would build on what it was not asked for."""


class SplitReader:
    """Reads each record of the log once. Of two with one revision the first holds."""

    def __init__(self, log: Log, name: str) -> None:
        self._log, self._name = log, name
        self._next = 0
        self._serving = Serving(kind="split", v=1, revision=None, stable=BASE)
        self._tried = set[str]()

    def serving(self) -> Serving:
        while records := self._log.read(SPLIT.name, 0, self._next):
            for record in records:
                self._take(record.value)
            self._next = records[-1].position.offset + 1
        stable = self._serving.stable
        if stable != BASE and not re.fullmatch(rf"{re.escape(self._name)}-v\d+", stable):
            told = f"the stable adapter is {stable!r}; expected {BASE!r} or {self._name}-vNUMBER"
            raise AnotherName(f"{told}: is it another loop's log, or THUMBWHEEL_NAME mistyped?")
        return self._serving

    def tried(self, adapter: str) -> bool:
        """Did it ever get traffic, as far as the log was read?"""
        return adapter in self._tried

    def _take(self, raw: bytes) -> None:
        try:
            found = Serving.model_validate_json(raw)
        except ValidationError as error:
            _log.warning("a split that cannot be read is left out: %s", first_complaint(error))
            return
        if (found.revision or 0) > (self._serving.revision or 0):
            self._serving = found
            self._tried |= {found.stable, found.canary or found.stable}
