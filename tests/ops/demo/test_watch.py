"""The watch waits for what comes, tells what moved, and gives up in time."""

import asyncio
import io

import pytest
from rich.console import Console

from feedback.events import BASE
from ops import history
from ops.act import change_split, first_split
from ops.demo.board import Board, table
from ops.demo.seen import Count
from ops.demo.watch import Stuck, Watch
from serving.split import Split
from tests.ops.demo.made import manifest
from tests.ops.made import Place

pytestmark = pytest.mark.anyio


def start(place: Place) -> Split:
    first = first_split(place.log)
    split = change_split(place.log, first, "passed", "ops", canary="demo-v1", share_percent=10.0)
    history.record(place.log, "started", "demo-v1", split, "it passed its gates")
    return split


async def test_what_moves_while_one_waits_is_told(place: Place) -> None:
    said = io.StringIO()
    watch = Watch(place.log, place.adapters, Board(Console(file=said)))
    waiting = asyncio.create_task(watch.until("a trial", lambda: bool(watch.moves), 10))
    start(place)
    await waiting
    assert "demo-v1 started: it passed its gates" in said.getvalue()
    assert watch.stable == BASE
    assert len(watch.moved("started")) == len(watch.moved("started", "demo-v1")) == 1
    assert watch.moved("promoted") == watch.moved("started", "demo-v2") == []


async def test_what_does_not_come_is_not_waited_for_for_ever(place: Place) -> None:
    watch = Watch(place.log, place.adapters, Board(Console(file=io.StringIO())))
    with pytest.raises(Stuck, match="waited 0 s for a miracle"):
        await watch.until("a miracle", lambda: False, 0.01)


def test_the_table_has_a_row_for_each_that_answered(place: Place) -> None:
    split = start(place)
    place.serve("demo-v1", split.revision, up=9, down=1)
    place.serve(BASE, split.revision, up=5, down=15, silent=3)
    count, shown = Count(place.log), io.StringIO()
    count.look()
    Console(file=shown, width=140).print(table(split, count, [manifest("demo-v1")]))
    base, canary = (line for line in shown.getvalue().splitlines() if "│" in line)
    assert all(
        told in base for told in ("base", "stable 90%", "23", "25% of 20", "11% to 47%", "0%")
    )
    assert all(told in canary for told in ("demo-v1", "canary 10%", "90% of 10", "●", "0.45"))


def test_on_a_terminal_the_table_is_live(place: Place) -> None:
    shown = io.StringIO()
    board, split = Board(Console(file=shown, force_terminal=True, width=100)), start(place)
    place.serve(BASE, 1, up=1)
    count = Count(place.log)
    count.look()
    with board:
        board.wait_for("something")
        board.show(split, count, [])
    assert "something" in shown.getvalue()
    assert "stable 90%" in shown.getvalue()


def test_a_report_is_left_as_it_is_where_nobody_watches() -> None:
    said = io.StringIO()
    Board(Console(file=said, width=20)).tell("| a | [x] |\n| --- | " + "-" * 40)
    assert said.getvalue() == "| a | [x] |\n| --- | " + "-" * 40 + "\n"
