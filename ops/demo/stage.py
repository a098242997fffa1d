"""One run of the demo: where its files are, where its gateway answers, how quick its steps are."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

NAME = "demo"  # adapters are demo-v1, demo-v2 ...
PLAN = Path(str(files(__package__))) / "plan.json"
# Threads that wait for each other sleep meanwhile. Where they spin, and one other process is busy,
# a step of teaching took 2 to 4 s instead of 0.3 s on two cores.
PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
# The rules are the real ones; only the steps are quick.
QUICK = {
    "THUMBWHEEL_TRAINER_MIN_EXAMPLES": "235",
    "THUMBWHEEL_TRAINER_RETRY_SECONDS": "5",
    "THUMBWHEEL_TRAINER_SCORE_PER_MINUTE": "240",
    "THUMBWHEEL_FEEDBACK_LINGER_SECONDS": "1",
    "THUMBWHEEL_OPS_STEPS_PERCENT": "10,50",
    "THUMBWHEEL_OPS_STEP_MIN_SECONDS": "5",
    "THUMBWHEEL_OPS_STEP_MIN_COMPLETIONS": "20",
    "THUMBWHEEL_OPS_DEADLINE_SECONDS": "150",
}
_PORTS = ("ENGINE", "FEEDBACK_METRICS", "TRAINER_METRICS", "OPS_METRICS", "OPS")


@dataclass(frozen=True)
class Stage:
    """`log` is its address; `ports` are those of all but the gateway, for the environment."""

    folder: Path
    model: Path
    port: int
    ports: Mapping[str, str]
    log: str

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def env(self) -> dict[str, str]:
        """What the processes on this stage are told. An embedded log they find in the home."""
        log = {} if self.log.startswith("sqlite:") else {"THUMBWHEEL_LOG": self.log}
        return {**log, **self.ports}

    @property
    def adapters(self) -> Path:
        return self.home / "adapters"

    @property
    def diary(self) -> Path:
        """Of the users: the verdicts that were accepted."""
        return self.folder / "accepted.jsonl"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def set_up(folder: Path, model: Path, log: str | None = None) -> Stage:
    """On this log, or on an embedded one of its own."""
    folder.mkdir(parents=True)
    port, *others = free_ports(1 + len(_PORTS))
    named = zip(_PORTS, others, strict=True)
    ports = {f"THUMBWHEEL_{name}_PORT": str(number) for name, number in named}
    return Stage(folder, model, port, ports, log or f"sqlite:///{folder / 'home' / 'log.db'}")


def free_ports(count: int) -> list[int]:
    """That nobody listens on. All held until all are known, so that no two are the same."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
