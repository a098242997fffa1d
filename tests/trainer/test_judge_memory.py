from contextlib import closing
from pathlib import Path

import pytest

from trainer.judge_memory import JudgeMemory


def test_what_was_said_is_known_to_the_next_process(tmp_path: Path) -> None:
    with closing(JudgeMemory(tmp_path)) as memory:
        assert memory.word("abc") is None
        memory.keep("abc", "tie")
        memory.keep("abc", "A")
    with closing(JudgeMemory(tmp_path)) as memory:
        assert memory.word("abc") == "A"


def test_the_oldest_go(tmp_path: Path) -> None:
    with closing(JudgeMemory(tmp_path)) as memory:
        for number in range(8):
            memory.keep(str(number), "A")
    with closing(JudgeMemory(tmp_path, most=3)) as memory:
        assert [n for n in range(8) if memory.word(str(n))] == [5, 6, 7]


def test_a_damaged_file_begins_anew_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "judged.db").write_text("no database, but long enough to be taken for one" * 100)
    with closing(JudgeMemory(tmp_path)) as memory:
        memory.keep("abc", "B")
        assert memory.word("abc") == "B"
    assert "judged.db is damaged and begins anew" in caplog.text
