"""The command line on a real home."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from feedback import examples
from feedback.events import BASE, Forget, encode
from ops import history
from ops.act import change_split, first_split
from ops.cli import app
from ops.decide import Hold, Trial
from ops.diary import Diary
from ops.kept import Kept, keep
from tests.feedback.made import comparison, completion, retraction
from tests.ops.made import FAILED, Place
from tests.ops.moved import begin
from tests.ops.said import NOON, five_by_ann
from trainer.adapters import Lesson, write_lineage


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")  # the environment is what is tested here, not our code


def run(place: Place, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--home", str(place.home)])


def test_a_home_without_a_log_is_named_and_not_made(tmp_path: Path) -> None:
    for command in ("status", "history", "rounds", "plan", "rollback", "pause", "resume"):
        result = CliRunner().invoke(app, [command, "--home", str(tmp_path / "nowhere")])
        assert result.exit_code == 1
        assert "nowhere has no log; expected the --home of a `thumbwheel up`" in result.output
    assert not (tmp_path / "nowhere").exists()


def test_before_the_first_split_it_says_so(place: Place) -> None:
    place.publish("m-v1")
    for words in (("status",), ("explain", "m-v1")):
        result = run(place, *words)
        assert (result.exit_code, "no split on the log yet" in result.output) == (1, True)


def test_status_tells_the_split_and_every_adapter(place: Place) -> None:
    split = first_split(place.log)
    place.publish("m-v1")
    change_split(place.log, split, "v1 on trial", "ops", canary="m-v1", share_percent=10.0)
    place.serve(BASE, 2, up=1, down=3)
    shown = run(place, "status").output
    assert "revision 2: stable base, canary m-v1 at 10%" in shown
    assert "v1 on trial (ops" in shown
    assert "1/4 = 25%" in shown
    assert "1 passed" in shown


def test_rounds_tells_what_the_watch_saw_of_each(place: Place) -> None:
    place.publish("m-v1")
    place.publish("m-v2", parent="m-v1", gates=FAILED)
    shown = run(place, "rounds")
    assert shown.exit_code == 0, shown.output
    first, second = shown.output.split("of m-v1")  # the second one's parent stands below its name
    assert "passed" in first and "m-v2" in first
    assert "failed kl" in second


def test_before_the_first_round_there_is_nothing_to_tell_of_any(place: Place) -> None:
    assert run(place, "rounds").output == "no round has published an adapter yet\n"


def test_plan_tells_what_the_new_verdicts_can_feed(place: Place, tmp_path: Path) -> None:
    place.serve(BASE, 1, up=6, down=4)
    found = run(place, "plan")  # before the first split base serves
    assert found.exit_code == 0, found.output
    first_split(place.log)
    assert run(place, "plan").output == found.output
    assert "said of base's answers since its data ended" in found.output
    assert "recommended: to wait: 9 thumbs and 4 pairs; expected at least 64" in found.output
    assert "verdicts on 1 prompt " in found.output
    assert re.search(r"kto +│ 9 +│ thumbs +│ 1 ", found.output), found.output  # one held out
    few = tmp_path / "plan.json"
    few.write_text('{"min_rows": 8}')
    untested = "but 1 ups and 0 downs held out; expected 3 of each (min_holdout)"
    assert untested in run(place, "plan", "--plan", str(few)).output
    few.write_text('{"min_rows": 8, "min_holdout": 0}')
    shown = run(place, "plan", "--plan", str(few)).output
    assert "recommended: kto: 9 thumbs, and only 4 pairs" in shown
    keep(place.home, Kept(model="/models/tiny", name="m", plan=few))  # what the loop runs with
    assert "enough for a round (8)" in run(place, "plan").output
    few.write_text('{"min_row": 8}')
    wrong = run(place, "plan", "--plan", str(few))
    assert (wrong.exit_code, "min_row" in wrong.output) == (78, True)
    few.write_text(f'{{"golden": "{tmp_path}/gone"}}')  # which the round would need
    gone = run(place, "plan", "--plan", str(few))
    assert (gone.exit_code, f"golden is '{tmp_path}/gone'" in gone.output) == (78, True)
    assert "recommended: " in gone.output


def test_a_wrong_setting_ends_a_round_by_hand_as_the_trainer_would(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THUMBWHEEL_ENGINE_URL", "localhost:59999")
    wrong = run(place, "train", "--once", "--model", "m")
    assert wrong.exit_code == 78
    assert wrong.output == (
        "thumbwheel: engine_url: 'localhost:59999' is no address; expected http://HOST:PORT\n"
    )


@pytest.mark.parametrize("setting", ["ENGINE_URL", "OPS_PROMETHEUS_URL", "LOG"])
def test_no_password_is_told(place: Place, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    kind = "kafka" if setting == "LOG" else "http"
    # Settings come from there; nothing of ours is replaced.
    monkeypatch.setenv(f"THUMBWHEEL_{setting}", f"{kind}://ann:fiddle@[a b")
    wrong = run(place, "status")
    assert wrong.exit_code
    assert "fiddle" not in wrong.output


def test_rollback_pause_resume_and_history(place: Place) -> None:
    split = first_split(place.log)
    place.publish("m-v1")
    change_split(place.log, split, "better", "ops", stable="m-v1")
    assert "stable base, paused" in run(place, "rollback", "--reason", "it was rude").output
    result = run(place, "rollback")
    assert (result.exit_code, "taken back already, at revision 3" in result.output) == (1, True)
    result = run(place, "rollback", "--to", "m-v7")
    assert (
        result.exit_code,
        "m-v7 was never stable; expected one of base, m-v1" in result.output,
    ) == (1, True)
    result = run(place, "rollback", "--to", BASE)
    assert (result.exit_code, "base is stable already" in result.output) == (1, True)
    result = run(place, "pause")
    assert (result.exit_code, "paused already" in result.output) == (1, True)
    assert "paused" not in run(place, "resume").output.splitlines()[0]
    result = run(place, "resume")
    assert (result.exit_code, "not paused" in result.output) == (1, True)
    result = run(place, "rollback")
    assert (result.exit_code, "nothing is before it" in result.output) == (1, True)
    assert "stable m-v1, paused" in run(place, "rollback", "--to", "m-v1").output
    shown = run(place, "history").output
    assert "it was rude" in shown
    assert shown.count("rolled_back") == 2


def test_explain_tells_why_with_the_numbers_as_they_were(place: Place) -> None:
    begin(place, "m-v1")
    place.serve(BASE, 2, up=20, down=80)
    place.serve("m-v1", 2, up=1, down=18)
    now = Trial(history.splits(place.log)[-1], None, seconds=5.0, step_seconds=5.0)
    Diary(place.log, "ops").write(now, Hold("no sign yet"), {"thumbs.gain": -0.123456})
    shown = run(place, "explain", "m-v1")
    assert shown.exit_code == 0, shown.output
    assert "m-v1, made of base by" in shown.output and ": canary" in shown.output
    assert "0.1 of 3.0" in shown.output  # the gate's word
    assert "m-v1 passed its gates" in shown.output  # the move's
    assert "-0.1235" in shown.output


def test_explain_names_those_that_there_are(place: Place) -> None:
    first_split(place.log)
    place.publish("m-v1")
    result = run(place, "explain", "m-v2")
    assert result.exit_code == 1
    assert "no adapter is named 'm-v2'; published are m-v1" in result.output


def test_promote_makes_the_canary_stable_and_nobody_else(place: Place) -> None:
    begin(place, "m-v1")
    wrong = run(place, "promote", "m-v2")
    assert (wrong.exit_code, "the canary is m-v1, not m-v2" in wrong.output) == (1, True)
    assert "stable m-v1" in run(place, "promote", "m-v1", "--reason", "it is Friday").output
    again = run(place, "promote")
    assert (again.exit_code, "there is no canary; m-v1 is stable" in again.output) == (1, True)
    assert "it is Friday" in run(place, "history").output


def test_a_roll_back_lets_nothing_count_that_a_rater_said(place: Place) -> None:
    begin(place, "m-v1")
    place.serve("m-v1", 2, up=2)
    result = run(place, "rollback", "--quarantine", "user of c1", "--quarantine", "c2")
    assert "1 verdicts of user of c1 count no more" in result.output
    assert "1 verdicts of c2 count no more" in result.output
    place.join()
    assert [row.weight for row in examples.read(place.examples).examples] == [0.0, 0.0]


def test_trace_follows_one_id_through_every_stop(place: Place) -> None:
    split = first_split(place.log)
    place.serve(BASE, 1, up=1)  # its id is c1
    place.publish("m-v1")  # learned from c1
    asked_and_corrected = [Lesson("c1", who, "train") for who in ("ann", "editor")]
    write_lineage(place.adapters / "m-v1", asked_and_corrected)
    change_split(place.log, split, "v1 on trial", "ops", canary="m-v1", share_percent=10.0)
    shown = run(place, "trace", "c1").output
    assert shown.count("m-v1: train") == 1
    for told in (
        "by base, split revision 1",
        "thumb up by whoever asked, key kc1, at verdicts/0:0",
        "thumb by user of c1 settled as up, weight 1, from verdicts/0:0",
        "m-v1: train",
        "revision 2: stable base, canary m-v1 10% (v1 on trial)",
    ):
        assert told in shown
    result = run(place, "trace", "c9")
    assert (result.exit_code, "no completion 'c9'" in result.output) == (1, True)


def test_trace_tells_who_ruled_and_why(place: Place) -> None:
    five_by_ann(place)
    run(place, "quarantine", "release", "c4", "--wait", "0", "--reason", "I asked them")
    place.join()
    shown = run(place, "trace", "c4").output
    day = f"{NOON:%Y-%m-%d}"
    for told in (
        f"weight 0 for thumb by ann, by guard: 5 completions judged on {day}",
        "weight 1 for thumb by ann, by ",
        "settled as up, weight 0 (guard: 5 completions judged",
        "I asked them), from verdicts/0:3",
    ):
        assert told in shown
    assert "ruling" not in run(place, "trace", "c3").output


def test_trace_tells_of_a_comparison_whichever_answer_one_asks_for(place: Place) -> None:
    for served in (completion("r"), completion("r.1")):
        place.log.append("completions", "r", encode(served))
    place.log.append("verdicts", "r", encode(comparison("r", "r.1", "b")))
    place.join()
    for name in ("r", "r.1"):
        shown = run(place, "trace", name).output
        assert "comparison, b of a, r, and b, r.1, by whoever asked, key x1" in shown
        assert "comparison by ann settled as b of a, r, and b, r.1, weight 1" in shown
        assert "replaced since" not in shown
    place.log.append("verdicts", "r", encode(retraction(2, of="r", slot="comparison")))
    place.join()
    for name in ("r", "r.1"):
        shown = run(place, "trace", name).output
        assert "retraction of comparison by whoever asked, key r2" in shown
        assert "weight 1, from verdicts/0:0, replaced since" in shown
        assert "comparison by ann settled as taken back" in shown


def test_trace_tells_that_the_user_is_forgotten(place: Place) -> None:
    name = "0123456789abcdef01234567"
    place.log.append("completions", "c1", encode(completion(user=name)))
    assert "forget" not in run(place, "trace", "c1").output
    place.log.append("forgets", name, encode(Forget(at=NOON, user=name, by="eve")))
    assert f"by eve: what {name} asked and said is left out" in run(place, "trace", "c1").output


def test_it_says_which_version_it_is() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"thumbwheel {version('thumbwheel')}\n")
