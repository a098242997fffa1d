"""The newest adapter of a series in the store. Reads manifests only when their list has changed."""

from pathlib import Path

from trainer.adapters import MANIFEST, Manifest, published


class Newest:
    def __init__(self, store: Path, series: str) -> None:
        self._store, self._series = store, series
        self._seen: set[Path] = set()
        self._newest: Manifest | None = None

    def manifest(self) -> Manifest | None:
        seen = set(self._store.glob(f"{self._series}-v*/{MANIFEST}"))
        if seen != self._seen:
            of_series = [made for made in published(self._store) if self._is_ours(made)]
            self._newest = of_series[-1] if of_series else None
            self._seen = seen
        return self._newest

    def _is_ours(self, made: Manifest) -> bool:
        return made.name == f"{self._series}-v{made.version}"
