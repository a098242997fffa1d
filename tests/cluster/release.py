"""Our chart on a cluster: what it is told, and what is seen of it."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helm.chart import tool

RELEASE, MODEL = "thumbwheel", "thumbwheel-model"

Manifest = dict[str, Any]


def until(claim: Callable[[], bool], seconds: float, state: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {state()}"
        time.sleep(0.3)


@dataclass(frozen=True)
class Cluster:
    kubeconfig: Path
    namespace: str

    def run(self, name: str, *words: str | Path, told: str | None = None) -> str:
        done = self.tried(name, *words, told=told)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tried(
        self, name: str, *words: str | Path, told: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tool(name), *words],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig), "HELM_NAMESPACE": self.namespace},
            input=told,
            capture_output=True,
            text=True,
            timeout=900,
        )

    def helm(self, *words: str | Path) -> str:
        return self.run("helm", *words)

    def kubectl(self, *words: str | Path, told: str | None = None) -> str:
        return self.run("kubectl", "--namespace", self.namespace, *words, told=told)

    def apply(self, *manifests: Manifest) -> None:
        told = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self.kubectl("apply", "-f", "-", told=told)

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "--output=json"))

    def pods(self, room: str) -> list[Manifest]:
        found = self.get("pods", f"--selector=app.kubernetes.io/component={room}")["items"]
        return sorted(found, key=lambda pod: pod["metadata"]["name"])

    def lives(self, room: str) -> Mapping[str, tuple[str, int]]:
        """Of each pod, by name, who it is, and how often its processes were started again."""
        return {
            pod["metadata"]["name"]: (
                pod["metadata"]["uid"],
                sum(one["restartCount"] for one in pod["status"]["containerStatuses"]),
            )
            for pod in self.pods(room)
        }

    def are_ready(self, room: str, count: int) -> bool:
        ready = [
            pod
            for pod in self.pods(room)
            if "deletionTimestamp" not in pod["metadata"]
            and any(
                one["type"] == "Ready" and one["status"] == "True"
                for one in pod["status"].get("conditions", [])
            )
        ]
        return len(ready) == count

    def url(self, room: str) -> str:
        """Of its Service, as the node reaches it."""
        spec = self.get("service", f"{RELEASE}-{room}")["spec"]
        return f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def ops(self, *words: str) -> str:
        """`thumbwheel …` in a controller's pod."""
        return self.kubectl("exec", f"deployment/{RELEASE}-ops", "--", "thumbwheel", *words)

    def story(self) -> list[Manifest]:
        """The revisions of the model."""
        done = self.tried("helm", "history", MODEL, "--output", "json")
        return list(json.loads(done.stdout)) if done.returncode == 0 else []

    def serving(self) -> str:
        return str(self.get("configmap", MODEL)["data"]["stable"])

    def round(self, name: str) -> None:
        """One Job of the CronJob; returns when it has ended well."""
        self.kubectl("create", "job", name, f"--from=cronjob/{RELEASE}-trainer")
        self.has_ended(name)

    def has_ended(self, job: str) -> None:
        """Well; of one that failed its last words are told at once."""
        until(lambda: self._is_complete(job), 600, lambda: self.logs(f"job/{job}"))

    def _is_complete(self, job: str) -> bool:
        conditions = self.get("job", job)["status"].get("conditions", ())
        told = {one["type"] for one in conditions if one["status"] == "True"}
        assert "Failed" not in told, self.logs(f"job/{job}")
        return "Complete" in told

    def logs(self, what: str) -> str:
        return self.tried("kubectl", "-n", self.namespace, "logs", what, "--tail=40").stdout
