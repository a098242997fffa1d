"""Images, built from Dockerfiles without a registry. The only file that talks to buildah.

A build is told what the machine was told of how packages are fetched: pip's settings, and which
certificates to trust.
"""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# `install` makes it of the machine's own Debian.
BASE = f"localhost/base:{platform.freedesktop_os_release()['VERSION_CODENAME']}"
_CERTIFICATES = "/etc/ssl/certs"


class NotBuilt(Exception):
    """buildah refused; it said why."""


def built(
    dockerfile: Path,
    target: str,
    context: Path,
    name: str,
    build_args: Mapping[str, str],
    into: Path,
    *,
    anew: bool = False,
) -> Path:
    """The archive `into` of the image `name`, of the stage `target` (the last one, where empty).

    Nothing in it tells when it was built; `anew`, nothing of an earlier build is taken.
    """
    with _as_told() as mounts:
        _buildah(
            *("bud", "--quiet", "--isolation", "chroot", "--network", "host"),
            *("--timestamp", "0", "--no-cache" if anew else "--layers"),
            *(f"--volume={mount}:ro" for mount in mounts),
            *(f"--build-arg={key}={value}" for key, value in build_args.items()),
            *(["--target", target] if target else []),
            *("--tag", name, "--file", dockerfile, context),
        )
    into.unlink(missing_ok=True)  # no archive is written over
    _buildah("push", "--quiet", name, f"docker-archive:{into}:{name}")
    return into


def have_base(archive: Path) -> None:
    """Dockerfiles may start from BASE."""
    if not _buildah("images", "--quiet", "--filter", f"reference={BASE}"):
        _buildah("pull", "--quiet", f"docker-archive:{archive}")


@contextmanager
def _as_told() -> Iterator[list[str]]:
    """What is mounted where."""
    told = _pip_settings()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as pip:
        pip.write("[global]\n" + "".join(f"{key} = {value}\n" for key, value in told.items()))
        pip.flush()
        folders = [path for path in (_CERTIFICATES, told.get("find-links", "")) if _is_folder(path)]
        yield [f"{pip.name}:/etc/pip.conf", *(f"{path}:{path}" for path in folders)]


def _is_folder(path: str) -> bool:
    return bool(path) and Path(path).is_dir()


def _pip_settings() -> dict[str, str]:
    """Of lines such as `:env:.cert='/a/file'` and `global.cert='/a/file'`; those of `env` win."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    lines = sorted(listed.stdout.splitlines(), key=lambda line: line.startswith(":env:"))
    said = (line.split(".", 1)[1].split("=", 1) for line in lines if "=" in line)
    return {key: value.strip("'") for key, value in said}


def _buildah(*words: str | Path) -> str:
    done = subprocess.run(["buildah", *words], capture_output=True, text=True)
    if done.returncode:
        raise NotBuilt(f"buildah {' '.join(map(str, words))}:\n{done.stdout}{done.stderr}"[-6000:])
    return done.stdout.strip()
