"""Signed feedback tokens: who may rate which answer, until when. Pure.

A token is its words in JSON and their signature, both in URL-safe base64, with a dot between.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

from pydantic_core import from_json, to_json

from serving.errors import Forbidden, NotLetIn

_KINDS: dict[str, type] = {"k": str, "g": str, "u": str, "e": int}


@dataclass(frozen=True)
class Grant:
    """`user`, a pseudonym, may rate the answers to one request of `app`."""

    group: str
    user: str
    until: int  # in seconds since 1970
    app: str | None = None


class Tokens:
    """The first of `keys` signs, all of them are believed: so keys rotate."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self._signer = next(iter(self._keys))

    def sign(self, grant: Grant) -> str:
        words = {"k": self._signer, "g": grant.group, "u": grant.user, "e": grant.until}
        if grant.app:
            words["a"] = grant.app
        said = to_json(words)
        return f"{_text(said)}.{_text(_signature(self._keys[self._signer], said))}"

    def read(self, token: str, now: float) -> Grant:
        said, signature = _halves(token)
        words = _words(said)
        key = self._keys.get(words["k"])
        if key is None:
            raise NotLetIn(
                f"the feedback token is signed with the key {words['k']!r}; expected "
                f"{' or '.join(map(repr, self._keys))}",
                "token_foreign",
            )
        if not compare_digest(signature, _signature(key, said)):
            raise NotLetIn("the feedback token was changed, or signed by another", "token_forged")
        if now > words["e"]:
            hours = (now - words["e"]) / 3600
            raise NotLetIn(f"the feedback token expired {hours:.1f} hours ago", "token_expired")
        return Grant(words["g"], words["u"], words["e"], words.get("a"))


def check_group(grant: Grant, group: str) -> None:
    if group != grant.group:
        raise Forbidden(
            f"the feedback token is for {grant.group!r}; expected one for {group!r}",
            "token_of_another",
        )


def _halves(token: str) -> tuple[bytes, bytes]:
    try:
        said, signature = token.split(".")
        return _bytes(said), _bytes(signature)
    except ValueError as error:
        raise NotLetIn(
            f"the feedback token is {token[:40]!r}; expected two parts in base64", "token_forged"
        ) from error


def _words(said: bytes) -> dict[str, Any]:
    """Not believed yet: its shape is checked all the same."""
    try:
        words = from_json(said)
        if isinstance(words, dict) and all(
            isinstance(words.get(name), kind) for name, kind in _KINDS.items()
        ):
            return words
    except ValueError:
        pass
    raise NotLetIn("the feedback token does not say whom it is for", "token_forged")


def _signature(key: bytes, said: bytes) -> bytes:
    return blake2b(said, key=key[:64], digest_size=16, person=b"feedback-token").digest()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(raw) != text:  # the decoder lets much pass
        raise ValueError("not base64")
    return raw
