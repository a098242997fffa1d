"""Helm: what serves, told as a revision of the release. The only file that runs helm."""

import base64
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ops.account import Account
from ops.declared import CannotTell, shortened
from serving.split import Split

_TIMEOUT_SECONDS = 120


class Helm:
    def __init__(
        self,
        account: Account,
        release: str,
        newest: Callable[[], Mapping[str, Any]],
        *,
        keeps: int,  # revisions
        env: Mapping[str, str],
    ) -> None:
        self._account, self._release, self._newest = account, release, newest
        self._keeps, self._env = keeps, env

    def tell(self, split: Split, why: str) -> None:
        """A new revision of the release as it is, but for what serves."""
        newest = self._newest()
        status = newest["info"]["status"]
        if status != "deployed":  # its objects may be half of one chart, half of another
            raise CannotTell(
                f"revision {newest['version']} of {self._release} is {status}; expected deployed: "
                "`helm rollback` or `helm upgrade` mends it"
            )
        with tempfile.TemporaryDirectory(prefix="chart-") as folder:
            unpack(newest["chart"], Path(folder))
            self._run(
                *("upgrade", self._release, folder, "--reuse-values"),
                *("--set-string", f"rollout.stable={split.stable}"),
                *("--set", f"rollout.split={split.revision}"),
                *("--description", shortened(why)),
                *("--history-max", str(self._keeps)),
            )

    def _run(self, *command: str) -> None:
        try:
            done = subprocess.run(
                ["helm", *command],
                env={**self._env, **self._access()},
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotTell(f"helm cannot run: {error}") from error
        if done.returncode != 0:
            raise CannotTell(f"helm {command[0]}: {done.stderr.strip()[-1000:]}")

    def _access(self) -> dict[str, str]:
        access = {
            "HELM_KUBEAPISERVER": self._account.url,
            "HELM_KUBETOKEN": self._account.token,
            "HELM_NAMESPACE": self._account.namespace,
        }
        if self._account.url.startswith("https"):
            access["HELM_KUBECAFILE"] = str(self._account.certificate)
        return access


def unpack(chart: Mapping[str, Any], folder: Path) -> None:
    """A chart as a release keeps it: the very one that was installed, whatever version we are."""
    (folder / "Chart.yaml").write_text(json.dumps(chart["metadata"]))  # JSON is YAML
    (folder / "values.yaml").write_text(json.dumps(chart.get("values") or {}))
    if chart.get("schema"):
        (folder / "values.schema.json").write_bytes(base64.b64decode(chart["schema"]))
    for one in [*(chart.get("templates") or ()), *(chart.get("files") or ())]:
        path = folder / one["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(one["data"]))
