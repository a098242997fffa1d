import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from feedback.shares import Shares


def test_one_worker_has_all(tmp_path: Path) -> None:
    with closing(Shares(tmp_path, partitions=6, workers=1)) as only:
        assert only.mine() == [0, 1, 2, 3, 4, 5]
        assert only.mine() == [0, 1, 2, 3, 4, 5]


def test_workers_share_and_no_partition_is_twos(tmp_path: Path) -> None:
    three = [Shares(tmp_path, partitions=7, workers=3) for _ in range(3)]
    held = [worker.mine() for worker in three]
    assert held == [[0, 1, 2], [3, 4, 5], [6]]
    for worker in three:
        worker.close()


def test_what_a_killed_worker_held_is_taken_on(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from feedback.shares import Shares\n"
        "shares = Shares(Path(sys.argv[1]), partitions=2, workers=2)\n"
        "print(shares.mine(), flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert child.stdout is not None
    with child.stdout as said, closing(Shares(tmp_path, partitions=2, workers=1)) as other:
        assert said.readline() == b"[0]\n"
        assert other.mine() == [1]
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert other.mine() == [0, 1]
