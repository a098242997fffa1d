"""The trainer's settings. The only file of the room that reads the environment."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from feedback.begin import Addresses, Folder, Key
from trainer.spare import Pace

Tracker = Literal["tensorboard", "mlflow", "wandb"]


def _apart(said: object) -> object:
    if not isinstance(said, str):
        return said
    return tuple(one.strip() for one in said.split(",") if one.strip())


def _endpoint(url: str) -> str:
    if "@" in url:  # which is for no log
        raise ValueError("an address has a user or a password in it; expected trainer_judge_key")
    if "?" in url:  # which may hold a key
        raise ValueError(
            "an address has a query; expected one without, such as http://HOST:PORT/v1"
        )
    if not re.fullmatch(r"https?://(\[[0-9a-fA-F:]+\]|[^\s/?#:]+)(:\d+)?(/[^\s?#]*)?", url):
        raise ValueError(f"{url!r} is no address; expected one such as http://HOST:PORT/v1")
    try:
        urlsplit(url).port  # noqa: B018 (it raises)
    except ValueError as error:
        raise ValueError(f"{url!r} is no address: {error}") from error
    return url.rstrip("/")


class JudgeAt(NamedTuple):
    """An LLM behind an OpenAI-compatible endpoint."""

    url: str
    model: str
    key: SecretStr | None = None


class Engines(NamedTuple):
    """That draw answers, and how much of them a round may take."""

    urls: tuple[str, ...]
    key: SecretStr | None
    pace: Pace


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
    engine_key: Key | None = None  # what vLLM was given as --api-key
    trainer_draws_at_once: Annotated[int, Field(ge=1)] = 8  # in one engine
    trainer_draws_per_second: Annotated[float, Field(gt=0)] | None = None  # in all of them
    # As many requests of users leave an engine room for ours; with more of them it is left alone.
    trainer_draws_beside_users: Annotated[int, Field(ge=0)] = 0
    trainer_draws_quiet_seconds: Annotated[float, Field(ge=0)] = 1.0  # after those
    # Of users, who may come while ours are under way and wait until they are broken off.
    trainer_draws_met_share: Annotated[float, Field(ge=0, le=1)] = 0.003
    trainer_draws_patience_seconds: Annotated[float, Field(gt=0)] = 1800.0  # without a token
    # Live answers, beside rounds, for how far they have drifted; 0: none.
    trainer_score_per_minute: Annotated[int, Field(ge=0)] = 30
    trainer_score_share: Annotated[float, Field(gt=0, le=1)] = 0.1  # of one core, or of the GPU
    # Where the curves of rounds go. No part of the plan: it changes nothing of what comes out.
    trainer_report_to: Annotated[tuple[Tracker, ...], NoDecode, BeforeValidator(_apart)] = ()
    # An LLM that judges, where a plan asks for judged_pairs.
    trainer_judge_url: Annotated[str, AfterValidator(_endpoint)] | None = None
    trainer_judge_key: Key | None = None
    trainer_judge_model: Annotated[str, Field(min_length=1)] | None = None

    @property
    def engines(self) -> Engines | None:
        if self.trainer_draws_by == "itself":
            return None
        pace = Pace(
            at_once=self.trainer_draws_at_once,
            per_second=self.trainer_draws_per_second,
            users=self.trainer_draws_beside_users,
            quiet_seconds=self.trainer_draws_quiet_seconds,
            met_share=self.trainer_draws_met_share,
            patience_seconds=self.trainer_draws_patience_seconds,
        )
        return Engines(self.engine_url, self.engine_key, pace)

    @property
    def judge(self) -> JudgeAt | None:
        url, model = self.trainer_judge_url, self.trainer_judge_model
        return JudgeAt(url, model, self.trainer_judge_key) if url and model else None

    @model_validator(mode="after")
    def _a_judge_is_whole(self) -> Self:
        url, model = self.trainer_judge_url, self.trainer_judge_model
        if (url is None) != (model is None):
            told = f"trainer_judge_url is {url!r}, trainer_judge_model is {model!r}"
            raise ValueError(f"{told}; expected both or none")
        return self


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
