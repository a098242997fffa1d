"""GitOps: what serves, written as values for who commits them. Helm is never run."""

import os
from pathlib import Path

from ops.declared import CannotTell, shortened
from serving.split import Split


class ValuesFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def tell(self, split: Split, why: str) -> None:
        text = (
            f'# {shortened(why)}\nrollout:\n  stable: "{split.stable}"\n  split: {split.revision}\n'
        )
        try:
            if self._path.exists() and self._path.read_text() == text:
                return  # who watches the file sees no change where there is none
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(".tmp")
            draft.write_text(text)
            os.replace(draft, self._path)
        except OSError as error:
            raise CannotTell(f"{self._path} cannot be written: {error.strerror}") from error
