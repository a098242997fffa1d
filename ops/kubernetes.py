"""Kubernetes' API, as a pod is given it: the only file that talks to it."""

import base64
import gzip
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from ops.account import Account, KubernetesError

_TIMEOUT_SECONDS = 10.0


class Kubernetes:
    def __init__(self, account: Account) -> None:
        self._account = account
        secure = account.url.startswith("https")
        self._http = httpx.Client(
            base_url=account.url,
            verify=_trusting(account.certificate) if secure else False,
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )

    def config_map(self, name: str) -> Mapping[str, str]:
        return dict(self._get(f"configmaps/{name}").get("data") or {})

    def newest_release(self, name: str) -> Mapping[str, Any]:
        """As Helm stores it: its chart is in it, whole."""
        found = self._get("secrets", labelSelector=f"owner=helm,name={name}")["items"]
        if not found:
            raise KubernetesError(f"there is no release {name!r} in {self._account.namespace}")
        newest = max(found, key=lambda one: int(one["metadata"]["labels"]["version"]))
        stored = base64.b64decode(base64.b64decode(newest["data"]["release"]))
        return dict(json.loads(gzip.decompress(stored)))

    def close(self) -> None:
        self._http.close()

    def _get(self, what: str, **query: str) -> dict[str, Any]:
        path = f"/api/v1/namespaces/{self._account.namespace}/{what}"
        try:
            answer = self._http.get(
                path, params=query, headers={"authorization": f"Bearer {self._account.token}"}
            )
        except httpx.HTTPError as error:
            raise KubernetesError(f"{self._account.url} does not answer: {error!r}") from error
        if answer.status_code != httpx.codes.OK:
            raise KubernetesError(f"{path}: {_said(answer)}")
        return dict(answer.json())


def _said(answer: httpx.Response) -> str:
    try:
        return f"{answer.status_code}: {answer.json()['message']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code}: {answer.text[:300]}"


def _trusting(certificate: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(certificate))
    except OSError as error:
        raise KubernetesError(f"{certificate} cannot be read: {error}") from error
