import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ops.running.reaper import Reaper, groups_left


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, process_group=0)
    yield sleeper
    sleeper.communicate()


def test_only_groups_that_were_not_taken_back_are_left() -> None:
    assert groups_left(["+1\n", "+2\n", "-1\n", "+3\n"]) == {2, 3}


def test_a_watched_group_ends_with_its_supervisor(sleeper: subprocess.Popen[bytes]) -> None:
    reaper = Reaper()
    reaper.watch(sleeper.pid)
    reaper.close()
    assert sleeper.wait(20) == -signal.SIGKILL


def test_a_forgotten_group_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    reaper = Reaper()
    reaper.watch(sleeper.pid)
    reaper.forget(sleeper.pid)
    reaper.close()
    assert sleeper.poll() is None


def test_a_killed_reaper_is_replaced_by_one_that_knows_all(
    sleeper: subprocess.Popen[bytes],
) -> None:
    reaper = Reaper()
    reaper.watch(sleeper.pid)
    os.kill(reaper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, reaper.pid, os.WEXITED | os.WNOWAIT)
    reaper.watch(2**22)  # above every process id: an empty group
    reaper.close()
    assert sleeper.wait(20) == -signal.SIGKILL
