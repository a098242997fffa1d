"""What lies on disk is read by the tools that ML engineers have: each snippet of docs/export.md."""

import json
import re
from math import isfinite
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset, Features, Value, load_dataset

from feedback import examples
from feedback.export import Form, export
from tests.feedback.made import retraction, thumb
from tests.feedback.test_export import (
    A_WINS,
    CORRECTED,
    LEFT_OUT,
    LIKED,
    OTHER_DISLIKED,
    OTHER_LIKED,
    example,
    write,
)

pytestmark = pytest.mark.integration

DOC = (Path(__file__).parents[2] / "docs/export.md").read_text()
SNIPPETS = dict(re.findall(r"^```python (\w+)\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL))
EXAMPLES = Path(".thumbwheel/examples")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the snippets run: verdicts of every kind, one of them changed, one taken back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write(EXAMPLES, [LIKED, OTHER_LIKED, A_WINS], end=9)
    write(EXAMPLES, [CORRECTED, LIKED._replace(up=False), LIKED._replace(adapter="m-v1")], end=10)
    write(EXAMPLES, [example(thumb(True, of="g.1"), retraction(2, of="g.1"))], end=100)
    return tmp_path


def run(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(SNIPPETS[name], found)
    return found


def test_every_snippet_is_run() -> None:
    assert SNIPPETS.keys() == {"rows", "datasets", "duckdb", "thumbwheel"}
    assert DOC.count("```python") == len(SNIPPETS)


def test_datasets_reads_every_row_in_the_order_of_the_log(home: Path) -> None:
    batches = examples.batches(EXAMPLES)
    expected = [row._asdict() for batch in batches for row in examples.rows(batch)]
    assert len(expected) == 7
    assert list(run("datasets")["settled"]) == expected


def test_duckdb_reads_what_holds(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = run("duckdb")
    held = examples.read(EXAMPLES).examples
    assert [(row.slot, row.up) for row in held] == [
        ("comparison", None),
        ("correction", None),
        ("thumb", True),
    ]
    assert found["holding"].to_arrow_table().to_pylist() == [row._asdict() for row in held]
    (liked,) = found["liked"].to_arrow_table().to_pylist()
    assert liked == {
        "adapter": "m-v1",
        "share_liked": 1,
        "tokens": 2,
        "logprob": pytest.approx(-0.35),
        "newest": LIKED.judged_at,
    }


def test_thumbwheels_own_reader_reads_what_holds(home: Path) -> None:
    found = run("thumbwheel")
    assert len(found["examples"]) == 3
    assert found["watermark"] == {"completions/0": 100, "verdicts/0": 100}
    assert found["digest"] == examples.digest(found["examples"])


def test_datasets_loads_the_rows_as_they_are(home: Path) -> None:
    export(EXAMPLES, Form.KTO, Path("kto.jsonl"))
    rows = [json.loads(line) for line in Path("kto.jsonl").read_bytes().splitlines()]
    assert [row["label"] for row in rows] == [True]
    assert list(load_dataset("json", data_files="kto.jsonl", split="train")) == rows
    assert list(run("rows")["rows"]) == [row | {"tools": None} for row in rows]


def test_messages_of_another_shape_may_come_late(home: Path) -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "x"}}]
    late = json.dumps([{"role": "user", "name": "ann", "content": parts}])
    tools = json.dumps({"tools": [{"type": "function"}]})
    write(EXAMPLES, [OTHER_LIKED._replace(messages=late, parameters=tools)], end=101)
    export(EXAMPLES, Form.KTO, Path("kto.jsonl"))
    told = run("rows")["features"]
    first = Path("kto.jsonl").read_bytes().index(b"\n") + 1
    loaded = load_dataset(
        "json", data_files="kto.jsonl", split="train", features=told, chunksize=first
    )
    assert loaded[0]["prompt"][0]["content"] == "question g"
    assert loaded[1]["prompt"] == json.loads(late)
    assert json.loads(loaded[1]["tools"]) == [{"type": "function"}]


def test_every_reason_is_in_the_docs_and_nothing_else_is() -> None:
    table = DOC.partition("| reason |")[2].partition("\n\n")[0]
    cells = " ".join(line.split("|")[1] for line in table.splitlines()[2:])
    assert sorted(re.findall("`(.*?)`", cells)) == sorted({why for _, _, why in LEFT_OUT})


@pytest.mark.parametrize(
    ("form", "ids"), [("kto", "completion_ids"), ("dpo", "chosen_ids"), ("sft", "input_ids")]
)
def test_trl_takes_a_step_on_the_rows(home: Path, form: str, ids: str) -> None:
    import trl  # takes seconds, and the other tests do without

    from tests.trainer.tiny import make_model

    name, model, rows = form.upper(), str(make_model(home / "model")), exported_rows(Form(form))
    trainer = getattr(trl, f"{name}Trainer")(
        model,
        args=getattr(trl, f"{name}Config")("trained", **ONE_STEP),
        train_dataset=rows,
        processing_class=tokenizer(model),
    )
    result = trainer.train()
    assert result.global_step == 1 and isfinite(result.training_loss)
    assert len(trainer.train_dataset) == len(rows) == {"kto": 8, "dpo": 12, "sft": 8}[form]
    learned = trainer.processing_class.decode(trainer.train_dataset[0][ids])
    assert learned.endswith("answer g<|im_end|>\n")


def exported_rows(form: Form) -> Dataset:
    """Of four requests like each other, loaded as the docs say."""
    rows = [
        row._replace(completion_id=f"{name}{row.completion_id[1:]}")
        for name in "abcd"
        for row in (LIKED, OTHER_DISLIKED, A_WINS, CORRECTED)
    ]
    export(write(Path("many"), rows), form, Path("rows.jsonl"))
    export(Path("many"), Form.KTO, Path("kto.jsonl"))
    features = Features(run("rows")["columns"][form] | {"tools": Value("string")})
    return load_dataset("json", data_files="rows.jsonl", split="train", features=features)


ONE_STEP: dict[str, Any] = {
    "max_steps": 1,
    "per_device_train_batch_size": 4,
    "bf16": False,
    "gradient_checkpointing": False,
    "use_cpu": True,
    "report_to": "none",
    "save_strategy": "no",
}


def tokenizer(model: str) -> Any:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(model)
    found.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return found
