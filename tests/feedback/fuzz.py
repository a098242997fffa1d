"""Records that nobody can read, made of sound ones: fields changed, bytes cut and flipped."""

import json
from collections.abc import Callable
from random import Random

from feedback.events import BadEvent, Event, decode

RECORDS = 10_000
VALUES: list[object] = [
    *(None, True, -1, 2**63, 2**31, 1e400, float("nan"), 0.5, "", "x" * 5000, "\ud83d", "\x00"),
    *([], [None], [[]], {}, {"a": {"b": []}}, "9999-12-31T23:59:59-12:00", "now", 10**400),
]


def changed(raw: bytes, random: Random) -> bytes:
    """A field that is wrong, missing or too much."""
    said = json.loads(raw)
    name = random.choice([*said, "extra"])
    if random.random() < 0.2:
        said.pop(name, None)
    else:
        said[name] = random.choice(VALUES)
    return json.dumps(said).encode()


def cut(raw: bytes, random: Random) -> bytes:
    return raw[: random.randrange(len(raw))]


def flipped(raw: bytes, random: Random) -> bytes:
    found = bytearray(raw)
    for _ in range(random.randint(1, 5)):
        found[random.randrange(len(found))] = random.randrange(256)
    return bytes(found)


def noise(_: bytes, random: Random) -> bytes:
    return random.randbytes(random.randint(0, 300))


def nested(_: bytes, random: Random) -> bytes:
    return b'{"kind":' + b"[" * random.randint(1, 5000)


WAYS: list[Callable[[bytes, Random], bytes]] = [changed, changed, cut, flipped, noise, nested]


def bad_records(sound: list[bytes], kinds: tuple[type[Event], ...], seed: str) -> list[bytes]:
    """As many as are wanted that whoever reads these kinds cannot read."""
    random, found = Random(seed), list[bytes]()
    while len(found) < RECORDS:
        raw = random.choice(WAYS)(random.choice(sound), random)
        try:
            decode(raw, kinds)
        except BadEvent:
            found.append(raw)
    return found
