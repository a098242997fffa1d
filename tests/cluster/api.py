"""What the node's API is asked while it starts. The only file of the node that speaks HTTP."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"
ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
_CLASS = "here"


@dataclass(frozen=True)
class Api:
    url: str
    certificate: Path  # of the API server, which makes it at its start
    token: str

    def create(self, path: str, manifest: dict[str, Any]) -> None:
        self._ask("POST", path, manifest)

    def answers(self, path: str) -> bool:
        try:
            self._ask("GET", path)
        except (httpx.HTTPError, OSError):  # no certificate yet, no server, or one that starts
            return False
        return True

    def is_ready(self, node: str) -> bool:
        path = f"/api/v1/nodes/{node}"
        if not self.answers(path):
            return False
        conditions = self._ask("GET", path).json()["status"].get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        trusted = ssl.create_default_context(cafile=self.certificate)
        said = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(verify=trusted, headers=said, trust_env=False) as client:
            return client.request(method, self.url + path, json=body).raise_for_status()


def default_class() -> dict[str, Any]:
    """For claims that name none: the volumes that are there."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "metadata": {"name": _CLASS, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
    }


def volume(folder: Path) -> dict[str, Any]:
    return {
        "metadata": {"name": folder.name},
        "spec": {
            "storageClassName": _CLASS,
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "hostPath": {"path": str(folder)},
        },
    }
