"""The real helm and kubectl, sent to a test's API server."""

import os
import subprocess
from pathlib import Path

from tests.helm.chart import EXAMPLES, tool
from tests.kubernetes.apiserver import ApiServer

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
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
