"""Which adapters an engine may forget: those beyond what it is to keep, and long unused. Pure."""

from collections.abc import Iterable


class Idle:
    """Times are seconds of one clock, whichever."""

    def __init__(self, keep: int, seconds: float) -> None:
        self._keep, self._seconds = keep, seconds
        self._used: dict[str, float] = {}

    def found(self, name: str, now: float) -> None:
        self._used[name] = now

    def used(self, names: Iterable[str], now: float) -> None:
        """Of what others gave the engine nothing is known, and nothing is forgotten."""
        self._used |= dict.fromkeys(self._used.keys() & set(names), now)

    def surplus(self, loaded: Iterable[str], now: float) -> list[str]:
        """Who has to be unloaded so that there is room for one more, the longest unused first."""
        mine = sorted(self._used.keys() & set(loaded), key=lambda name: self._used[name])
        unused = [name for name in mine if self._unused(name, now)]
        return unused[: max(len(mine) + 1 - self._keep, 0)]

    def forgotten(self, loaded: Iterable[str], now: float) -> list[str]:
        """Whom the engine has not loaded, nor was asked for of late. Each is told once."""
        gone = [name for name in self._used.keys() - set(loaded) if self._unused(name, now)]
        for name in gone:
            del self._used[name]
        return gone

    def _unused(self, name: str, now: float) -> bool:
        return now - self._used[name] >= self._seconds
