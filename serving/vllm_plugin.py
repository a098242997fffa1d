"""The adapters folder, for vLLM: an adapter is found by its name on first use.

The only file that imports vLLM.
"""

import logging
from asyncio import to_thread
from pathlib import Path

from vllm.exceptions import VLLMUnprocessableEntityError
from vllm.lora.request import LoRARequest
from vllm.lora.resolver import LoRAResolver, LoRAResolverRegistry

from serving.settings import PluginSettings
from trainer.adapters import AdapterError, UnknownAdapter, verify

_NAME = "thumbwheel"
_log = logging.getLogger("vllm.thumbwheel")  # under vllm's own, so that its log shows it


class StoreResolver(LoRAResolver):
    """Answers with a published adapter whose files are those of its manifest, or not at all."""

    def __init__(self, store: Path) -> None:
        self._store = store.resolve()

    async def resolve_lora(self, base_model_name: str, lora_name: str) -> LoRARequest | None:
        try:
            await to_thread(verify, self._store, lora_name)
        except UnknownAdapter:
            return None  # vLLM makes it a 404
        except (AdapterError, OSError) as error:
            _log.error("adapter %s is refused: %s", lora_name, error)
            # vLLM hands its own errors on with their status; anything else would be a 500.
            raise VLLMUnprocessableEntityError(
                f"adapter {lora_name} is refused: {error}", parameter="model"
            ) from error
        # The id is a stand-in: vLLM numbers what it loads.
        return LoRARequest(lora_name, 1, str(self._store / lora_name))


def register() -> None:
    """Called in each of vLLM's processes, perhaps twice."""
    adapters = PluginSettings().adapters
    if adapters and _NAME not in LoRAResolverRegistry.get_supported_resolvers():
        LoRAResolverRegistry.register_resolver(_NAME, StoreResolver(adapters))
