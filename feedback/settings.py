"""The feedback room's settings; the only file of the room that reads the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="THUMBWHEEL_", frozen=True)

    log: str = "sqlite:///.thumbwheel/log.db"
    examples: Path = Path(".thumbwheel/examples")
    feedback_window: Path = Path(".thumbwheel/window")
    # How many share the partitions; all of them see one folder for the window.
    feedback_workers: Annotated[int, Field(ge=1)] = 1
    feedback_metrics_port: Annotated[int, Field(ge=1, le=65535)] = 9101
    # A file of examples is written at most this often: fewer and larger files for later readers.
    feedback_linger_seconds: Annotated[float, Field(gt=0, le=60)] = 0.5
