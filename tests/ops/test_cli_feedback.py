"""What operators type about feedback, on a real home."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from feedback.events import Forget, decode
from feedback.log import read_all
from feedback.privacy import pseudonym
from ops.act import change_split, first_split
from ops.cli import app
from tests.ops.made import Place
from tests.ops.said import five_by_ann, rows, say, weights, working

SECRET = "a secret of some length"
ANN = pseudonym(SECRET.encode(), "ann@example.org")
BOB = pseudonym(SECRET.encode(), "bob@example.org")
EXPORT = (Path(__file__).parents[2] / "docs/export.md").read_text()


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")  # the environment is what is tested here, not our code
    monkeypatch.delenv("THUMBWHEEL_SECRET", raising=False)


def run(place: Place, *words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, [*words, "--home", str(place.home)], input=answer)


def wishes(place: Place) -> list[str]:
    return [decode(record.value, (Forget,)).user for record in read_all(place.log, "forgets")]


def two_users(place: Place) -> None:
    """c1 to c3 are ann's, c4 is bob's and ann rated it, c5 is bob's."""
    (place.home / "secret").write_text(SECRET)
    for number in (1, 2, 3):
        say(place, f"c{number}", ANN)
    say(place, "c4", BOB, rater=ANN)
    say(place, "c5", BOB)
    place.join()


