"""What the log may know of a person: a pseudonym. Door. Pure."""

from hashlib import blake2b


def pseudonym(secret: bytes, user: str) -> str:
    """The same user gets the same pseudonym; without the secret nobody can tell whose it is."""
    return blake2b(user.encode(), key=secret[:64], digest_size=12).hexdigest()
