"""What a round under way has learned so far: one file, whole or not at all, gone when it ends.
Beside it what an AI told it, if one did.

Its first line says what it is a state of, and holds the digest of the rest.
"""

import json
import logging
import os
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch

from feedback.disk import sync
from feedback.examples import Watermark
from trainer.learner import State

_V = 2
_log = logging.getLogger("trainer")


class Mark(NamedTuple):
    """What a state is of: with any other parent, plan or data it is worth nothing."""

    base: str
    parent: str
    plan_digest: str
    watermark: Watermark
    dataset_digest: str


class Saved(NamedTuple):
    mark: Mark
    state: State
    at: datetime


class Checkpoint:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "round.pt"
        self._draft = folder / "round.pt.tmp"
        self._labels = folder / "labels.json"

    def save(self, mark: Mark, state: State) -> None:
        buffer = BytesIO()
        torch.save(state._asdict(), buffer)
        raw = buffer.getvalue()
        now = datetime.now(UTC).isoformat()
        digest = sha256(raw).hexdigest()
        head = {"v": _V, "at": now, "sha256": digest, "mark": mark._asdict()}
        self._write(self._path, json.dumps(head).encode() + b"\n" + raw)

    def keep_labels(self, told: object) -> None:
        """What an AI said, as JSON: a round that goes on is to see the same, whatever is drawn."""
        self._write(self._labels, json.dumps(told).encode())

    def labels(self) -> Any:
        """None where there are none, or a damaged file."""
        try:
            return json.loads(self._labels.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def read(self) -> Saved | None:
        """None also where the file is damaged, or of another version: a round can begin anew."""
        if not self._path.exists():
            return None
        first, _, raw = self._path.read_bytes().partition(b"\n")
        try:
            head = json.loads(first)
            sound = head["v"] == _V and head["sha256"] == sha256(raw).hexdigest()
            mark, at = Mark(**head["mark"]), datetime.fromisoformat(head["at"])
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            _log.warning("%s is damaged or of another version; it is left out", self._path)
            return None
        # Only tensors and plain values: nothing in the file is ever executed.
        state = State(**torch.load(BytesIO(raw), "cpu", weights_only=True))
        return Saved(mark, state, at)

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)
        self._draft.unlink(missing_ok=True)
        self._labels.unlink(missing_ok=True)

    def _write(self, path: Path, raw: bytes) -> None:
        with self._draft.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._draft, path)
        sync(path.parent)
