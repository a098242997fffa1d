"""Who says something of which answer: by a feedback token, or by an API key for verdicts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time

from feedback.events import group_of
from feedback.privacy import pseudonym
from serving.ask import USER_HEADER
from serving.door import Door
from serving.errors import BadVerdict
from serving.form import WHOSE, About
from serving.tokens import Tokens, check_group

TOKEN_HEADER = "x-thumbwheel-feedback"
PER_MINUTE = 60  # verdicts that one user may send with tokens


@dataclass(frozen=True)
class Rated:
    """`user`, a pseudonym, speaks of `completion_id`; None is whoever asked for it."""

    completion_id: str
    user: str | None


@dataclass(frozen=True)
class Raters:
    secret: bytes
    tokens: Tokens
    door: Door
    clock: Callable[[], float] = time

    def rated(self, form: About, headers: Mapping[str, str]) -> Rated:
        token = form.token or headers.get(TOKEN_HEADER)
        return self._by_token(form, token) if token else self._by_key(form, headers)

    def _by_token(self, form: About, token: str) -> Rated:
        """It says who rates what; the form may only say which of several answers."""
        grant = self.tokens.read(token, self.clock())
        if form.user is not None:
            raise BadVerdict("user is there; expected none beside a token, which says who", "user")
        if form.completion_id:
            check_group(grant, group_of(form.completion_id))
        who = "the user of this feedback token"
        self.door.rates.take(hash(("", grant.user)), PER_MINUTE, self.door.clock(), called=who)
        return Rated(form.completion_id or grant.group, grant.user)

    def _by_key(self, form: About, headers: Mapping[str, str]) -> Rated:
        self.door.caller(headers, "verdicts")
        if form.completion_id is None:
            raise BadVerdict(f"completion_id is missing; expected {WHOSE}", "completion_id")
        user = form.user or headers.get(USER_HEADER)
        return Rated(form.completion_id, pseudonym(self.secret, user) if user else None)
