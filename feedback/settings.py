"""The feedback room's settings; the only file of the room that reads the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from feedback.guard import Rules


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="THUMBWHEEL_", frozen=True)

    log: str = "sqlite:///.thumbwheel/log.db"
    examples: Path = Path(".thumbwheel/examples")
    feedback_window: Path = Path(".thumbwheel/window")
    # A verdict that comes later after its completion does not count.
    feedback_window_days: Annotated[float, Field(gt=0, le=3650)] = 14.0
    feedback_window_max_bytes: Annotated[int, Field(gt=0)] = 10_000_000_000  # of each partition
    # How many share the partitions; all of them see one folder for the window.
    feedback_workers: Annotated[int, Field(ge=1)] = 1
    feedback_examples_days: Annotated[float, Field(gt=0)] | None = None  # None: kept for ever
    # JSON, such as {"a_day": 50}: what makes a verdict suspicious.
    feedback_guard: Rules = Rules()
    feedback_metrics_host: str = "127.0.0.1"
    feedback_metrics_port: Annotated[int, Field(ge=1, le=65535)] = 9101
    # How often to look; each look may write a file, and fewer, larger ones are quicker to read.
    feedback_linger_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
