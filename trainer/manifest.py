"""What is known of an adapter on the day it was published. Pure."""

import re
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from feedback.events import SchemaV1
from feedback.examples import Watermark

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*-v[0-9]+$")
# What a round under way has learned so far, by its content. It lies in a folder of its own, where
# nobody but an engine looks, and no user is ever answered by it.
DRAFT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*-draft-[0-9a-f]{16}-v0$")
DRAFTS = "drafts"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Estimate(_Frozen):
    """A number measured on `n` samples, with its standard error."""

    value: float
    stderr: Annotated[float, Field(ge=0)]
    n: Annotated[int, Field(ge=0)]


class GateResult(_Frozen):
    name: str
    passed: bool
    reason: str


class Manifest(_Frozen):
    """All that is known of an adapter on the day it was published."""

    v: SchemaV1 = 1
    name: Annotated[str, Field(pattern=NAME.pattern)]
    parent: str  # the adapter it continues, or "base"
    base: str  # the model it is for, as vLLM serves it
    created_at: AwareDatetime
    plan: dict[str, JsonValue]
    watermark: Watermark  # how far in the log its training data reaches
    dataset_digest: str
    counts: dict[str, int]  # rows used, held out, replayed, and dropped by reason
    gates: tuple[GateResult, ...]
    kl: dict[Literal["parent", "base"], Estimate]
    curves: dict[str, tuple[float, ...]]
    scores: dict[str, float]
    libraries: dict[str, str]
    seconds: Annotated[float, Field(ge=0)]
    advisers: dict[str, str] = {}  # the AI that taught beside users: its model, what it went by
    files: dict[str, str] = {}  # name to SHA-256, of every file but the manifest

    @property
    def passed(self) -> bool:
        """An adapter without gates has passed none."""
        return bool(self.gates) and all(gate.passed for gate in self.gates)

    @property
    def version(self) -> int:
        return version_of(self.name)


def series_of(name: str) -> str:
    return name.rpartition("-v")[0]


def version_of(name: str) -> int:
    return int(name.rpartition("-v")[2])
