import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.lock import RoundRunning, only_one


def test_the_second_is_refused_and_may_come_when_the_first_is_done(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(RoundRunning, match=r"round\.lock"), only_one(tmp_path):
        raise AssertionError("two hold the lock")
    with only_one(tmp_path):
        pass


def test_the_lock_of_a_killed_trainer_is_free(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from trainer.lock import only_one
with only_one(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=dict(os.environ))
    assert died.returncode == -signal.SIGKILL
    with only_one(tmp_path):
        pass
