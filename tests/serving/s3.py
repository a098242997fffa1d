"""A real S3 endpoint on a free port, with one bucket: the `moto` server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import fsspec
import httpx

from tests.free import free_port

BUCKET = "thumbwheel"
_START_SECONDS = 60


@dataclass(frozen=True)
class RunningS3:
    """`env` is all that a process needs to reach it, as the library reads it."""

    url: str
    endpoint: str
    env: dict[str, str]
    process: subprocess.Popen[bytes]

    def upload(self, folder: Path) -> None:
        """An adapter's folder, or a mark, beside all others."""
        to = f"{self._root}/{folder.name}"
        files = self._files
        for path in sorted(folder.iterdir()) if folder.is_dir() else [folder]:
            files.pipe_file(f"{to}/{path.name}" if folder.is_dir() else to, path.read_bytes())

    def remove(self, name: str) -> None:
        self._files.rm(f"{self._root}/{name}", recursive=True)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections, and answers none."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @property
    def _root(self) -> str:
        return self.url.partition("://")[2]

    @property
    def _files(self) -> "fsspec.AbstractFileSystem":
        return fsspec.filesystem(
            "s3",
            key=self.env["AWS_ACCESS_KEY_ID"],
            secret=self.env["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.endpoint,
        )


@contextmanager
def running_s3() -> Iterator[RunningS3]:
    port = free_port()
    env = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        s3 = RunningS3(f"s3://{BUCKET}/adapters", env["AWS_ENDPOINT_URL"], env, process)
        _wait(s3)
        s3._files.mkdir(BUCKET)
        yield s3
    finally:
        process.kill()
        process.wait()
        s3._files.clear_instance_cache()


def _wait(s3: RunningS3) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            httpx.get(s3.endpoint, trust_env=False)
            return
        time.sleep(0.1)
    raise RuntimeError(f"S3 was not up after {_START_SECONDS} s")
