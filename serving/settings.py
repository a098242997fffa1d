"""What can be set from outside: the room's only look at the environment.

Built in `__main__`; values are passed down, never the settings.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from feedback.begin import Addresses, Key


def _place(said: object) -> object:
    return said if "://" in str(said) else Path(str(said))


# A folder, or an address of anything that fsspec knows, such as s3://bucket/adapters.
Place = Annotated[Path | str, BeforeValidator(_place)]


class Settings(BaseSettings):
    """`THUMBWHEEL_SERVING_PORT` sets `serving_port`, and so on."""

    model_config = SettingsConfigDict(env_prefix="THUMBWHEEL_", frozen=True)

    log: str = "sqlite:///.thumbwheel/log.db"
    name: Annotated[str, Field(min_length=1)] = "model"  # what users ask for, and vLLM serves
    # One vLLM server, or several with commas between.
    engine_url: Annotated[Addresses, NoDecode, Field(min_length=1)] = ("http://127.0.0.1:8001",)
    engine_key: Key | None = None  # what vLLM was given as --api-key
    adapters: Place | None = None  # to write down which one an adapter continues
    # The key of the users' pseudonyms. With another one every user is a stranger, and may move
    # to the other side of the split.
    secret: Annotated[SecretStr, Field(min_length=8)]

    serving_host: str = "127.0.0.1"
    serving_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    serving_spool: Path = Path(".thumbwheel/spool")
    # Beyond it completions are no longer remembered; verdicts are, while the disk takes them.
    serving_spool_max_bytes: Annotated[int, Field(gt=0)] = 1_000_000_000
    serving_first_stable: str | None = None  # served while the log holds no split
    serving_max_body_bytes: Annotated[int, Field(gt=0)] = 8_000_000
    # Until all of a request is there, at most: eight million bytes at 1 Mbit/s.
    serving_request_seconds: Annotated[float, Field(gt=0)] = 60.0
    serving_max_prompt_chars: Annotated[int, Field(gt=0)] | None = None
    serving_silence_seconds: Annotated[float, Field(gt=0)] = 300.0  # of the engine, at most
    serving_answer_seconds: Annotated[float, Field(gt=0)] = 1800.0  # for a whole answer, at most
    serving_drain_seconds: Annotated[int, Field(ge=0)] = 30  # for answers to end, on SIGTERM
    serving_engine_connections: Annotated[int, Field(gt=0)] = 256  # to each engine
    serving_max_in_flight: Annotated[int, Field(gt=0)] = 1024
    serving_keys: Path | None = None  # a file of API keys; without one everybody may ask
    # The keys that sign feedback tokens, ID:KEY,ID:KEY: the first signs, all are believed.
    serving_token_keys: SecretStr | None = None
    serving_token_days: Annotated[float, Field(gt=0, le=3650)] = 14.0
    # Of the pages that may send verdicts, such as https://app.example.com, with commas between.
    serving_origins: Annotated[Addresses, NoDecode] = ()
    # Where spans go, by OTLP over HTTP, such as http://collector:4318/v1/traces.
    serving_traces: Annotated[str, Field(pattern="^https?://.")] | None = None
    # What is taken out of all texts before they are kept: `common`, or `package.module:function`.
    serving_redact: str | None = None


class PluginSettings(BaseSettings):
    """What the vLLM plug-in may know: it runs in vLLM's processes, which have no secret."""

    model_config = SettingsConfigDict(env_prefix="THUMBWHEEL_", frozen=True)

    adapters: Place | None = None
    # Adapters from an address are fetched to it, once for all engines on the machine.
    engine_cache: Path = Path("~/.cache/thumbwheel/adapters")
    engine_cache_adapters: Annotated[int, Field(gt=0)] = 16
    # Beyond those, what no request used for so long may be forgotten; its files go as long after.
    engine_idle_seconds: Annotated[float, Field(gt=0)] = 600.0
    engine_adapter_max_bytes: Annotated[int, Field(gt=0)] = 2_000_000_000
    # Once it is there, the engine takes nothing new.
    engine_leaving: Path | None = None
