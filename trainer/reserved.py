"""Whose verdicts are for tests alone. Pure. Knows no torch."""

from hashlib import blake2b

from feedback.examples import Example


def is_held_out(example: Example, percent: float) -> bool:
    """By who asked, and by who judged: a correction is that one's own text."""
    return any(held_out(one, percent) for one in (example.user, example.rater))


def held_out(user: str, percent: float) -> bool:
    """The same answer for a user in every round, so that no test ever saw its own data."""
    hashed = blake2b(f"holdout:{user}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed) / 2**64 * 100 < percent
