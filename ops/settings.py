"""The ops room's settings; the only file of the room that reads the environment."""

import getpass
import os
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from feedback.begin import Addresses, Folder, Key
from feedback.events import GUARD
from ops.account import Account
from ops.decide import Goal, Rules
from ops.guardrails import Limits
from ops.queries import Query
from ops.refusal import compiled
from ops.weigh import Evidence

Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(gt=0, lt=100)]
Rate = Annotated[float, Field(ge=0, le=1)]


def _apart(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _evidence(value: object) -> object:
    if not isinstance(value, str):
        return value
    of = value.removeprefix("-")
    name = of.removeprefix("outcome:")
    if of not in ("thumbs", "comparisons") and (name == of or not name):
        raise ValueError("expected thumbs, comparisons, outcome:NAME or -outcome:NAME")
    if value != of and name == of:
        raise ValueError("expected a minus before outcome:NAME only")
    return Evidence(of, less_is_better=value != of)


def _pattern(value: str) -> str:
    try:
        compiled(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from error
    return value


def _none_by_name(value: object) -> object:
    return None if value == "none" else value


Kind = Annotated[Evidence, BeforeValidator(_evidence)]
# `none`: there is no such limit.
Budget = Annotated[Annotated[float, Field(gt=0)] | None, BeforeValidator(_none_by_name)]


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
    engine_key: Key | None = None  # where it takes one to ask an engine for an adapter
    ops_metrics_host: str = "127.0.0.1"
    ops_metrics_port: Port = 9103
    ops_tick_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    # The canary's shares of traffic, one step after the other; then it is promoted or withdrawn.
    ops_steps_percent: Annotated[tuple[Share, ...], NoDecode] = (1.0, 5.0, 25.0, 50.0)
    ops_step_min_seconds: Annotated[float, Field(ge=0)] = 600.0
    ops_step_min_completions: Annotated[int, Field(ge=1)] = 50
    ops_step_min_verdicts: Annotated[int, Field(ge=1)] = 5
    # How often a canary that is no different may be found better, or worse, by chance.
    ops_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    ops_min_gain: Annotated[float, Field(ge=0)] = (
        0.01  # a canary that cannot be this much better is not worth its trial
    )
    ops_deadline_seconds: Annotated[float, Field(gt=0)] = 7 * 86400.0
    # What decides: thumbs, comparisons, outcome:NAME, or -outcome:NAME where less is better.
    ops_evidence: Annotated[tuple[Kind, ...], NoDecode, BeforeValidator(_apart)] = (
        Evidence("thumbs"),
        Evidence("comparisons"),
    )
    ops_goal: Goal = "better"
    ops_margin: Annotated[float, Field(ge=0)] = 0.02  # with no_worse: so much worse is none
    # A canary that is beyond one of these, beside stable, is withdrawn.
    ops_max_error_rate: Rate = 0.05
    ops_max_refusal_rate: Rate = 0.05
    ops_max_latency_ratio: Annotated[float, Field(gt=1)] = 1.5
    ops_max_length_ratio: Annotated[float, Field(gt=1)] = 2.0
    ops_max_not_loaded: Annotated[int, Field(ge=1)] = 3
    ops_max_kl_stable: Budget = 5.0
    ops_max_kl_base: Budget = 20.0
    ops_score_max_seconds: Annotated[float, Field(gt=0)] = 900.0
    ops_refusals: Annotated[str, AfterValidator(_pattern)] | None = None
    ops_prometheus_url: HttpUrl | None = None
    ops_queries: tuple[Query, ...] = ()
    # The control API.
    ops_host: str = "127.0.0.1"
    ops_port: Port = 9104
    ops_key: Key | None = None  # without one nobody may change anything through it
    # An alert undoes no promotion that is older.
    ops_alert_reach_seconds: Annotated[float, Field(gt=0)] = 86400.0
    # Of several controllers one leads; where it dies, another one does after so long.
    ops_lease_seconds: Annotated[float, Field(ge=1, le=3600)] = 15.0

    # Where engines fetch adapters, if not from the folder: all of them are copied there.
    ops_copies: str | None = None
    # On Kubernetes: the ConfigMap that says what serves, and the release of that name which has it.
    ops_release: str | None = None
    # GitOps: the file of values that says what serves, for who commits it; helm is never run.
    ops_release_file: Path | None = None
    ops_release_keeps: Annotated[int, Field(ge=2)] = 50  # revisions of the release
    ops_kubernetes_url: HttpUrl = HttpUrl("https://kubernetes.default.svc")
    ops_kubernetes_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")

    @field_validator("ops_steps_percent", mode="before")
    @classmethod
    def _split_by_commas(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.ops_lease_seconds < 3 * self.ops_tick_seconds:
            raise ValueError(
                f"ops_lease_seconds is {self.ops_lease_seconds:g}; expected three times "
                f"ops_tick_seconds, which is {self.ops_tick_seconds:g}, or more"
            )
        return self

    @field_validator("ops_evidence")
    @classmethod
    def _some_evidence(cls, evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        if not evidence or len({one.of for one in evidence}) < len(evidence):
            told = ",".join(map(str, evidence))
            raise ValueError(f"{told!r}; expected one kind or several, each once")
        return evidence

    @model_validator(mode="after")
    def _queries_need_somebody_to_ask(self) -> Self:
        if self.ops_queries and not self.ops_prometheus_url:
            raise ValueError("ops_queries are set; expected ops_prometheus_url, too")
        return self

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
    def account(self) -> Account:
        return Account(str(self.ops_kubernetes_url).rstrip("/"), self.ops_kubernetes_account)

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
            evidence=self.ops_evidence,
            goal=self.ops_goal,
            margin=self.ops_margin,
            limits=self.limits,
        )

    @property
    def limits(self) -> Limits:
        return Limits(
            error_rate=self.ops_max_error_rate,
            refusal_rate=self.ops_max_refusal_rate,
            latency_ratio=self.ops_max_latency_ratio,
            length_ratio=self.ops_max_length_ratio,
            not_loaded=self.ops_max_not_loaded,
            kl_stable=self.ops_max_kl_stable,
            kl_base=self.ops_max_kl_base,
            score_seconds=self.ops_score_max_seconds,
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


def foreign_env() -> dict[str, str]:
    """What programs that are not ours inherit: none of our keys."""
    return {name: value for name, value in os.environ.items() if not name.startswith("THUMBWHEEL_")}


def operator() -> str:
    """Who types the command, for the record."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # as in a pod, whose user has no name
        name = f"user {os.getuid()}"
    return f"{name} (a person)" if name == GUARD else name  # or their word would be the guard's
