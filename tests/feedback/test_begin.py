"""Real processes with wrong settings: one line, and the exit code that says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from feedback.begin import BAD_SETTINGS, known_only

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("FEEDBACK_GUARD", '{"a_dayy": 1}', "feedback_guard.a_dayy: Unexpected keyword argument"),
        ("FEEDBACK_GUARD", '{"a_day": -1}', "feedback_guard.a_day: Input should be greater than"),
        ("FEEDBACK_GUARD", "{a_day: 1}", "feedback_guard: expected JSON: Expecting property name"),
        ("FEEDBACK_GUARD", "{a_day: 1}", "(got '{a_day: 1}')"),
        ("FEEDBACK_WORKRES", "2", "is no setting; did you mean THUMBWHEEL_FEEDBACK_WORKERS?"),
        ("FEEDBACK_Q", "2", "settings: THUMBWHEEL_FEEDBACK_Q is no setting\n"),
        ("FEEDBACK_WORKERS", "0", "feedback_workers: Input should be greater than or equal to 1"),
        ("LOG", "mysql://x", "log url is 'mysql://x'; expected sqlite:///path/to/log.db"),
        ("LOG", "kafka://127.0.0.1:1?partition=3", "partition: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_setting_ends_the_worker_in_one_line(
    setting: str, value: str, complaint: str, tmp_path: Path
) -> None:
    env = os.environ | {f"THUMBWHEEL_{setting}": value, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "feedback"], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == BAD_SETTINGS
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        (["-m", "ops"], "OPS_ALFA"),
        (["-m", "serving"], "SERVING_PROT"),
        (["-m", "trainer", "--once"], "TRAINER_PLAM"),
        (["-m", "trainer.score"], "TRAINER_PLAM"),
        (["-c", "from ops.cli import main; main()", "up"], "OPS_ALFA"),
    ],
)
def test_a_mistyped_setting_ends_each_process(
    words: list[str], setting: str, tmp_path: Path
) -> None:
    env = os.environ | {f"THUMBWHEEL_{setting}": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode
    assert f"THUMBWHEEL_{setting} is no setting; did you mean" in done.stderr + done.stdout


def test_what_kubernetes_tells_of_services_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUMBWHEEL_OPS_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("THUMBWHEEL_OPS_PORT_9104_TCP_ADDR", "10.0.0.1")
    known_only(["ops_port"], "ops")
    monkeypatch.setenv("THUMBWHEEL_OPS_LEASE", "1")
    with pytest.raises(ValueError, match=r"OPS_LEASE is no setting$"):
        known_only(["ops_port"], "ops")


@pytest.mark.parametrize("room", ["feedback", "serving", "ops"])
@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["--port", "1"], 2), (["start"], 2)])
def test_a_process_that_takes_no_arguments_says_so(room: str, words: list[str], code: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", room, *words], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == code
    told = ended.stderr if code else ended.stdout
    assert f"python -m {room}" in told
    assert ("unrecognized arguments" if code else "set in the environment") in told
