import asyncio
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ops.running.screen import Screen, Tail, last_lines


def _terminal(shown: StringIO) -> Console:
    # Whatever the terminal is that the tests run in.
    environ = {"TERM": "xterm"}
    return Console(file=shown, force_terminal=True, color_system="standard", _environ=environ)


def _plain(shown: StringIO, width: int = 80) -> Console:
    return Console(file=shown, width=width, _environ={})


def test_lines_are_plain_where_there_is_no_terminal() -> None:
    shown = StringIO()
    Screen(_plain(shown, width=20)).line("engine", "[bold]a line longer than the width[/]")
    assert shown.getvalue() == "engine   | [bold]a line longer than the width[/]\n"


def test_each_name_has_its_own_colour_on_a_terminal() -> None:
    shown = StringIO()
    screen = Screen(_terminal(shown))
    for name in ("engine", "serving", "engine"):
        screen.line(name, "hello")
    one, other, one_again = shown.getvalue().splitlines()
    assert one == one_again == "\x1b[36mengine   | \x1b[0mhello"
    assert other == "\x1b[35mserving  | \x1b[0mhello"


def test_a_quiet_screen_shows_only_what_the_supervisor_says() -> None:
    shown = StringIO()
    screen = Screen(_plain(shown), show_lines=False)
    screen.line("engine", "hello")
    screen.say("engine is ready after 41.2 s")
    assert shown.getvalue() == "engine is ready after 41.2 s\n"


@pytest.mark.anyio
async def test_who_is_waited_for_long_is_shown_on_a_terminal_and_gone_afterwards() -> None:
    shown = StringIO()
    screen = Screen(_terminal(shown), patience_seconds=0.05)
    with screen.waiting("feedback"):
        await asyncio.sleep(0)
    with screen.waiting("engine"):
        await asyncio.sleep(0.4)
    assert "waiting for engine" in shown.getvalue()
    assert "waiting for feedback" not in shown.getvalue()
    assert shown.getvalue().rstrip("\r").endswith("\x1b[?25h")  # the cursor is back


@pytest.mark.anyio
async def test_nothing_moves_where_there_is_no_terminal() -> None:
    shown = StringIO()
    with Screen(_plain(shown), patience_seconds=0).waiting("engine"):
        await asyncio.sleep(0.1)
    assert shown.getvalue() == ""


def test_a_tail_gives_whole_lines_once_from_where_it_began(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.write_text("of an earlier run\n")
    tail = Tail(path)
    with path.open("a") as file:
        file.write("one\ntw")
        file.flush()
        assert tail.lines() == ["one"]
        file.write("o\n")
        file.flush()
        assert tail.lines() == ["two"]
        assert tail.lines() == []


def test_of_a_progress_bar_only_its_last_state_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    tail = Tail(path)
    assert tail.lines() == []
    path.write_bytes(b"1 of 2\r2 of 2\r\nnext\xff\n")
    assert tail.lines() == ["2 of 2", "next\ufffd"]


def test_a_line_without_end_is_shown_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    tail = Tail(path)
    path.write_bytes(b"x" * (1 << 20))
    assert [len(line) for line in tail.lines()] == [1 << 20]


def test_last_lines_of_a_file_that_is_not_there_are_none(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "engine.log", 3) == []
    (tmp_path / "engine.log").write_text("1\n2\n3\n4\n")
    assert last_lines(tmp_path / "engine.log", 3) == ["2", "3", "4"]
    assert last_lines(tmp_path / "engine.log", 3, start=6) == ["4"]
