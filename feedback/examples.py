"""The examples folder: settled verdicts with their completions, as Parquet. Door.

A file holds what one batch of the worker settled; its name and metadata say how far in the log
that batch reached. The same positions in give the same bytes out. A row that settles what an
earlier row settled replaces it. A file of another schema is refused, with BadExamples.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from time import time
from typing import Any, NamedTuple, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from feedback.columns import NUMBERS, as_column
from feedback.disk import sync
from feedback.file_names import Watermark as Watermark
from feedback.file_names import end_of, name_of, reaches_beyond

# Columns with few values, for which Parquet keeps a dictionary. For the others, token ids above
# all, it takes three times as long and more room.
_REPEATED = ["app", "adapter", "parent", "parameters", "finish_reason", "slot", "winner", "ruling"]
_V = "1"  # the schema's version, in the metadata of every file


class BadExamples(ValueError):
    """A file that cannot be read as examples; the message names it, what it has and must have."""


class Identity(NamedTuple):
    completion_id: str
    slot: str
    rater: str


class Example(NamedTuple):
    """A completion with one settled verdict; `weight` is how much it counts, 0 is quarantined."""

    completion_id: str
    conversation: str | None
    user: str
    app: str | None
    adapter: str
    parent: str | None  # the adapter that it continues
    split_revision: int | None
    messages: str  # JSON, as the app sent them
    answer: str
    prompt_ids: Sequence[int]
    answer_ids: Sequence[int]
    logprobs: Sequence[float]
    parameters: str  # JSON
    finish_reason: str | None
    completed_at: datetime
    slot: str  # thumb, comparison, correction or outcome:NAME
    rater: str
    retracted: bool
    up: bool | None
    correction: str | None
    value: float | None
    winner: str | None
    rival_id: str | None
    rival_adapter: str | None
    rival_answer: str | None
    rival_answer_ids: Sequence[int] | None
    rival_logprobs: Sequence[float] | None
    weight: float
    ruling: str | None  # who gave it this weight, and why
    verdict_key: str
    judged_at: datetime
    partition: int
    offset: int  # of the verdict in its partition

    @property
    def identity(self) -> Identity:
        """Rows of one identity speak of the same thing; the newest holds."""
        return Identity(self.completion_id, self.slot, self.rater)

    @property
    def withheld(self) -> bool:
        """Nothing may be learned from it: the app's request had `"store": false`."""
        return '"store"' in self.parameters and json.loads(self.parameters).get("store") is False


_ARROW: dict[object, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", tz="UTC"),
    Sequence[int]: NUMBERS["i"],
    Sequence[float]: NUMBERS["d"],
}
_ARROW |= {kind | None: column for kind, column in _ARROW.items()}  # type: ignore[operator]
SCHEMA = pa.schema([(name, _ARROW[kind]) for name, kind in get_type_hints(Example).items()])


class Batch(NamedTuple):
    """One file: the log up to `end` settled these examples."""

    end: Watermark
    path: Path


class Dataset(NamedTuple):
    """Examples in the order they settled, how far they reach, and a digest of the rows."""

    examples: list[Example]
    watermark: Watermark
    digest: str


