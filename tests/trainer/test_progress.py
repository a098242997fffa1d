import io
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from trainer.forecast import Forecast
from trainer.progress import Lines, Panel, progress

# A round as it is told, on whatever the standard error is.
ROUND = """
import logging, time
from trainer.forecast import Forecast
from trainer.progress import progress
logging.basicConfig(level=logging.INFO)
forecast = Forecast({"gates": 600.0})
with progress(forecast) as screen:
    for done in range(5):
        forecast.told("epoch 1 of 1", done, 4, time.monotonic())
        screen.tell("epoch 1 of 1", done, 4)
        screen.note({"loss": 4.0 - done, "sft": 1.0})
    screen.note({"kl_parent": 0.25})
    time.sleep(0.5)
    logging.getLogger("trainer").info("a line of the log")
    time.sleep(0.5)
"""


def told(lines: Lines, forecast: Forecast, step: str, done: int, of: int) -> None:
    forecast.told(step, done, of, float(done))
    lines.tell(step, done, of)


def test_without_a_terminal_a_step_is_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = Lines(Forecast())
    for done in range(5):
        lines.tell("epoch 1", done, 4)
    assert [message.split(" in ")[0] for message in caplog.messages] == [
        "epoch 1: begins",
        "epoch 1: done",
    ]


def test_without_a_terminal_an_epoch_has_a_line_with_its_loss_and_kl(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    forecast = Forecast()
    lines = Lines(forecast)
    for epoch, losses in ((1, (3.0, 2.0)), (2, (1.0, 0.5))):
        told(lines, forecast, f"epoch {epoch} of 2", 0, 2)
        for loss in losses:
            lines.note({"loss": loss, "sft": 9.0})
        told(lines, forecast, f"epoch {epoch} of 2", 2, 2)
        told(lines, forecast, f"drift after epoch {epoch} of 2", 0, 1)
        lines.note({"kl_parent": epoch / 2, "kl_base": 7.0})
    found = [message for message in caplog.messages if "loss" in message]
    assert [message.partition(";")[0] for message in found] == [
        "epoch 1 of 2: loss 2.500, KL to the parent 0.50 nats",
        "epoch 2 of 2: loss 0.750, KL to the parent 1.00 nats",
    ]
    assert all(message.endswith(" left") for message in found)


def test_where_nobody_watches_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(Forecast()) as screen:
        assert isinstance(screen, Lines)


def on_a_terminal(code: str, **env: str) -> str:
    """What a person would be sent, by a process whose standard error is a real terminal."""
    ours, theirs = pty.openpty()
    whole = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40", **env}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=whole)
    os.close(theirs)
    sent = b""
    try:
        while piece := os.read(ours, 65536):
            sent += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0, sent.decode()
    return sent.decode()


def test_a_terminal_shows_bars_curves_and_what_is_left_of_the_whole_round() -> None:
    shown = on_a_terminal(ROUND)
    assert "epoch 1 of 1" in shown and "100%" in shown
    assert "KL to the parent" in shown and "0.250" in shown
    assert "loss" in shown and "█▆▅▃▁" in shown
    assert "the whole round: about 10 min left" in shown
    assert "sft" not in shown


def test_what_is_logged_meanwhile_stands_above_the_bars() -> None:
    shown = on_a_terminal(ROUND)
    line = "INFO:trainer:a line of the log"
    assert shown.count(line) == 1
    # The bars are wiped first and drawn again below it.
    before, after = shown.split(line)
    assert before.endswith("\x1b[2K") and "100%" in after


def test_a_terminal_without_utf_8_gets_plain_curves() -> None:
    shown = on_a_terminal(ROUND, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "@*+-_" in shown and "█" not in shown


def test_what_was_not_measured_has_no_curve(tmp_path: Path) -> None:
    screen = io.StringIO()
    panel = Panel(Console(file=screen, force_terminal=True, width=80), Forecast())
    with panel.live:
        panel.note({"gradient": 1.0})
    assert "loss" not in screen.getvalue()
