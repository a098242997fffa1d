"""Which adapter continues which, as the manifests in the store say."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

from feedback.events import BASE
from serving.store import Store, StoreAway
from trainer.adapters import AdapterError

AGAIN_SECONDS = 30.0  # a store that is away is not asked about every answer


class Parents:
    """Each manifest is read once: it never changes. Without a store nobody's parent is known."""

    def __init__(self, store: Path | str | None) -> None:
        self._store = Store(store) if store else None
        self._known: dict[str, str] = {}
        self._asked: dict[str, float] = {}
        self._reader = ThreadPoolExecutor(1, "parents")

    def of(self, adapter: str) -> str | None:
        """Answers at once: a parent in a store far away is known a little later."""
        if adapter not in self._known and adapter != BASE and self._store:
            if self._store.folder:
                self._read(self._store, adapter)
            elif monotonic() - self._asked.get(adapter, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                self._asked[adapter] = monotonic()
                self._reader.submit(self._read, self._store, adapter)
        return self._known.get(adapter)

    def _read(self, store: Store, adapter: str) -> None:
        try:
            self._known[adapter] = store.manifest(adapter).parent
        except (AdapterError, StoreAway):
            return  # perhaps the next time