def append(folder: Path, start: Watermark, end: Watermark, rows: list[Example]) -> Path:
    """Write what one partition's log from `start` to `end` settled, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name_of(end)
    values = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    columns = [as_column(*column) for column in zip(values, SCHEMA.types, strict=True)]
    _write(path, pa.table(columns, SCHEMA), start)
    return path


def without(batch: Batch, users: set[str]) -> int:
    """Rewrite the file without what these asked or said; how many rows that were.

    It goes where nothing is left: not every reader can take an empty one.
    """
    with _open(batch.path) as file:
        people = _table(file, batch, ["user", "rater"]).to_pylist()
        kept = [row["user"] not in users and row["rater"] not in users for row in people]
        if not any(kept):
            batch.path.unlink()
        elif not all(kept):
            written = batch.path.stat().st_mtime
            _write(batch.path, _table(file, batch).filter(pa.array(kept)), start(batch))
            os.utime(batch.path, (written, written))  # it is no younger for that
    return kept.count(False)


def expire(folder: Path, days: float) -> int:
    """Remove the files that were written before so many days; how many those were."""
    oldest = time() - days * 86_400
    removed = 0
    for batch in batches(folder):
        with suppress(FileNotFoundError):  # another worker was as quick
            if batch.path.stat().st_mtime < oldest:
                batch.path.unlink()
                removed += 1
    return removed


def _write(path: Path, table: pa.Table, start: Watermark) -> None:
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        marked = table.replace_schema_metadata({"v": _V, "start": json.dumps(start)})
        pq.write_table(marked, file, compression="zstd", use_dictionary=_REPEATED)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync(path.parent)  # or a power cut could undo the rename, after the position was committed


def batches(
    folder: Path, after: Watermark | None = None, until: Watermark | None = None
) -> list[Batch]:
    """The files that reach beyond `after`, not beyond `until`, in the order of the log.

    Opens none of them.
    """
    is_new = reaches_beyond(after or {})
    is_late = reaches_beyond(until) if until is not None else lambda _: False
    return [
        Batch(end_of(name), folder / name)
        for name in _names(folder, ".parquet")
        if is_new(name) and not is_late(name)
    ]


def clear(folder: Path, partition: int) -> None:
    """Remove what a writer of this partition left unfinished when it died."""
    for name in _names(folder, ".tmp"):
        if name.startswith(f"{partition:04d}-"):
            (folder / name).unlink(missing_ok=True)


def start(batch: Batch) -> Watermark:
    """Where in the log the batch began."""
    with _open(batch.path) as file:
        place: Watermark = json.loads(file.schema_arrow.metadata[b"start"])
    return place


def rows(batch: Batch) -> list[Example]:
    with _open(batch.path) as file:
        return [Example(**row) for row in _table(file, batch).to_pylist()]


def some(batch: Batch, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Of the rows only these columns: quicker, where the tokens are not needed."""
    with _open(batch.path) as file:
        found: list[dict[str, Any]] = _table(file, batch, list(columns)).to_pylist()
    return found


def read(folder: Path, after: Watermark | None = None, until: Watermark | None = None) -> Dataset:
    """What settled beyond `after`: of each identity the newest row, without what was taken back."""
    newest: dict[Identity, Example] = {}
    watermark = dict(after or {})
    for batch in batches(folder, after, until):
        watermark |= {place: max(end, watermark.get(place, 0)) for place, end in batch.end.items()}
        for row in rows(batch):
            # Not only replaced: a changed verdict takes its new place in the order.
            newest.pop(row.identity, None)
            newest[row.identity] = row
    standing = [row for row in newest.values() if not row.retracted]
    return Dataset(standing, watermark, digest(standing))


@contextmanager
def _open(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise BadExamples(f"{path}: {error}") from error
    with file:
        if complaint := _complaint(file.schema_arrow):
            raise BadExamples(f"{path}: {complaint}")
        yield file


def _table(file: pq.ParquetFile, batch: Batch, columns: list[str] | None = None) -> pa.Table:
    try:
        return file.read(columns=columns)
    except pa.ArrowInvalid as error:
        raise BadExamples(f"{batch.path}: {error}") from error
    except OSError as error:
        if error.errno is not None:  # the disk's word, not the file's
            raise
        raise BadExamples(f"{batch.path}: {error}") from error


def _complaint(found: pa.Schema) -> str | None:
    version = (found.metadata or {}).get(b"v", b"none").decode(errors="replace")
    if version != _V:
        return f"v is {version}; this version reads v {_V}"
    both = zip_longest(_columns(found), _columns(SCHEMA), fillvalue=("none",))
    for at, (column, expected) in enumerate(both):
        if column != expected:
            return f"column {at} is {_shown(column)}; expected {_shown(expected)}"
    return None


def _columns(schema: pa.Schema) -> list[tuple[object, ...]]:
    # Types, not their names: Parquet calls a list's items otherwise, and Arrow knows.
    return [(column.name, column.type) for column in schema]


def _shown(column: tuple[object, ...]) -> str:
    return " ".join(map(str, column))


def _names(folder: Path, suffix: str) -> list[str]:
    # Of names a hundred thousand are listed in a moment; of paths they are not.
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(name for name in names if name.endswith(suffix))


def digest(examples: Iterable[Example]) -> str:
    """A name for exactly these rows in this order."""
    total = sha256()
    for row in examples:
        total.update(json.dumps(list(map(str, row))).encode())
    return total.hexdigest()
