"""A pod's ServiceAccount: what Kubernetes gives a process to be known by."""

from dataclasses import dataclass
from pathlib import Path


class KubernetesError(Exception):
    """It did not answer, or refused, or cannot be asked; the message says what was asked."""


@dataclass(frozen=True)
class Account:
    """Kubernetes renews the files of its folder."""

    url: str
    folder: Path

    @property
    def token(self) -> str:
        return self._read("token")

    @property
    def namespace(self) -> str:
        return self._read("namespace")

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text().strip()
        except OSError as error:
            raise KubernetesError(
                f"{self.folder / name} cannot be read: {error.strerror}; "
                "expected the folder of a ServiceAccount"
            ) from error
