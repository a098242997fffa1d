"""Helm: what serves, told as a revision of a release of its own. The only file that runs helm.

The release holds one ConfigMap. So nothing else comes along with a roll-back of the model, no
upgrade of the rest undoes one, and who may tell it need not be allowed to change the rest.
"""

import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops.account import Account
from ops.declared import CannotTell, shortened
from serving.split import Split

CHART = Path(__file__).with_name("model_chart")
_TIMEOUT_SECONDS = 20  # it takes one or two
# Helm that was killed half way leaves its revision pending, and refuses every other one for ever.
_FORSAKEN = timedelta(minutes=5)


class Helm:
    def __init__(
        self,
        account: Account,
        release: str,
        *,
        keeps: int,  # revisions
        env: Mapping[str, str],
    ) -> None:
        self._account, self._release = account, release
        self._keeps, self._env = keeps, env

    def tell(self, split: Split, why: str) -> None:
        try:
            self._upgrade(split, why)
        except CannotTell:
            forsaken = self._forsaken()
            if forsaken is None:
                raise
            # The first revision has none before it.
            undo = "uninstall" if forsaken == "pending-install" else "rollback"
            self._run(undo, self._release)
            self._upgrade(split, why)

    def _upgrade(self, split: Split, why: str) -> None:
        self._run(
            *("upgrade", "--install", self._release, str(CHART), "--reset-values"),
            *("--set-string", f"stable={split.stable}"),
            *("--set", f"split={split.revision}"),
            *("--description", shortened(why)),
            *("--history-max", str(self._keeps)),
        )

    def _forsaken(self) -> str | None:
        """What the release pends on, if for so long that nobody works on it any more."""
        try:
            told = json.loads(self._run("status", self._release, "--output", "json"))["info"]
            since = datetime.now(UTC) - datetime.fromisoformat(told["last_deployed"])
        except (CannotTell, ValueError, KeyError):
            return None
        status = str(told["status"])
        return status if status.startswith("pending") and since > _FORSAKEN else None

    def _run(self, *command: str) -> str:
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
        return done.stdout

    def _access(self) -> dict[str, str]:
        return {
            "HELM_KUBEAPISERVER": self._account.url,
            "HELM_KUBETOKEN": self._account.token,
            "HELM_KUBECAFILE": str(self._account.certificate),
            "HELM_NAMESPACE": self._account.namespace,
        }
