"""Whose verdicts are for tests alone, and whether those are enough. Pure. Knows no torch."""

from hashlib import blake2b

from feedback.examples import Example


def is_held_out(example: Example, percent: float) -> bool:
    """By who asked, and by who judged: a correction is that one's own text."""
    return any(held_out(one, percent) for one in (example.user, example.rater))


def held_out(user: str, percent: float) -> bool:
    """The same answer for a user in every round, so that no test ever saw its own data."""
    hashed = blake2b(f"holdout:{user}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed) / 2**64 * 100 < percent


def few_held(count: int, name: str, needed: int) -> str | None:
    """Why these could not judge what is learned."""
    return None if count >= needed else f"{count} {name} held out; expected {needed} (min_holdout)"


def few_of_each(ups: int, downs: int, needed: int) -> str | None:
    """As a gap is measured, between those that were liked and those that were not."""
    if min(ups, downs) >= needed:
        return None
    return f"{ups} ups and {downs} downs held out; expected {needed} of each (min_holdout)"