def test_the_commands_of_the_docs_export_what_was_said(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(place, "c1", "ann")
    place.join()
    monkeypatch.chdir(place.home)
    monkeypatch.setenv("THUMBWHEEL_HOME", str(place.home))
    block = re.search(r"^```sh\n(.*?)^```$", EXPORT, re.MULTILINE | re.DOTALL)
    assert block is not None
    told = [CliRunner().invoke(app, shlex.split(line)[1:]).output for line in block[1].splitlines()]
    assert told == [
        "1 rows of 1 examples in kto.jsonl\n",
        "0 rows of 0 examples in dpo.jsonl\n"
        "  1 left out: a thumb with no opposite on another answer\n",
        "1 rows of 1 examples in sft.jsonl\n",
    ]
    (row,) = (place.home / "kto.jsonl").read_text().splitlines()
    assert json.loads(row)["completion"] == [{"role": "assistant", "content": "answer c1"}]


def test_an_export_that_cannot_be_is_told_in_one_line(place: Place) -> None:
    say(place, "c1", "ann")
    place.join()
    out = place.home / "kto.jsonl"
    asked = ("export", "--as", "kto", "--out")
    too_long = place.home / ("x" * 253)  # its draft's name is longer than a name may be
    for words, complaint in (
        (("--min-weight", "2"), "min_weight is 2.0; expected 0 to 1"),
        ((), ""),
        ((), "is there already; expected a new name, or overwrite"),
        (("--overwrite",), ""),
    ):
        result = run(place, *asked, str(out), *words)
        assert (result.exit_code, complaint in result.output) == (bool(complaint), True)
    result = run(place, *asked, str(too_long))
    assert (result.exit_code, "File name too long" in result.output) == (1, True)
    assert len(result.output.splitlines()) == 1


def test_the_quarantine_is_listed_by_rater_with_the_reasons(place: Place) -> None:
    say(place, "c9", "bob")
    place.join()
    assert "nothing is quarantined that nobody decided on" in run(place, "quarantine").output
    five_by_ann(place)
    (line,) = [one for one in run(place, "quarantine").output.splitlines() if "ann" in one]
    for told in ("2 completions", "base", "12:00:05", "quarantined", "at most 3 a day"):
        assert told in line
    reason = "[bold]spam[/bold] :cat: [x]"  # no markup
    run(place, "quarantine", "drop", "c5", "--wait", "0", "--reason", reason)
    place.join()
    (line,) = [one for one in run(place, "quarantine").output.splitlines() if "ann" in one]
    assert " c4 " in line
    assert "dropped by" not in run(place, "quarantine").output
    (line,) = [one for one in run(place, "quarantine", "--all").output.splitlines() if "c5" in one]
    assert "dropped by" in line
    assert reason in line


def test_a_release_is_waited_for(place: Place) -> None:
    five_by_ann(place)
    with working(place):
        result = run(place, "quarantine", "release", "ann", "--reason", "I asked them")
    assert (result.exit_code, result.output) == (0, "released: 2 verdicts\n")
    assert weights(place)["c4"] == 1
    assert {row.ruling.partition(": ")[2] for row in rows(place) if row.ruling} == {"I asked them"}


def test_who_is_overruled_is_told(place: Place) -> None:
    five_by_ann(place)
    with working(place):
        run(place, "quarantine", "drop", "c4", "--reason", "a joke")
        shown = run(place, "quarantine", "release", "ann").output
    assert "1 of them decided otherwise before, the last c4 by " in shown
    assert ": a joke\nreleased: 2 verdicts\n" in shown


def test_a_decision_that_no_worker_settles_is_told_to_be_on_the_log(place: Place) -> None:
    five_by_ann(place)
    result = run(place, "quarantine", "drop", "ann", "--wait", "0")
    assert result.exit_code == 0
    assert "not dropped yet: 2 verdicts. It is on the log" in result.output
    assert "Older verdicts than feedback_window_days and a day stay" in result.output


def test_all_that_one_has_said_is_voided(place: Place) -> None:
    five_by_ann(place)
    result = run(place, "quarantine", "void", "ann", "--wait", "0")
    assert "not voided yet: 5 verdicts" in result.output
    result = run(place, "quarantine", "void", "pam")
    assert (result.exit_code, "nothing that 'pam' said" in result.output) == (1, True)
    place.join()
    assert set(weights(place).values()) == {0.0}


def test_a_decision_on_nobody_is_refused_in_one_line(place: Place) -> None:
    five_by_ann(place)
    for words, complaint in (
        (("release", "pam"), "nothing that 'pam' said"),
        (("release",), "release of what? expected a rater"),
    ):
        result = run(place, "quarantine", *words)
        assert (result.exit_code, complaint in result.output) == (1, True)
        assert len(result.output.splitlines()) == 1


def test_status_counts_no_thumbs_that_are_quarantined(place: Place) -> None:
    first_split(place.log)
    five_by_ann(place)
    assert "3/3 = 100%" in run(place, "status").output


def test_a_user_is_found_by_the_app_s_own_id_and_leaves_the_examples(place: Place) -> None:
    two_users(place)
    with working(place):
        result = run(place, "forget", "ann@example.org", answer="y\n")
    assert result.exit_code == 0, result.output
    assert f"{ANN}: 4 examples" in result.output
    assert "This cannot be undone (--yes does not ask). Go on? [y/N]: y" in result.output
    assert "done: no example is theirs" in result.output
    assert wishes(place) == [ANN]
    assert {row.completion_id for row in rows(place)} == {"c5"}


def test_without_a_yes_nothing_is_done(place: Place) -> None:
    two_users(place)
    for answer in ("n\n", ""):
        assert run(place, "forget", "ann@example.org", answer=answer).exit_code == 1
    assert wishes(place) == []


def test_a_pseudonym_needs_no_secret_and_a_name_is_not_taken_for_one(place: Place) -> None:
    two_users(place)
    (place.home / "secret").unlink()
    result = run(place, "forget", "ann@example.org", "--yes")
    assert (result.exit_code, "expected THUMBWHEEL_SECRET as the" in result.output) == (1, True)
    assert not (place.home / "secret").exists()
    result = run(place, "forget", "ann@example.org", "--pseudonym", "--yes")
    assert (result.exit_code, "user is no pseudonym; expected 24" in result.output) == (1, True)
    assert wishes(place) == []
    assert run(place, "forget", ANN, "--pseudonym", "--yes", "--wait", "0").exit_code == 0
    assert wishes(place) == [ANN]


def test_the_secret_of_the_environment_is_the_gateway_s(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_users(place)
    (place.home / "secret").write_text("of another gateway")
    monkeypatch.setenv("THUMBWHEEL_SECRET", SECRET)
    result = run(place, "forget", "ann@example.org", "--yes", "--wait", "0")
    assert f"{ANN}: 4 examples" in result.output
    assert "not done yet: examples of theirs are left. It is on the log" in result.output
    monkeypatch.setenv("THUMBWHEEL_SECRET", "")  # as `up` takes it: not set
    result = run(place, "forget", "ann@example.org", "--yes", "--wait", "0")
    assert f"{pseudonym(b'of another gateway', 'ann@example.org')}: 0 examples" in result.output


def test_a_user_whom_nobody_knows_is_told_so_and_the_wish_is_kept(place: Place) -> None:
    two_users(place)
    result = run(place, "forget", "carl@example.org", "--yes")
    assert (result.exit_code, "is the id right, and the secret?" in result.output) == (0, True)
    (carl,) = wishes(place)
    say(place, "c6", carl)
    place.join()
    assert "c6" not in {row.completion_id for row in rows(place)}


def test_forgetting_twice_does_no_harm(place: Place) -> None:
    two_users(place)
    for _ in range(2):
        with working(place):
            result = run(place, "forget", "ann@example.org", "--yes")
        assert (result.exit_code, "done: no example is theirs" in result.output) == (0, True)
    assert "asked for already by" in result.output
    assert "asked for already by" not in run(place, "forget", "bob@example.org").output
    assert {row.completion_id for row in rows(place)} == {"c5"}


def test_adapters_that_learned_are_named_and_how_to_go_back(place: Place) -> None:
    two_users(place)
    place.publish("m-v1")  # it learned c1
    split = first_split(place.log)
    change_split(place.log, split, "better", "ops", stable="m-v1")
    result = run(place, "forget", "ann@example.org", "--yes", "--wait", "0")
    assert "train 1" in result.output
    assert "m-v1 keep what they learned" in result.output
    assert "thumbwheel rollback --to base" in result.output
