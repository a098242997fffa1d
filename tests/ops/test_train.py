"""`thumbwheel train`, as it is typed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from feedback.log import open_log
from ops.kept import Kept, keep, read_kept
from ops.settings import UpSettings
from ops.train import environment, options
from tests.trainer.tiny import PLAN, example, make_model, rated_by_base, settle
from trainer.adapters import load
from trainer.endings import CODES_TOLD, EXIT_CODES, FAILED, NOT_DUE
from trainer.lock import only_one

THUMBWHEEL = Path(sys.executable).with_name("thumbwheel")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """As `thumbwheel up` leaves it, without a model that could be loaded."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "model").mkdir()
    (home / "model/config.json").write_text("{}")
    open_log(f"sqlite:///{home}/log.db").close()
    (home / "plan.json").write_text(json.dumps(PLAN.model_dump(mode="json")))
    keep(home, Kept(model=str(home / "model"), name="tiny", plan=home / "plan.json"))
    return home


def train(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if "THUMBWHEEL" not in name}
    env["THUMBWHEEL_TRAINER_MIN_EXAMPLES"] = "60"
    command = [str(THUMBWHEEL), "train", *words, "--home", str(home)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


def test_what_the_loop_was_started_with_holds_unless_told_otherwise(home: Path) -> None:
    kept = options(UpSettings(home=home))
    assert (kept.model, kept.name) == (str(home / "model"), "tiny")
    assert kept.plan == home / "plan.json"
    told = options(UpSettings(home=home, model="m", name="other", trainer_plan=Path("/p.json")))
    assert (told.model, told.name, told.plan) == ("m", "other", Path("/p.json"))


@pytest.mark.parametrize(
    ("told", "url"),
    [
        ({}, "http://127.0.0.1:8001"),
        ({"THUMBWHEEL_ENGINE_PORT": "9001"}, "http://127.0.0.1:9001"),
        ({"THUMBWHEEL_ENGINE_URL": "http://10.0.0.1:1"}, "http://10.0.0.1:1"),
    ],
)
def test_the_engines_that_it_is_told_of_draw(
    home: Path, told: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("THUMBWHEEL_ENGINE_URL", "THUMBWHEEL_ENGINE_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    found = environment(UpSettings(home=home), told | {"THUMBWHEEL_SECRET": "s"})
    assert found["THUMBWHEEL_ENGINE_URL"] == url
    assert "THUMBWHEEL_SECRET" not in found


@pytest.mark.integration
def test_another_trainer_where_it_is_typed_is_not_ours(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trainer.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    ended = train(home, "--if-due")
    assert ended.returncode == NOT_DUE, ended.stderr


def test_a_home_that_says_no_model_needs_one(tmp_path: Path) -> None:
    assert read_kept(tmp_path) is None
    with pytest.raises(ValueError, match="does not say which model it is for; expected --model"):
        options(UpSettings(home=tmp_path))
    assert options(UpSettings(home=tmp_path, model="m")).name == "model"


def test_what_was_kept_and_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text('{"model": "m"}')
    with pytest.raises(ValueError, match=r"up.json: name: Field required"):
        read_kept(tmp_path)


@pytest.mark.integration  # each starts Python twice
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "expected either --once or --if-due"),
        (("--once", "--if-due"), 2, "expected either --once or --if-due"),
        (("--once", "--plan", "/nowhere.json"), 2, "nowhere.json"),
        (("--once", "--model", "/nowhere"), 1, "model is '/nowhere': no folder"),
        (("--if-due",), NOT_DUE, "not due: 0 new thumbs; expected at least 16"),
    ],
)
def test_what_cannot_be_is_one_line(
    home: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ended = train(home, *words)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr
    lines = (ended.stderr + ended.stdout).strip().splitlines()
    assert any(said in line for line in lines)


@pytest.mark.integration
def test_a_wrong_home_is_one_line_and_is_not_made(tmp_path: Path) -> None:
    ended = train(tmp_path / "nowhere", "--once")
    assert ended.returncode == 1
    assert (
        ended.stderr.count("\n") == 1 and "nowhere has no log; expected the --home" in ended.stderr
    )
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.integration
def test_a_round_that_runs_already_is_one_line(home: Path) -> None:
    settle(home / "examples", [example(n) for n in range(96)], start=0, end=96)
    with only_one(home / "trainer"):
        ended = train(home, "--once")
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("another trainer holds ")
    assert ended.stdout == "" and "Traceback" not in ended.stderr


@pytest.mark.integration
def test_a_model_that_cannot_be_loaded_fails_with_its_reason(home: Path) -> None:
    rows = [example(n, up=n % 2 == 0, prompt_ids=[5, n + 10]) for n in range(96)]
    settle(home / "examples", rows, start=0, end=96)
    ended = train(home, "--once")
    assert ended.returncode == FAILED, ended.stderr
    assert ended.stdout.startswith("failed: no adapter, ")


@pytest.mark.integration  # two whole rounds
def test_once_gives_a_round_and_its_last_line_says_what_came_of_it(home: Path) -> None:
    model = make_model(home / "model")
    assert train(home, "--once").stdout.startswith("too_few: no adapter, 0 rows")
    rated_by_base(model, home / "examples")
    ended = train(home, "--if-due")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "published: tiny-v1, all gates passed\n"
    assert re.search(r"epoch 2 of 2: loss \d.*, KL to the parent \d.* nats; ", ended.stderr)
    assert load(home / "adapters", "tiny-v1").passed
    tight = {"kl_budget_parent": 1e-6, "min_kl_parent": 0.0}
    strict = PLAN.model_copy(update=tight).model_dump(mode="json")
    (home / "strict.json").write_text(json.dumps(strict))
    ended = train(home, "--once", "--plan", str(home / "strict.json"))
    assert ended.returncode == EXIT_CODES["gated"]
    assert ended.stdout.startswith("gated: tiny-v2, learned: 0 epochs kept; epoch 1 reached")


def test_help_and_docs_tell_every_exit_code() -> None:
    told = subprocess.run(
        [THUMBWHEEL, "train", "--help"],
        env=os.environ | {"COLUMNS": "150"},
        capture_output=True,
        text=True,
    ).stdout
    rows = dict(
        re.findall(r"^\| `(\d+)` \| (.*) \|$", (ROOT / "docs/training.md").read_text(), re.M)
    )
    lines = [line.split(maxsplit=1) for line in CODES_TOLD.splitlines()]
    assert {code for code, _ in lines} >= {str(code) for code in EXIT_CODES.values()}
    assert rows == {code: meaning for code, meaning in lines}
    for code, meaning in lines:
        assert re.search(rf"^ {code} +{re.escape(meaning)}", told, re.MULTILINE), code
