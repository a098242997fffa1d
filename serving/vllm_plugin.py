"""The adapters store, for vLLM: an adapter is found by its name on first use.

The only file that imports vLLM. Its engine process loads it too: nothing of the web comes along.
"""

import logging
from asyncio import Future, get_running_loop, shield, wait_for
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from vllm.config import VllmConfig
from vllm.exceptions import (
    GracefulHTTPError,
    RetryableRequestError,
    VLLMError,
    VLLMUnprocessableEntityError,
)
from vllm.lora.request import LoRARequest
from vllm.lora.resolver import LoRAResolver, LoRAResolverRegistry
from vllm.v1.metrics.loggers import StatLoggerBase

from serving.finder import Finder, WithdrawnAdapter, finder_of
from serving.idle import Idle
from serving.leaving import Leaving
from serving.settings import PluginSettings
from trainer.adapters import AdapterError, UnknownAdapter

if TYPE_CHECKING:
    from vllm.entrypoints.openai.models.serving import OpenAIServingModels
    from vllm.v1.metrics.stats import SchedulerStats

FIND_SECONDS = 100.0  # less than the 120 that the controller waits for a new adapter's first answer
_NAME = "thumbwheel"
_THREADS = 4  # of our own: a store that hangs must not keep vLLM's busy
_log = logging.getLogger("vllm.thumbwheel")  # under vllm's own, so that its log shows it


class StoreResolver(LoRAResolver):
    """Answers with a published adapter whose files are those of its manifest, or not at all."""

    max_rank: int | None = None  # until EngineLimits is told
    models: "OpenAIServingModels | None" = None  # where Tidy is among vLLM's middleware

    def __init__(self, finder: Finder, idle: Idle, seconds: float = FIND_SECONDS) -> None:
        self._finder, self.idle, self._seconds = finder, idle, seconds
        self._threads = ThreadPoolExecutor(_THREADS, _NAME)
        self._under_way: dict[str, Future[Path]] = {}

    async def resolve_lora(self, base_model_name: str, lora_name: str) -> LoRARequest | None:
        self.idle.used([lora_name], monotonic())
        self._release()
        try:
            # Who comes while it is looked for waits for the same search, and may give up on it.
            path = await wait_for(shield(self._search(lora_name)), self._seconds)
        except UnknownAdapter:
            return None  # vLLM makes it a 404
        except (AdapterError, OSError) as error:
            _log.error("adapter %s is refused: %s", lora_name, str(error) or "the store is slow")
            raise refusal(lora_name, error) from error
        await self._unload()
        # The id is a stand-in: vLLM numbers what it loads.
        return LoRARequest(lora_name, 1, str(path))

    async def _unload(self) -> None:
        """vLLM remembers every name for ever, and reads its files again whenever it likes."""
        if self.models is None:
            return
        # Not at the top: it is of the web.
        from vllm.entrypoints.serve.lora.protocol import UnloadLoRAAdapterRequest

        for name in self.idle.surplus(self.models.lora_requests, monotonic()):
            await self.models.unload_lora_adapter(UnloadLoRAAdapterRequest(lora_name=name))
            # A request that asked for it just before may still be on its way to the engine.
            self.idle.used([name], monotonic())

    def _release(self) -> None:
        if self.models is not None:
            for name in self.idle.forgotten(self.models.lora_requests, monotonic()):
                self._finder.release(name)

    def _search(self, name: str) -> "Future[Path]":
        if name not in self._under_way:
            find = get_running_loop().run_in_executor(
                self._threads, self._finder.find, name, self.max_rank
            )
            find.add_done_callback(lambda done: self._ended(name, done))
            self._under_way[name] = find
        return self._under_way[name]

    def _ended(self, name: str, done: "Future[Path]") -> None:
        del self._under_way[name]
        # Asked for its error even where nobody waits any more, or asyncio complains.
        if not done.cancelled() and not done.exception():
            self.idle.found(name, monotonic())


def refusal(name: str, error: Exception) -> VLLMError:
    """vLLM hands its own errors on with their status; anything else would be a 500."""
    said = f"adapter {name} is refused: {error}"
    if isinstance(error, WithdrawnAdapter):
        return GracefulHTTPError(said, HTTPStatus.CONFLICT)
    if isinstance(error, AdapterError):
        return VLLMUnprocessableEntityError(said, parameter="model")
    # A 503. Where the store lies, and how it failed, is for the log alone.
    return RetryableRequestError(f"adapter {name} cannot be fetched now; try again")


class EngineLimits(StatLoggerBase):
    """Called by vLLM where it makes its engine: what tells a plug-in of its options and its use."""

    def __init__(self, vllm_config: VllmConfig, engine_index: int = 0) -> None:
        if vllm_config.lora_config and (resolver := registered()):
            resolver.max_rank = vllm_config.lora_config.max_lora_rank

    def record(self, scheduler_stats: "SchedulerStats | None", *_: Any, **__: Any) -> None:
        if scheduler_stats and (resolver := registered()):
            stats = scheduler_stats
            names = {*stats.running_lora_adapters, *stats.waiting_lora_adapters}
            resolver.idle.used(names, monotonic())

    def log_engine_initialized(self) -> None:
        """Nothing to say."""


class Tidy:
    """`--middleware serving.vllm_plugin.Tidy`: lets the resolver unload what is long unused, and
    refuses what is new once the engine is told that it is to be stopped."""

    def __init__(self, app: Any) -> None:
        told = PluginSettings().engine_leaving
        self._app = Leaving(app, told, time()) if told else app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        resolver = registered()
        if resolver and resolver.models is None and "app" in scope:
            resolver.models = getattr(scope["app"].state, "openai_serving_models", None)
        await self._app(scope, receive, send)


class Middleware:
    """`--middleware serving.vllm_plugin.Middleware`: the whole gateway inside vLLM's server."""

    def __init__(self, app: Any) -> None:
        # Not at the top: engine processes load this file too, and have no use for the web.
        from serving.middleware import Middleware as Gateway

        self._app = Gateway(Tidy(app))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def registered() -> StoreResolver | None:
    found = LoRAResolverRegistry.resolvers.get(_NAME)
    return found if isinstance(found, StoreResolver) else None


def register() -> None:
    """Called in each of vLLM's processes, perhaps twice."""
    settings = PluginSettings()
    finder = finder_of(settings)
    if finder and not registered():
        idle = Idle(settings.engine_cache_adapters, settings.engine_idle_seconds)
        LoRAResolverRegistry.register_resolver(_NAME, StoreResolver(finder, idle))
