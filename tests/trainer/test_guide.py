import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from feedback.begin import BAD_SETTINGS
from trainer.guide import BadGuide, read_guide, require_judge
from trainer.plan import GUIDES, Plan
from trainer.settings import JudgeAt


def plan(**fields: object) -> Plan:
    asked = {reader: 9 for name, reader in GUIDES.items() if name in fields}
    return Plan.model_validate({"method": "dpo"} | asked | fields)


def test_without_files_there_is_a_rubric_and_no_principle() -> None:
    guide = read_guide(plan())
    assert "Length" in guide.rubric
    assert guide.principles == ()


def test_a_rubric_is_read_whole_and_a_constitution_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "rubric").write_text("Be brief.\nBe right.\n")
    (tmp_path / "constitution").write_text("# ours\nBe kind.\n\n  Be honest.  \n#Be rude.\n")
    rubric, constitution = str(tmp_path / "rubric"), str(tmp_path / "constitution")
    guide = read_guide(plan(judge_rubric=rubric, constitution=constitution))
    assert guide == ("Be brief.\nBe right.", ("Be kind.", "Be honest."))


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("judge_rubric", None, "is {}; expected a text file: .* No such file"),
        ("judge_rubric", b" \n", "{} is empty; expected what makes an answer better"),
        ("judge_rubric", b"\xff", "is {}; expected a text file: 'utf-8' codec"),
        ("constitution", None, "is {}; expected a text file: .* No such file"),
        ("constitution", b"# none\n", "{} has no principle; expected one a line"),
    ],
)
def test_a_file_that_says_nothing_is_refused_by_name(
    tmp_path: Path, field: str, text: bytes | None, why: str
) -> None:
    path = tmp_path / "file"
    if text is not None:
        path.write_bytes(text)
    why = why.format(re.escape(repr(str(path))))
    with pytest.raises(BadGuide, match=f"^the plan's {field} {why}"):
        read_guide(plan(**{field: str(path)}))


def test_of_a_relative_path_it_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadGuide, match=f"expected a text file in {re.escape(str(tmp_path))}: "):
        read_guide(plan(constitution="ours.txt"))


def test_pairs_to_judge_need_a_judge() -> None:
    with pytest.raises(BadGuide, match="judged_pairs is 9 and there is no judge; expected trainer"):
        require_judge(plan(judged_pairs=9), None)
    require_judge(plan(judged_pairs=9), JudgeAt("http://127.0.0.1:1/v1", "wise"))
    require_judge(plan(), None)


@pytest.mark.integration
def test_a_trainer_whose_judge_is_missing_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"method": "dpo", "judged_pairs": 9}')
    env = {"THUMBWHEEL_MODEL": "none", "THUMBWHEEL_TRAINER_PLAN": "plan.json"}
    ended = subprocess.run(
        [sys.executable, "-m", "trainer", "--once"],
        env=os.environ | env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    told = (
        "settings: judged_pairs is 9 and there is no judge; "
        "expected trainer_judge_url and trainer_judge_model\n"
    )
    assert (ended.returncode, ended.stderr) == (BAD_SETTINGS, told)
