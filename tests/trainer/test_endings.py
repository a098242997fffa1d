import os
import re
import subprocess
from pathlib import Path

import pytest

from trainer.endings import CANNOT_BEGIN, EXIT_CODES, FAILED, NOT_DUE

ROOT = Path(__file__).parents[2]
WELL = {*EXIT_CODES.values(), NOT_DUE}


def test_no_two_endings_share_an_exit_code_and_only_success_is_0() -> None:
    codes = [*EXIT_CODES.values(), FAILED]
    assert len(set(codes)) == len(codes)
    assert [ending for ending, code in EXIT_CODES.items() if code == 0] == ["published"]
    # Those of Python's own errors, of wrong arguments, and of settings.
    assert not set(codes) & {1, 2, 78}


@pytest.mark.parametrize("code", sorted({*WELL, FAILED, CANNOT_BEGIN, 2, 78, 143}))
def test_the_cronjob_of_the_docs_fails_only_with_what_is_worth_another_try(
    code: int, tmp_path: Path
) -> None:
    docs = (ROOT / "docs/training.md").read_text()
    [snippet] = re.findall(r"^```sh\n(python -m trainer --if-due; .*?)^```$", docs, re.M | re.S)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$*" = "-m trainer --if-due" ] || exit 99\nexit {code}\n')
    python.chmod(0o755)
    environ = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ended = subprocess.run(["sh", "-c", snippet], env=environ)
    assert ended.returncode == (0 if code in WELL else code)
