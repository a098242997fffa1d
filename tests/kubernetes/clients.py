"""The real helm and kubectl, sent to a test's API server."""

import os
import subprocess
from pathlib import Path

from tests.helm.chart import EXAMPLES, tool
from tests.kubernetes.apiserver import ApiServer

# Helm's --wait gives its watches up once all is ready; one in the middle of an event says this.
_WATCH_GIVEN_UP = "unable to decode an event from the watch stream: context canceled"

Done = subprocess.CompletedProcess[str]

(DEMO,) = (path for path in EXAMPLES if path.stem == "demo")


def helm(api: ApiServer, *words: str | Path, token: str = "") -> Done:
    return _run("helm", api, *words, *(("--kube-token", token) if token else ()))


def kubectl(api: ApiServer, *words: str | Path, token: str = "", told: str = "") -> Done:
    return _run("kubectl", api, *words, *(("--token", token) if token else ()), told=told)


def _run(name: str, api: ApiServer, *words: str | Path, told: str = "") -> Done:
    return subprocess.run(
        [tool(name), *words],
        capture_output=True,
        text=True,
        timeout=60,
        input=told,
        env={**os.environ, **api.environment},
    )


def worked(done: Done) -> str:
    """What it printed, having neither failed nor warned of more than a watch given up."""
    warned = [line for line in done.stderr.splitlines() if _WATCH_GIVEN_UP not in line]
    assert (done.returncode, warned) == (0, []), done.stderr
    return done.stdout
