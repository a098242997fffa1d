"""Which adapter continues which, as the manifests say. The only file that looks into the store."""

from pathlib import Path

from trainer.adapters import AdapterError, load


class Parents:
    """Each manifest is read once: it never changes. Without a store nobody's parent is known."""

    def __init__(self, store: Path | None) -> None:
        self._store = store
        self._known: dict[str, str] = {}

    def of(self, adapter: str) -> str | None:
        if adapter not in self._known and self._store is not None:
            try:
                self._known[adapter] = load(self._store, adapter).parent
            except (AdapterError, OSError):
                return None  # base, or a store that is away for the moment
        return self._known.get(adapter)
