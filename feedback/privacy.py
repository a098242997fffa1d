"""What the log may know of a person: a pseudonym, and texts that were redacted. Door. Pure.

A redactor takes a text and gives it back without what tells who somebody is. `common` is ours;
any other is the operator's own, so nothing it does may harm a request or let a text through.
"""

from collections.abc import Callable
from hashlib import blake2b
from traceback import extract_tb
from typing import Any, TypeVar

from feedback.redact import common

Redact = Callable[[str], str]
BUILT_IN: dict[str, Redact] = {"common": common}
T = TypeVar("T")


class CannotRedact(Exception):
    """Says what went wrong and where, never with which text: this may be shown."""


def pseudonym(secret: bytes, user: str) -> str:
    """The same user gets the same pseudonym; without the secret nobody can tell whose it is."""
    return blake2b(user.encode(), key=secret[:64], digest_size=12).hexdigest()


def redacted(redact: Redact, value: T) -> T:
    """`value` as it may be kept, or CannotRedact. In JSON every string is redacted, names too."""
    found: Any = value
    if isinstance(value, str):
        found = _redacted(redact, value)
    elif isinstance(value, list | tuple):
        found = type(value)(redacted(redact, inner) for inner in value)
    elif isinstance(value, dict):
        found = {redacted(redact, name): redacted(redact, inner) for name, inner in value.items()}
    return found  # type: ignore[no-any-return]  # of the same shape


def _redacted(redact: Redact, text: str) -> str:
    try:
        found = redact(text)
        if isinstance(found, str):
            found.encode()  # half a surrogate pair could not be written down
            return found
    except Exception as error:  # it is not our code
        at = extract_tb(error.__traceback__, limit=-1)[0]
        why = f"{type(error).__name__} in {at.filename}, line {at.lineno}"
        raise CannotRedact(why) from None  # its words may quote the text
    raise CannotRedact(f"it gave back a {type(found).__name__}; expected a str")
