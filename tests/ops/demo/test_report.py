"""The closing report says what the log says."""

from pathlib import Path

from ops.demo.findings import Record
from ops.demo.report import render
from tests.ops.demo.made import told


def test_the_report_has_every_adapter_and_every_move() -> None:
    report = render(told(), "demo-report.png")
    assert "All 5 things that the demo is to show have happened." in report
    assert "![How the liked rate grew](demo-report.png)" in report
    assert "| model-v3 | withdrawn (sabotaged) |" in report
    assert "| 0.45 ± 0.05 |" in report
    assert "| 180 s | 10 | model-v1 |  | ann |" in report


def test_a_bar_in_a_reason_does_not_break_the_table() -> None:
    rows = [line for line in render(told(), "p.png").splitlines() if line[:1] == "|"]
    assert {row.count("|") for row in rows} == {7, 10}


def test_what_was_not_shown_is_said_first() -> None:
    report = render(Record(splits=told().splits[:1]), "p.png")
    assert report.splitlines()[2].startswith("Not shown, of 5 things: 2 rounds")


def test_a_demo_that_never_came_up_has_a_report_too() -> None:
    assert render(Record(), "p.png").splitlines()[2].startswith("Not shown, of 5 things")


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    from ops.demo.plot import draw  # takes most of a second, and the other tests do without

    draw(told(), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_without_answers_there_is_no_plot(tmp_path: Path) -> None:
    from ops.demo.plot import draw  # as above

    draw(Record(), tmp_path / "plot.png")
    assert not (tmp_path / "plot.png").exists()
