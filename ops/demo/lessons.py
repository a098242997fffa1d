"""The demo's chats as token ids, and the order they are taught in. Pure. Knows no torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

IGNORED = -100  # the label that torch's loss passes over


@dataclass(frozen=True)
class Chat:
    prompt: list[int]
    answer: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)

    @property
    def ids(self) -> list[int]:
        return self.prompt + self.answer

    @property
    def labels(self) -> list[int]:
        """Only the answer is learned."""
        return [IGNORED] * len(self.prompt) + self.answer


def batches(chats: list[Chat], size: int, random: Random) -> Iterator[list[Chat]]:
    """Chats of like length together, which saves a quarter of the padding."""
    for start in range(0, len(chats), 8 * size):
        shelf = sorted(chats[start : start + 8 * size], key=len)
        groups = [shelf[i : i + size] for i in range(0, len(shelf), size)]
        random.shuffle(groups)
        yield from groups


def padded(rows: list[list[int]], value: int) -> list[list[int]]:
    """All rows as long as the longest, filled on the right."""
    longest = max(map(len, rows))
    return [row + [value] * (longest - len(row)) for row in rows]
