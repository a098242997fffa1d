"""What can be set from outside: the room's only look at the environment.

Built in `__main__`; values are passed down, never the settings.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`THUMBWHEEL_SERVING_PORT` sets `serving_port`, and so on."""

    model_config = SettingsConfigDict(env_prefix="THUMBWHEEL_", frozen=True)

    log: str = "sqlite:///.thumbwheel/log.db"
    name: Annotated[str, Field(min_length=1)] = "model"  # what users ask for, and vLLM serves
    engine_url: str = "http://127.0.0.1:8001"
    adapters: Path | None = None  # to write down which one an adapter continues
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
    serving_answer_seconds: Annotated[float, Field(gt=0)] = 300.0  # of silence from the engine
    serving_engine_connections: Annotated[int, Field(gt=0)] = 256
    # What is taken out of all texts before they are kept: `common`, or `package.module:function`.
    serving_redact: str | None = None


class PluginSettings(BaseSettings):
    """What the vLLM plug-in may know: it runs in vLLM's processes, which have no secret."""

    model_config = SettingsConfigDict(env_prefix="THUMBWHEEL_", frozen=True)

    adapters: Path | None = None
