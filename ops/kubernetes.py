"""Kubernetes' API, as a pod is given it: the only file that talks to it."""

import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from ops.account import Account, KubernetesError

_TIMEOUT_SECONDS = 5.0


class Kubernetes:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._opened = ExitStack()

    @cached_property
    def _http(self) -> httpx.Client:
        """At the first question: where there is no account, all else goes on."""
        return self._opened.enter_context(
            httpx.Client(
                base_url=self._account.url,
                verify=_trusting(self._account.certificate),
                timeout=_TIMEOUT_SECONDS,
                trust_env=False,
            )
        )

    def config_map(self, name: str) -> Mapping[str, str] | None:
        """Its data; None where there is no such map."""
        path = f"/api/v1/namespaces/{self._account.namespace}/configmaps/{name}"
        headers = {"authorization": f"Bearer {self._account.token}"}
        try:
            answer = self._http.get(path, headers=headers)
        except httpx.HTTPError as error:
            raise KubernetesError(f"{self._account.url} does not answer: {error!r}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise KubernetesError(f"{path}: {_said(answer)}")
        return dict(answer.json().get("data") or {})

    def close(self) -> None:
        self._opened.close()


def _said(answer: httpx.Response) -> str:
    try:
        told: Any = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        told = answer.text[:300]
    return f"{answer.status_code}: {told}"


def _trusting(certificate: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(certificate))
    except OSError as error:
        raise KubernetesError(f"{certificate} cannot be read: {error}") from error
