"""`thumbwheel up`: the whole loop on one machine, one process per step. The story of a start."""

import fcntl
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ops.kept import Kept, keep
from ops.programs import Up, base_url, ports_of, programs
from ops.running.keeper import GaveUp
from ops.running.ports import BusyPort, refuse_busy
from ops.running.screen import Screen
from ops.running.supervisor import supervise, until_told
from ops.settings import inherited_env

_SECRET = "THUMBWHEEL_SECRET"


class CannotStart(Exception):
    """What `up` was asked for cannot be; the message says what to change."""


async def up(options: Up, on_ready: Callable[[], None] = lambda: None) -> int:
    """Runs the loop until it is told to end; the exit code. `on_ready` is called when it serves."""
    screen = Screen(show_lines=options.show_lines)
    try:
        await _run(_absolute(options), screen, on_ready)
    except (BusyPort, CannotStart, GaveUp) as error:
        screen.say(f"thumbwheel: {error}")
        return 1
    return 0


async def _run(options: Up, screen: Screen, on_ready: Callable[[], None]) -> None:
    with _claimed(options.home):
        refuse_busy(ports_of(options))
        keep(options.home, Kept(model=options.model, name=options.name, plan=options.plan))
        inherited = inherited_env()
        secret = inherited.get(_SECRET) or kept_secret(options.home)

        def ready() -> None:
            screen.say(welcome(options))
            on_ready()

        parts = programs(options, inherited, secret=secret, gpu=_has_gpu())
        work = supervise(parts, options.home / "logs", screen=screen, on_ready=ready)
        await until_told(work, lambda: screen.say("stopping"))


def welcome(options: Up) -> str:
    url, name = base_url(options), options.name
    body = f'{{"model": "{name}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    return (
        f"\nThumbwheel is up: {url}/v1\n\n"
        f"  curl {url}/v1/chat/completions -H 'content-type: application/json' \\\n"
        f"    -d '{body}'\n\n"
        f"What it keeps is in {options.home}, what its parts say in {options.home}/logs.\n"
        f"Metrics are at {url}/metrics, and at /metrics of the ports {_metrics_ports(options)}.\n"
        f"The control API is at http://127.0.0.1:{options.ports.ops}.\n"
        "Ctrl-C stops it.\n"
    )


def _metrics_ports(options: Up) -> str:
    ports = options.ports
    return (
        f"{ports.feedback_metrics} (feedback), {ports.trainer_metrics} (trainer), "
        f"{ports.ops_metrics} (ops), {ports.engine} (engine)"
    )


def kept_secret(home: Path) -> str:
    """Made once: with another one, every user would be a stranger."""
    path = home / "secret"
    if not path.exists():
        draft = path.with_suffix(".tmp")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        os.replace(draft, path)
    return path.read_text()


def _absolute(options: Up) -> Up:
    home, model = options.home.resolve(), Path(options.model).expanduser()
    options = replace(options, home=home, plan=_plan(options.plan))
    if (model / "config.json").is_file():
        return replace(options, model=str(model.resolve()))
    if model.exists() or options.model.startswith((".", "/", "~")):
        raise CannotStart(f"model is {options.model!r}; expected a folder with a config.json")
    return options  # a name; vLLM says so where it knows none such


def _plan(path: Path | None) -> Path | None:
    """What may stand in it is for the trainer to say, in its first process."""
    if path is None:
        return None
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CannotStart(f"plan is {str(path)!r}; expected a JSON file: {error}") from error
    return path.resolve()


@contextmanager
def _claimed(home: Path) -> Iterator[None]:
    """Two loops on one home would write one split, and train on the same verdicts twice."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # users' words lie in it
    except OSError as error:
        raise CannotStart(f"home is {str(home)!r}; expected a folder: {error}") from error
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStart(f"home is {home}, where another `thumbwheel up` runs") from error
        yield


def _has_gpu() -> bool:
    if not shutil.which("nvidia-smi"):
        return False
    return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=60).returncode == 0
