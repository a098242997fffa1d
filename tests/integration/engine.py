"""A real vLLM server on a free port, with the plug-in that finds adapters by name."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from tests.free import free_port

START_SECONDS = 600  # on a busy machine; alone it takes 30 to 70
STOP_SECONDS = 20


@dataclass(frozen=True)
class RunningEngine:
    url: str
    name: str
    model: Path
    adapters: Path
    output: Path
    process: subprocess.Popen[bytes]


@contextmanager
def running_engine(
    model: Path,
    adapters: Path,
    output: Path,
    *,
    name: str = "model",
    more: Sequence[str] = (),
    env: Mapping[str, str] = MappingProxyType({}),
    port: int = 0,
) -> Iterator[RunningEngine]:
    """It answers when this returns; the first answer still compiles for half a minute."""
    url = f"http://127.0.0.1:{port or free_port()}"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*_command(model, name, url.rpartition(":")[2]), *more],
            env=os.environ | _environment(adapters) | dict(env),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # with its children: they end together
        )
    try:
        _wait_until_healthy(url, process, output)
        yield RunningEngine(url, name, model, adapters, output, process)
    finally:
        _stop(process)


def _command(model: Path, name: str, port: str) -> list[str]:
    options = {
        "model": str(model),
        "served-model-name": name,
        "host": "127.0.0.1",
        "port": port,
        "max-lora-rank": "16",
        "max-loras": "4",
        "dtype": "float32",
        "max-model-len": "512",
    }
    pairs = [word for key, value in options.items() for word in (f"--{key}", value)]
    module = "vllm.entrypoints.openai.api_server"
    tools = ("--enable-auto-tool-choice", "--tool-call-parser", "pythonic")
    draws = ("--enable-scale-out", "--scheduling-policy", "priority")
    told = ("--enable-server-load-tracking",)
    more = (*tools, *draws, *told, "--enable-lora", "--enforce-eager")
    return [sys.executable, "-m", module, *pairs, *more]


def _environment(adapters: Path) -> dict[str, str]:
    return {
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "THUMBWHEEL_ADAPTERS": str(adapters),
    }


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"vLLM ended with {process.returncode}:\n{_tail(output)}")
        with suppress(httpx.TransportError):  # nobody there yet
            if httpx.get(f"{url}/health", trust_env=False).status_code == httpx.codes.OK:
                return
        time.sleep(0.25)
    raise RuntimeError(f"vLLM was not up after {START_SECONDS} s:\n{_tail(output)}")


def _tail(output: Path) -> str:
    return output.read_text(errors="replace")[-4000:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whatever of it is left
    process.wait()
