"""A trainer killed at random moments, and started again: no half adapter is ever seen.

Twelve seconds of each start are Python's imports, where a kill tells nothing: the starts that are
killed are forks of one process that has torch loaded. The last is a process of its own.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Timer

import pytest

from tests.integration.processes import ROOT
from tests.trainer.tiny import PLAN, make_model, rated_by_base
from trainer.adapters import MANIFEST, read_lineage, verify

pytestmark = pytest.mark.integration

KILLS = 20
SEED = 7
EXAMPLES = 96
# Loaded once: what a round needs, the model's own modules too. One thread, so that it can fork.
WARM = """
import json, os, runpy, sys
import torch
torch.set_num_threads(1)
from tests.trainer.tiny import PLAN
import trainer.run
from trainer.load import load_policy
load_policy(sys.argv[1], None, PLAN)
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(2, 1)  # its last line is not the parent's
        os.environ.update(json.loads(line))
        sys.argv = ["trainer", "--once"]
        runpy.run_module("trainer", run_name="__main__", alter_sys=True)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def kill(child: int) -> None:
    """It may have ended at this very moment."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


@dataclass
class Trainer:
    process: subprocess.Popen[str]
    home: Path

    def once(self, store: str, dies_after: float | None = None) -> int:
        """The exit code; of one that was killed in time, -9."""
        child = int(self._ask(json.dumps(settings(self.home, store))))
        timer = Timer(dies_after or 0, kill, (child,))
        if dies_after is not None:
            timer.start()
        code = int(self._line())
        timer.cancel()
        return code

    def _ask(self, word: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its examples."""
    home = tmp_path_factory.mktemp("crash")
    rated_by_base(make_model(home / "base"), home / "examples", EXAMPLES)
    plan = PLAN.model_copy(update={"epochs": 6})
    (home / "plan.json").write_text(plan.model_dump_json())
    return home


def settings(home: Path, store: str) -> dict[str, str]:
    said = {
        "LOG": f"sqlite:///{home}/log.db",
        "MODEL": str(home / "base"),
        "NAME": "tiny",
        "EXAMPLES": str(home / "examples"),
        "ADAPTERS": str(home / store),
        "TRAINER_STATE": str(home / f"{store}-state"),
        "TRAINER_PLAN": str(home / "plan.json"),
    }
    return {f"THUMBWHEEL_{name}": value for name, value in said.items()}


@contextmanager
def trainer(home: Path) -> Iterator[Trainer]:
    with (home / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", WARM, str(home / "base")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
        )
        started = Trainer(process, home)
        try:
            assert started._line() == "ready\n", (home / "out").read_text()
            yield started
        finally:
            process.kill()
            process.communicate()


def seen(store: Path) -> list[str]:
    """Every adapter that can be seen, each held against its manifest."""
    names = [path.parent.name for path in store.glob(f"*/{MANIFEST}")]
    return [verify(store, name).name for name in names]


def went_on(home: Path) -> int:
    return (home / "out").read_text().count("goes on with a round that died, after epoch")


def test_killed_twenty_times_it_ends_as_if_never_disturbed(home: Path) -> None:
    random, codes = Random(SEED), list[int]()
    with trainer(home) as started:
        began = time.monotonic()
        assert started.once("calm") == 0
        seconds = time.monotonic() - began
        expected = verify(home / "calm", "tiny-v1").files
        # On a busy machine many die before there is anything to go on with: those show little.
        while codes.count(-signal.SIGKILL) < KILLS or went_on(home) <= KILLS / 4:
            assert len(codes) < 4 * KILLS, f"{went_on(home)} went on: {codes}"
            codes.append(started.once("killed", dies_after=random.uniform(0, seconds)))
            assert codes[-1] in (0, -signal.SIGKILL), (home / "out").read_text()
            assert len(seen(home / "killed")) >= codes.count(0)
    ended = subprocess.run(
        [sys.executable, "-m", "trainer", "--once"],
        cwd=ROOT,
        env={**os.environ, **settings(home, "killed")},
    )
    assert ended.returncode == 0
    for name in seen(home / "killed"):
        assert verify(home / "killed", name).files == expected
        learned = sorted(lesson.completion_id for lesson in read_lineage(home / "killed", name))
        assert learned == sorted(f"c{number}" for number in range(EXAMPLES))
