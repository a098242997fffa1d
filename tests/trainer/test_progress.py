import io
import logging

import pytest
from rich.console import Console
from rich.progress import Progress

from trainer.progress import Bars, Lines, progress


def test_without_a_terminal_a_step_is_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = Lines()
    for done in range(5):
        lines.tell("epoch 1", done, 4)
    assert [message.split(" in ")[0] for message in caplog.messages] == [
        "epoch 1: begins",
        "epoch 1: done",
    ]


def test_on_a_terminal_a_step_is_a_bar() -> None:
    screen = io.StringIO()
    with Progress(console=Console(file=screen, force_terminal=True)) as bars:
        shown = Bars(bars)
        shown.tell("epoch 1", 0, 4)
        shown.tell("epoch 1", 4, 4)
    assert "epoch 1" in screen.getvalue() and "100%" in screen.getvalue()


def test_where_nobody_watches_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as tell:
        tell("gates", 0, 1)
    assert "%" not in capsys.readouterr().err
