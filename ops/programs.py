"""The programs of the loop on one machine: their order, command lines and environments.

Knows nothing of how they are kept running.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ops.running.ports import Port
from ops.running.probes import answers, engine_answers
from ops.running.program import Program, Ready, at_once

_LOCAL = "127.0.0.1"
_ENGINE_SECONDS = 900  # a big model on a GPU is read and compiled for minutes
_CPU_ENGINE = ("--dtype", "float32", "--enforce-eager", "--max-model-len", "512")
# The cache in GB; and no compiling: first answers would wait for a C++ compiler, or fail.
_CPU_ENGINE_ENV = {"VLLM_CPU_KVCACHE_SPACE": "1", "TORCHDYNAMO_DISABLE": "1"}
# Secrets that one of them needs alone.
_JUDGE_KEY, _OPS_KEY = "THUMBWHEEL_TRAINER_JUDGE_KEY", "THUMBWHEEL_OPS_KEY"
# For rounds that let it draw answers: tokens in and out, after users, and how busy it is.
_DRAWS = ("--enable-scale-out", "--scheduling-policy", "priority", "--enable-server-load-tracking")
_GPU_ENGINE = ("--dtype", "auto", "--gpu-memory-utilization", "0.6")  # the trainer takes its part


@dataclass(frozen=True)
class Ports:
    serving: int = 8000
    engine: int = 8001
    feedback_metrics: int = 9101
    trainer_metrics: int = 9102
    ops_metrics: int = 9103
    ops: int = 9104


@dataclass(frozen=True)
class Up:
    """`model` is a folder, or a name that vLLM knows; `env` is laid over what is inherited."""

    model: str
    name: str = "model"
    home: Path = Path(".thumbwheel")
    host: str = _LOCAL
    ports: Ports = Ports()
    plan: Path | None = None
    engine_args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    show_lines: bool = True


def ports_of(up: Up) -> list[Port]:
    return [
        Port(up.ports.serving, "serving", "--port or THUMBWHEEL_SERVING_PORT", up.host),
        Port(up.ports.engine, "engine", "THUMBWHEEL_ENGINE_PORT"),
        Port(up.ports.feedback_metrics, "feedback metrics", "THUMBWHEEL_FEEDBACK_METRICS_PORT"),
        Port(up.ports.trainer_metrics, "trainer metrics", "THUMBWHEEL_TRAINER_METRICS_PORT"),
        Port(up.ports.ops_metrics, "ops metrics", "THUMBWHEEL_OPS_METRICS_PORT"),
        Port(up.ports.ops, "control API", "THUMBWHEEL_OPS_PORT"),
    ]


def programs(
    up: Up, inherited: Mapping[str, str], *, secret: str, gpu: bool
) -> tuple[Program, ...]:
    """In the order in which they start."""
    env = {**inherited, **settings(up), **up.env}
    env.pop("THUMBWHEEL_SECRET", None)  # for serving alone
    judge, control = (
        {name: env.pop(name)} if name in env else {} for name in (_JUDGE_KEY, _OPS_KEY)
    )
    ports = up.ports
    return (
        Program("blank", room("trainer", "--blank"), env, None, ready_timeout_seconds=300),
        Program("feedback", room("feedback"), env, _metrics(ports.feedback_metrics)),
        _engine(up, env, gpu),
        Program("ops", room("ops"), env | control, _metrics(ports.ops_metrics)),
        Program(
            "serving",
            room("serving"),
            env | {"THUMBWHEEL_SECRET": secret},
            answers(f"{base_url(up)}/readyz"),
            ready_timeout_seconds=300,  # when the engine is started again, it waits for it
        ),
        Program(
            "trainer",
            room("trainer"),
            env | judge,
            _metrics(ports.trainer_metrics),
            nice=10,  # users do not wait for a round
            ready_timeout_seconds=300,
        ),
        Program("score", room("trainer.score"), env, at_once, nice=19),
    )


def settings(up: Up) -> dict[str, str]:
    """The rooms' settings that follow from the options; the others are inherited."""
    home = up.home
    told = {
        "THUMBWHEEL_HOME": home,
        "THUMBWHEEL_LOG": f"sqlite:///{home / 'log.db'}",
        "THUMBWHEEL_EXAMPLES": home / "examples",
        "THUMBWHEEL_ADAPTERS": home / "adapters",
        "THUMBWHEEL_ENGINE_CACHE": home / "cache",
        "THUMBWHEEL_MODEL": up.model,
        "THUMBWHEEL_NAME": up.name,
        "THUMBWHEEL_ENGINE_URL": engine_url(up),
        "THUMBWHEEL_SERVING_HOST": up.host,
        "THUMBWHEEL_SERVING_PORT": up.ports.serving,
        "THUMBWHEEL_SERVING_SPOOL": home / "spool",
        "THUMBWHEEL_FEEDBACK_WINDOW": home / "window",
        "THUMBWHEEL_FEEDBACK_METRICS_PORT": up.ports.feedback_metrics,
        "THUMBWHEEL_TRAINER_STATE": home / "trainer",
        "THUMBWHEEL_TRAINER_METRICS_PORT": up.ports.trainer_metrics,
        "THUMBWHEEL_OPS_METRICS_PORT": up.ports.ops_metrics,
        "THUMBWHEEL_OPS_PORT": up.ports.ops,
        "PYTHONUNBUFFERED": "1",  # a log that is read while it is written
    }
    if up.plan:
        told["THUMBWHEEL_TRAINER_PLAN"] = up.plan
    return {name: str(value) for name, value in told.items()}


def base_url(up: Up) -> str:
    return f"http://{_LOCAL if up.host == '0.0.0.0' else up.host}:{up.ports.serving}"


def engine_url(up: Up) -> str:
    return f"http://{_LOCAL}:{up.ports.engine}"


def _engine(up: Up, env: Mapping[str, str], gpu: bool) -> Program:
    argv = (
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", up.model, "--served-model-name", up.name),
        *("--host", _LOCAL, "--port", str(up.ports.engine)),
        *("--enable-lora", "--max-lora-rank", "16", "--max-loras", "4"),
        *("--middleware", "serving.vllm_plugin.Tidy"),
        *_DRAWS,
        *(_GPU_ENGINE if gpu else _CPU_ENGINE),
        *up.engine_args,  # the last of two equal options holds
    )
    # The resolver of the plug-in is asked only where adapters may be loaded at run time.
    more = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
    if not gpu:
        env = _CPU_ENGINE_ENV | dict(env)  # unless the user knows better
    if Path(up.model).is_dir():
        more["HF_HUB_OFFLINE"] = "1"
    warmed = engine_answers(engine_url(up), (up.name, f"{up.name}-v0"))
    return Program("engine", argv, {**env, **more}, warmed, ready_timeout_seconds=_ENGINE_SECONDS)


def room(name: str, *args: str) -> tuple[str, ...]:
    """-P: ours, whatever lies in the folder where it is started."""
    return (sys.executable, "-P", "-m", name, *args)


def _metrics(port: int) -> Ready:
    return answers(f"http://{_LOCAL}:{port}/metrics")
