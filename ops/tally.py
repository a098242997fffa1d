"""Values that users gave, summed so that who gave many is not taken for many users. Pure.

Knows nothing of what the values are, nor of which adapter they speak of.
"""

from collections.abc import Iterable
from typing import NamedTuple

# One user's: how many, their sum, and the sum of their squares.
Sums = tuple[int, float, float]


class Tally(NamedTuple):
    """All that a mean and its variance need, and kept up to date user by user."""

    users: int = 0
    n: int = 0
    total: float = 0.0
    nn: float = 0.0  # of each user: how many, squared
    nt: float = 0.0  # how many, times their sum
    tt: float = 0.0  # their sum, squared
    squares: float = 0.0  # of single values

    @classmethod
    def of(cls, per_user: Iterable[Sums]) -> "Tally":
        return sum((_one(*user) for user in per_user), cls())

    @classmethod
    def alone(cls, n: int, total: float, squares: float) -> "Tally":
        """Each value by a user who gave no other, or as if."""
        return cls(n, n, total, n, total, squares, squares)

    @classmethod
    def rate(cls, hits: int, n: int) -> "Tally":
        """Ones and zeros, each as if by a user of its own."""
        return cls.alone(n, hits, hits)

    def replaced(self, before: Sums, after: Sums) -> "Tally":
        """With `after` in place of what one user had given before."""
        n, total, squares = before
        m, sums, squared = after
        return Tally(
            self.users + (m > 0) - (n > 0),
            self.n + m - n,
            self.total + sums - total,
            self.nn + m * m - n * n,
            self.nt + m * sums - n * total,
            self.tt + sums * sums - total * total,
            self.squares + squared - squares,
        )

    # Not a longer tuple, as of other tuples: that is what the override breaks with.
    def __add__(self, other: tuple[float, ...]) -> "Tally":  # type: ignore[override]
        return Tally._make(mine + more for mine, more in zip(self, other, strict=True))

    @property
    def bounded(self) -> bool:
        """Whether the values are taken to lie between 0 and 1, as rates and wins do."""
        # Where values came and went, rounding is left of them.
        return self.squares <= self.total + 1e-9 * self.n


def _one(n: int, total: float, squares: float) -> Tally:
    return Tally(int(n > 0), n, total, n * n, n * total, total * total, squares)


class Padding(NamedTuple):
    """What is added to few values, one on each side of `centre`: so that three alike do not look
    like certainty.
    """

    centre: float
    reach: float


RATE = Padding(0.5, 0.5)  # one thumb of each kind


def mean(tally: Tally, padding: Padding) -> float:
    return (tally.total + 2 * padding.centre) / (tally.n + 2)


def spread(tally: Tally, padding: Padding) -> float:
    """The variance of a single value."""
    centre, reach = padding
    squares = (tally.squares + 2 * (centre**2 + reach**2)) / (tally.n + 2)
    return max(squares - mean(tally, padding) ** 2, 0.0)


def apart(tally: Tally, padding: Padding) -> float:
    """The variance of the mean, were all values by different users."""
    return spread(tally, padding) / tally.n


def excess(tally: Tally, padding: Padding) -> float:
    """What comes on top of that, as users who give many values are of one mind with themselves.

    The padding is here two users, each with as many values as a value's giver usually has: few
    users must not look certain, however many thumbs they give. From two users on that adds more
    than the usual factor, users / (users - 1).
    """
    m, each = mean(tally, padding), tally.nn / tally.n
    between = tally.tt - 2 * m * tally.nt + m * m * tally.nn
    padded = between + 2 * each**2 * ((padding.centre - m) ** 2 + padding.reach**2)
    return max(padded / tally.n**2 - apart(tally, padding), 0.0)
