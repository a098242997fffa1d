"""The examples as a file that TRL's trainers read: one JSON object a line. Door."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from feedback import examples
from feedback.disk import sync
from feedback.trl_rows import Form, Row, make_row, sift

__all__ = ["Form", "Report", "export"]


class Report(NamedTuple):
    """Every example that was read is one of the `used`, or counted once in `dropped`.

    There may be more `rows` than `used`: of three answers one can be better than two.
    """

    rows: int
    used: int
    dropped: dict[str, int]


def export(
    folder: Path, form: Form, out: Path, *, min_weight: float = 0.0, overwrite: bool = False
) -> Report:
    """The same examples give the same bytes.

    With nothing to write, `out` is empty: after an export it never holds the rows of another.
    """
    _check(folder, out, min_weight, overwrite=overwrite)
    sifted = sift(examples.read(folder).examples, form, min_weight)
    _write(out, (make_row(source, form) for source in sifted.sources))
    return Report(len(sifted.sources), sifted.used, sifted.dropped)


def _check(folder: Path, out: Path, min_weight: float, *, overwrite: bool) -> None:
    if not 0 <= min_weight <= 1:
        raise ValueError(f"min_weight is {min_weight}; expected 0 to 1")
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; expected the examples that the worker wrote")
    if not out.parent.is_dir():
        raise ValueError(f"{out.parent} is no folder; expected one to write {out.name} in")
    if out.exists() and not out.is_file():
        raise ValueError(f"{out} is no file; expected one, or a new name")
    if out.exists() and not overwrite:
        raise ValueError(f"{out} is there already; expected a new name, or overwrite")


def _write(out: Path, rows: Iterable[Row]) -> None:
    """Whole or not at all."""
    draft = out.with_name(f"{out.name}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, out)
    finally:
        draft.unlink(missing_ok=True)
    sync(out.parent)
