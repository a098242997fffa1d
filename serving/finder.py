"""From an adapter's name to its files on this machine, or the reason why not. Knows no vLLM."""

import logging
from pathlib import Path

from pydantic import BaseModel, ValidationError

from feedback.events import first_complaint
from serving.cache import Cache
from serving.settings import PluginSettings
from serving.store import Store, StoreAway
from trainer.adapters import DRAFTS, AdapterError, CorruptAdapter, Manifest, is_draft, verify

CONFIG = "adapter_config.json"  # as PEFT names it
_log = logging.getLogger("vllm.thumbwheel")  # under vllm's own, so that its log shows it


class WithdrawnAdapter(AdapterError):
    """It was taken out of use."""


class OversizedAdapter(AdapterError):
    """It is larger than this engine takes."""


class _Config(BaseModel):
    """What is read of PEFT's file; what else vLLM needs of it, vLLM will say."""

    r: int = 0
    rank_pattern: dict[str, int] = {}


class Finder:
    """What it raises is an AdapterError, or an OSError where the next question may be luckier."""

    def __init__(self, store: Store, cache: Cache, max_bytes: int) -> None:
        self._store, self._drafts = store, store.within(DRAFTS)
        self._cache, self._max_bytes = cache, max_bytes

    def find(self, name: str, max_rank: int | None) -> Path:
        """A folder whose files are those of the adapter's manifest.

        Nothing large is read before all that can be known without it is known.
        """
        store = self._drafts if is_draft(name) else self._store
        try:
            manifest = self._admitted(store, name, max_rank)
        except StoreAway as away:
            known = self._cache.known(name)
            if not known or store.folder:
                raise
            _log.warning("%s is taken from the cache as it is: %s", name, away)
            manifest = known
        if store.folder:
            verify(store.folder, name)
            return store.folder / name
        return self._cache.hold(manifest, store.fetch)

    def release(self, name: str) -> None:
        """The engine will not read its files any more."""
        self._cache.release(name)

    def _admitted(self, store: Store, name: str, max_rank: int | None) -> Manifest:
        manifest = store.manifest(name)
        if why := store.withdrawn(name):
            raise WithdrawnAdapter(f"it was withdrawn: {why}")
        size = store.size(manifest)
        if size > self._max_bytes:
            raise OversizedAdapter(f"it has {size} bytes; expected {self._max_bytes} at most")
        rank = rank_of(store.read(manifest, CONFIG), f"{name}/{CONFIG}")
        if max_rank and rank > max_rank:
            raise OversizedAdapter(f"its rank is {rank}; this engine takes {max_rank} at most")
        return manifest


def finder_of(settings: PluginSettings) -> Finder | None:
    """None without a store."""
    if settings.adapters is None:
        return None
    cache = Cache(settings.engine_cache.expanduser(), settings.engine_cache_adapters)
    return Finder(Store(settings.adapters), cache, settings.engine_adapter_max_bytes)


def rank_of(raw: bytes, where: str) -> int:
    """The highest of all its layers."""
    try:
        config = _Config.model_validate_json(raw)
    except ValidationError as error:
        raise CorruptAdapter(f"{where}: {first_complaint(error)}") from error
    return max(config.r, *config.rank_pattern.values(), 0)
