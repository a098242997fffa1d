"""The ops room's settings; the only file of the room that reads the environment."""

import getpass
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from feedback.begin import Addresses, Folder
from feedback.events import GUARD
from ops.decide import Rules

Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(gt=0, lt=100)]
Rate = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseSettings):
    """`home` is where `thumbwheel up` keeps everything; each part may lie elsewhere."""

    model_config = SettingsConfigDict(env_prefix="THUMBWHEEL_", frozen=True)

    home: Path = Path(".thumbwheel")
    log: str | None = None
    examples: Path | None = None
    adapters: Folder | None = None
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "model"
    secret: SecretStr | None = None  # the gateway's; only `thumbwheel forget` asks for it
    # All of them: each must have answered with an adapter before users get it.
    engine_url: Annotated[Addresses, NoDecode, Field(min_length=1)] = ("http://127.0.0.1:8001",)
    engine_key: SecretStr | None = None  # where it takes one to ask an engine for an adapter
    ops_metrics_port: Port = 9103
    ops_tick_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    # The canary's shares of traffic, one step after the other; then it is promoted or withdrawn.
    ops_steps_percent: Annotated[tuple[Share, ...], NoDecode] = (1.0, 5.0, 25.0, 50.0)
    ops_step_min_seconds: Annotated[float, Field(ge=0)] = 600.0
    ops_step_min_completions: Annotated[int, Field(ge=1)] = 50
    ops_step_min_verdicts: Annotated[int, Field(ge=1)] = 5
    # How often a canary that is no different may be found better, or worse, by chance.
    ops_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    ops_min_gain: Rate = 0.01  # a canary that cannot be this much better is not worth its trial
    ops_deadline_seconds: Annotated[float, Field(gt=0)] = 7 * 86400.0
    ops_max_error_rate: Rate = 0.05

    @field_validator("ops_steps_percent", mode="before")
    @classmethod
    def _split_by_commas(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("ops_steps_percent")
    @classmethod
    def _growing(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if not steps or list(steps) != sorted(set(steps)):
            raise ValueError(
                f"ops_steps_percent is {steps}; expected shares that grow, such as 1,5,25"
            )
        return steps

    @property
    def log_url(self) -> str:
        return self.log or f"sqlite:///{self.home / 'log.db'}"

    @property
    def examples_folder(self) -> Path:
        return self.examples or self.home / "examples"

    @property
    def adapters_folder(self) -> Path:
        return self.adapters or self.home / "adapters"

    @property
    def rules(self) -> Rules:
        return Rules(
            steps_percent=self.ops_steps_percent,
            min_seconds=self.ops_step_min_seconds,
            min_completions=self.ops_step_min_completions,
            min_verdicts=self.ops_step_min_verdicts,
            alpha=self.ops_alpha,
            min_gain=self.ops_min_gain,
            deadline_seconds=self.ops_deadline_seconds,
            max_error_rate=self.ops_max_error_rate,
        )


class UpSettings(Settings):
    """What `thumbwheel up` needs to know beside."""

    model: str | None = None
    serving_host: str = "127.0.0.1"
    serving_port: Port = 8000
    engine_port: Port = 8001
    feedback_metrics_port: Port = 9101
    trainer_metrics_port: Port = 9102
    trainer_plan: Path | None = None

    @property
    def elsewhere(self) -> dict[str, str]:
        """What does not lie in the home, as the processes are told it."""
        set_apart = {"LOG": self.log, "EXAMPLES": self.examples, "ADAPTERS": self.adapters}
        return {f"THUMBWHEEL_{name}": str(at) for name, at in set_apart.items() if at is not None}


def inherited_env() -> dict[str, str]:
    """What the processes of `thumbwheel up` inherit."""
    return dict(os.environ)


def operator() -> str:
    """Who types the command, for the record."""
    name = getpass.getuser()
    return f"{name} (a person)" if name == GUARD else name  # or their word would be the guard's
