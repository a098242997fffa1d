"""The trainer's settings. The only file of the room that reads the environment."""

import os
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from feedback.begin import Addresses, Folder

Tracker = Literal["tensorboard", "mlflow", "wandb"]


def _apart(said: object) -> object:
    if not isinstance(said, str):
        return said
    return tuple(one.strip() for one in said.split(",") if one.strip())


class ExportSettings(BaseSettings):
    """What telling Prometheus takes. `trainer_state` is read from THUMBWHEEL_TRAINER_STATE."""

    model_config = SettingsConfigDict(env_prefix="THUMBWHEEL_", frozen=True)

    trainer_state: Path = Path(".thumbwheel/trainer")
    trainer_metrics_host: str = "127.0.0.1"
    trainer_metrics_port: Annotated[int, Field(ge=0, le=65535)] = 9102


class Settings(ExportSettings):
    log: str = "sqlite:///.thumbwheel/log.db"
    examples: Path = Path(".thumbwheel/examples")
    adapters: Folder = Path(".thumbwheel/adapters")
    model: Annotated[str, Field(min_length=1)]  # the base model: a folder, or a name in the cache
    # Adapters are NAME-v1, NAME-v2 ...
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "model"
    trainer_plan: Path | None = None  # JSON with the plan's fields that differ from the defaults
    # New lessons that start a round at once.
    trainer_min_examples: Annotated[int, Field(ge=1)] = 200
    # After this time the plan's min_rows are enough.
    trainer_interval_seconds: Annotated[float, Field(gt=0)] = 6 * 3600.0
    trainer_poll_seconds: Annotated[float, Field(gt=0)] = 1.0
    trainer_retry_seconds: Annotated[float, Field(gt=0)] = 30.0  # after what did not work
    # Fresh answers of online methods: "engines" have more room than the round itself, and draw what
    # their users leave of it (docs/training.md).
    trainer_draws_by: Literal["itself", "engines"] = "itself"
    engine_url: Annotated[Addresses, NoDecode, Field(min_length=1)] = ("http://127.0.0.1:8001",)
    engine_key: SecretStr | None = None  # what vLLM was given as --api-key
    trainer_draws_at_once: Annotated[int, Field(ge=1)] = 8  # in one engine
    trainer_draws_per_second: Annotated[float, Field(gt=0)] | None = None  # in all of them
    # As many requests of users leave an engine room for ours; with more of them it is left alone.
    trainer_draws_beside_users: Annotated[int, Field(ge=0)] = 0
    trainer_draws_quiet_seconds: Annotated[float, Field(ge=0)] = 1.0  # after those
    trainer_draws_patience_seconds: Annotated[float, Field(gt=0)] = 1800.0  # without a token
    # Where the curves of rounds go. No part of the plan: it changes nothing of what comes out.
    trainer_report_to: Annotated[tuple[Tracker, ...], NoDecode, BeforeValidator(_apart)] = ()


class Place(NamedTuple):
    """Of one process among those of a round."""

    rank: int
    world: int
    local_rank: int  # among those on this machine
    local_world: int
    meet: str = "env://"  # where all find each other


def placed() -> Place | None:
    """Where torchrun, or whoever does as it does, started this process; None: nobody did."""
    if "RANK" not in os.environ:
        return None
    rank, world = (_number(name) for name in ("RANK", "WORLD_SIZE"))
    local = "LOCAL_RANK" in os.environ
    local_rank = _number("LOCAL_RANK") if local else 0
    return Place(rank, world, local_rank, _number("LOCAL_WORLD_SIZE") if local else 1)


def _number(name: str) -> int:
    value = os.environ.get(name, "")
    if not value.isdecimal():
        raise ValueError(f"{name} is {value!r}; expected a number, as torchrun sets it")
    return int(value)
