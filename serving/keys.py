"""The file of API keys: who may ask for what, and how much of it. Read again when it changes.

[shop]                          # the app's name, as completions have it
sha256 = "9f86d081884c7d65…"    # of the key; the key itself is nowhere
scopes = ["chat", "verdicts"]   # or "admin", which may do all
requests_per_minute = 600
user_requests_per_minute = 30   # each user of this app
"""

import logging
import tomllib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from feedback.events import Id

LOOK_SECONDS = 1.0  # how soon a change is seen
Scope = Literal["chat", "verdicts", "admin"]
_log = logging.getLogger(__name__)


class BadKeys(ValueError):
    """The file cannot be used; the message says why."""


class Key(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    scopes: frozenset[Scope] = Field(strict=False)
    requests_per_minute: Annotated[int, Field(gt=0)] | None = None
    user_requests_per_minute: Annotated[int, Field(gt=0)] | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes


_FILE = TypeAdapter(dict[Id, Key])


class Keys:
    """A file that was good once and is broken now changes nothing: the last good one holds."""

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        self._path, self._clock = path, clock
        self._seen = self._state()
        self._keys = _read(path)
        self._looked = clock()

    def find(self, secret: str) -> tuple[str, Key] | None:
        """The app's name and what it may."""
        if self._clock() - self._looked > LOOK_SECONDS:
            self._look()
        # Found by its hash: how long that takes tells nothing of the key.
        return self._keys.get(sha256(secret.encode()).hexdigest())

    def _look(self) -> None:
        self._looked = self._clock()
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._keys = _read(self._path)
            _log.info("%d keys are read from %s", len(self._keys), self._path)
        except BadKeys as error:
            _log.error("the keys stay as they were: %s", error)

    def _state(self) -> object:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


class OneKey:
    """No file, and one key that may do all, as vLLM has it."""

    def __init__(self, name: str, secret: str) -> None:
        key = Key(sha256=sha256(secret.encode()).hexdigest(), scopes=frozenset({"admin"}))
        self._found = name, key

    def find(self, secret: str) -> tuple[str, Key] | None:
        hashed = sha256(secret.encode()).hexdigest()
        return self._found if hashed == self._found[1].sha256 else None


def _read(path: Path) -> dict[str, tuple[str, Key]]:
    try:
        keys = _FILE.validate_python(tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadKeys(f"the file of keys {str(path)!r} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]  # it may be a key itself
        field = ".".join(str(part) for part in first["loc"])
        raise BadKeys(f"the file of keys {str(path)!r}: {field}: {first['msg']}") from None
    found = {key.sha256: (name, key) for name, key in keys.items()}
    if len(found) < len(keys):
        raise BadKeys(f"the file of keys {str(path)!r} has one key under two names")
    return found
