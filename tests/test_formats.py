"""docs/formats.md says what the code says."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from feedback import events, examples
from feedback.events import Completion, DeadLetter, Event, Verdict, decode
from feedback.examples import SCHEMA
from feedback.log import TOPICS
from ops.declared import Release
from ops.lease import Claim
from ops.move import Look, Move
from serving.split import Split, decode_split
from trainer.adapters import LINEAGE, MANIFEST, Lesson, Manifest, read_lineage
from trainer.lora_files import CONFIG, WEIGHTS

DOC = (Path(__file__).parents[1] / "docs/formats.md").read_text()
EXAMPLES = dict(re.findall(r"^```json (\w+)\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL))


def _kind(model: type[Event]) -> str:
    return str(model.model_fields["kind"].default)


def _reader(kind: type[Event]) -> Callable[[bytes], BaseModel]:
    return lambda raw: decode(raw, (kind,))


EVENTS: tuple[type[Event], ...] = (
    Completion,
    *events.VERDICT_KINDS,
    events.Forget,
    events.Score,
    DeadLetter,
    Move,
    Look,
    Release,
    Claim,
    Split,
)
KINDS = {_kind(model): model for model in EVENTS}
READERS = {kind: _reader(model) for kind, model in KINDS.items()} | {
    "split": decode_split,
    "manifest": Manifest.model_validate_json,
}
MODELS: dict[str, type[BaseModel]] = {**KINDS, "manifest": Manifest}


def test_every_format_has_an_example() -> None:
    assert EXAMPLES.keys() == {*READERS, "lineage"}


def test_no_kind_of_event_is_forgotten() -> None:
    abstract = {Event, Verdict}
    defined = {x for x in vars(events).values() if isinstance(x, type) and issubclass(x, Event)}
    assert defined - abstract <= set(KINDS.values())


@pytest.mark.parametrize("label", READERS)
def test_an_example_is_read_and_says_all_that_its_format_knows(label: str) -> None:
    event = READERS[label](EXAMPLES[label].encode())
    assert isinstance(event, MODELS[label])
    assert json.loads(EXAMPLES[label]).keys() == MODELS[label].model_fields.keys()


@pytest.mark.parametrize("label", READERS)
def test_an_example_is_what_would_be_written(label: str) -> None:
    event = READERS[label](EXAMPLES[label].encode())
    assert READERS[label](event.model_dump_json().encode()) == event
    assert json.loads(event.model_dump_json()) == json.loads(EXAMPLES[label])


def test_the_lineage_example_is_read_as_the_adapters_folder_reads_it(tmp_path: Path) -> None:
    (tmp_path / "model-v3").mkdir()
    (tmp_path / "model-v3" / LINEAGE).write_text(EXAMPLES["lineage"])
    assert read_lineage(tmp_path, "model-v3") == [
        Lesson("chatcmpl-7f3a", "9c3f1e0b7a5d2c4e6f801a2b", "train")
    ]


def test_the_table_of_topics_is_the_log_s() -> None:
    told = {row[0]: (row[1], row[2]) for row in _table("| topic |")}
    assert told == {
        name: ("many" if topic.partitioned else "one", "for ever" if topic.kept else "a time")
        for name, topic in TOPICS.items()
    }


def test_every_kind_lies_on_a_topic() -> None:
    held = {kind for row in _table("| topic |") for kind in row[3].split(", ")}
    assert held - {"nothing yet"} == KINDS.keys()


def test_the_table_of_columns_is_the_schema() -> None:
    told = [(name, kind) for name, kind, _ in _table("| column |")]
    assert told == [(field.name, str(field.type).replace("item: ", "")) for field in SCHEMA]


def test_the_version_of_the_schema_is_the_one_told(tmp_path: Path) -> None:
    places = {"completions/0": 1, "verdicts/0": 1}
    path = examples.append(tmp_path, places, places, [])
    told = re.search(r"hold `v`, the version of its schema, which is `(\w+)`", DOC)
    assert told is not None
    assert pq.read_schema(path).metadata[b"v"].decode() == told[1]


def test_the_folder_of_an_adapter_is_drawn_as_it_is() -> None:
    drawing = re.search(r"^```text folder\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    assert drawing is not None
    drawn = re.findall(r"── (\S+)", drawing[1])
    assert drawn == sorted([CONFIG, WEIGHTS, LINEAGE, MANIFEST])


def _table(head: str) -> list[list[str]]:
    """The cells of the table whose first line begins so, without code marks."""
    lines = DOC[DOC.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
