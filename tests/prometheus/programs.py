"""Prometheus, promtool and Alertmanager: those of a folder that is named, of PATH, or of `make`."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNPACKED = ROOT / ".venv/prometheus/usr/bin"  # `make` puts them there


def program(*names: str) -> str:
    """The first that there is. On Debian Alertmanager has another name."""
    named = os.environ.get("THUMBWHEEL_TEST_PROMETHEUS")
    for path in (named,) if named else (None, str(UNPACKED)):
        for name in names:
            if found := shutil.which(name, path=path):
                return found
    where = named or f"PATH or {UNPACKED}"
    raise FileNotFoundError(
        f"{names[0]} is not in {where}; expected `make .venv/prometheus.installed` before"
    )


def promtool(*arguments: str) -> None:
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
