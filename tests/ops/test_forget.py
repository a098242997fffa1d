"""A user who is forgotten, on a real log with the real worker; with a real round of the trainer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from feedback import examples
from feedback.events import BASE, Completion, encode
from feedback.privacy import pseudonym
from ops import forget
from ops.act import change_split, first_split
from ops.cli import app
from tests.feedback.made import comparison, completion, correction, thumb
from tests.ops.made import Place
from tests.ops.said import at, say
from tests.trainer.tiny import PLAN, make_model, quiet, rated
from trainer.adapters import Lesson, read_lineage, write_lineage
from trainer.load import load_policy
from trainer.reserved import held_out
from trainer.run import Places, run_round

SECRET = "another secret"  # by their pseudonyms, four of twenty users are held out
ANN, BOB = (pseudonym(SECRET.encode(), name) for name in ("ann", "bob"))


def forgotten(place: Place, user: str = "ann") -> None:
    """As an operator does it, and the worker after them."""
    (place.home / "secret").write_text(SECRET)
    words = ("forget", user, "--yes", "--wait", "0", "--home", str(place.home))
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    place.join()


def everything(place: Place) -> str:
    """All words in all files of the examples, the rows that were replaced and the bytes too."""
    files = examples.batches(place.examples)
    held = [str(row) for batch in files for row in examples.rows(batch)]
    raw = b"".join(path.read_bytes() for path in place.examples.iterdir())
    return "\n".join([*held, raw.decode(errors="replace")])


def talk(place: Place) -> None:
    """ann asks for c1 and has g compared by bob; bob asks for c2, which ann corrects."""
    served = [completion(name, user=ANN) for name in ("c1", "g", "g.1")]
    served.append(completion("c2", user=BOB))
    said = [
        thumb(True, of="c1"),
        comparison("g", "g.1").model_copy(update={"user": BOB}),
        correction("as ann would say it", of="c2").model_copy(update={"user": ANN}),
        thumb(True, 2, of="c2"),
    ]
    items = [("completions", one.id, encode(one)) for one in served]
    items += [("verdicts", one.completion_id, encode(one)) for one in said]
    place.log.append_all(items)
    place.join()


def test_no_word_of_theirs_is_in_any_file_of_the_examples(place: Place) -> None:
    talk(place)
    words = (ANN, "question c1", "answer c1", "question g", "answer g.1", "as ann would say it")
    assert [word for word in words if word in everything(place)] == [*words]
    forgotten(place)
    assert [word for word in words if word in everything(place)] == []
    assert "question c2" in everything(place)


def test_what_they_ask_and_say_later_becomes_no_example(place: Place) -> None:
    talk(place)
    forgotten(place)
    say(place, "c7", ANN)
    say(place, "c8", BOB, rater=ANN)
    place.log.append("verdicts", "c1", encode(thumb(False, 5, of="c1", user=BOB)))
    say(place, "c9", BOB)
    place.join()
    rows = [row for batch in examples.batches(place.examples) for row in examples.rows(batch)]
    assert [(row.completion_id, row.rater) for row in rows] == [("c2", BOB), ("c9", BOB)]


@pytest.mark.parametrize(("user", "rater"), [(ANN, BOB), (BOB, ANN)])
def test_a_file_is_looked_at_until_they_are_out_of_it(place: Place, user: str, rater: str) -> None:
    say(place, "c1", user, rater=rater)
    place.join()
    gone = forget.is_gone(place.examples, ANN)
    assert not gone()
    forgotten(place)
    assert gone()


def adapter(place: Place, name: str, parent: str, *lessons: Lesson) -> None:
    place.publish(name, parent=parent)
    write_lineage(place.adapters / name, list(lessons))


def known(place: Place, user: str = ANN) -> dict[str, tuple[str, bool]]:
    found = forget.known(place.log, place.examples, place.adapters, user)
    return {trace.adapter: (trace.told, trace.learned) for trace in found.traces}


def test_who_learned_from_them_is_told_with_all_that_continue_it(place: Place) -> None:
    talk(place)
    adapter(place, "m-v1", BASE, Lesson("c9", BOB, "train"), Lesson("c1", ANN, "holdout"))
    adapter(place, "m-v2", "m-v1", Lesson("c1", ANN, "train"), Lesson("g", ANN, "train"))
    adapter(place, "m-v3", "m-v2", Lesson("c9", BOB, "train"))
    adapter(place, "m-v4", BASE, Lesson("c2", BOB, "replay"))  # it was ann who rated it
    adapter(place, "m-v5", "m-v3", Lesson("c1", ANN, "holdout"))
    adapter(place, "m-v6", "m-v1", Lesson("c9", BOB, "train"))
    adapter(place, "m-v7", "m-v2", Lesson("c1", ANN, "train"))
    # She wrote what the answer should have been.
    adapter(place, "m-v8", BASE, Lesson("c2", ANN, "train"), Lesson("c2", BOB, "train"))
    assert known(place) == {
        "m-v1": ("holdout 1", False),
        "m-v2": ("train 2", True),
        "m-v3": ("continues m-v2", True),
        "m-v4": ("replay 1", True),
        "m-v5": ("continues m-v3", True),
        "m-v7": ("train 1", True),
        "m-v8": ("train 1", True),
    }


def test_a_lineage_that_cannot_be_read_counts_as_if_they_were_in_it(place: Place) -> None:
    adapter(place, "m-v1", BASE)
    (place.adapters / "m-v1" / "lineage.jsonl").write_text("{}\n")
    told, learned = known(place)["m-v1"]
    assert (told.startswith("perhaps: "), learned) == (True, True)


def test_the_way_back_is_the_last_stable_that_has_nothing_of_them(place: Place) -> None:
    for name in ("m-v1", "m-v2", "m-v3"):
        adapter(place, name, BASE)
    split = first_split(place.log)
    for name in ("m-v1", "m-v2", "m-v3"):
        split = change_split(place.log, split, "better", "ops", stable=name)

    def back(*learned: str) -> str | None:
        return forget.way_back(place.log, place.adapters, list(learned))

    assert back("m-v3") == "m-v2"
    assert back("m-v3", "m-v2") == "m-v1"
    assert back("m-v3", "m-v2", "m-v1") == BASE
    assert back("m-v2") is None
    change_split(place.log, split, "on trial", "ops", canary="m-v1", share_percent=5.0)
    assert back("m-v1") == "m-v3"


@pytest.mark.parametrize("user", ["ann", "ANN", ANN.upper(), ANN + "0", f"{ANN}\n", ""])
def test_what_the_gateway_never_makes_is_no_pseudonym(user: str) -> None:
    assert forget.checked(ANN) == ANN
    with pytest.raises(ValueError, match="user is no pseudonym; expected 24 digits"):
        forget.checked(user)


def served(base: Path) -> Iterator[Completion]:
    """What a tiny model said to twenty users, as the gateway would have it."""
    for row in rated(load_policy(str(base), None, PLAN), BASE, range(96)):
        number = row.offset
        yield completion(row.completion_id).model_copy(
            update={
                "at": at(number),
                "user": pseudonym(SECRET.encode(), f"user{number % 20}"),
                "prompt_ids": tuple(row.prompt_ids),
                "answer_ids": tuple(row.answer_ids),
                "logprobs": tuple(row.logprobs),
                "answer": "up" if row.up else "down",
            }
        )


@pytest.mark.integration  # two rounds of a tiny model
def test_no_round_after_it_learns_from_them(place: Place, tmp_path: Path) -> None:
    torch.set_num_threads(1)  # two wait for each other where the cores are busy
    base = make_model(tmp_path / "base")
    for one in served(base):
        liked = thumb(one.answer == "up", of=one.id).model_copy(update={"at": one.at})
        place.log.append("completions", one.id, encode(one))
        place.log.append("verdicts", one.id, encode(liked))
    place.join()
    names = [f"user{number}" for number in range(20)]
    users = {name: pseudonym(SECRET.encode(), name) for name in names}
    somebody = next(name for name in names if not held_out(users[name], PLAN.holdout_percent))
    places = Places(str(base), "tiny", place.examples, place.adapters, place.home / "trainer")

    def taught() -> set[str]:
        ended = run_round(places, BASE, PLAN, tell=quiet)
        assert ended.manifest is not None, ended.why
        return {lesson.user for lesson in read_lineage(place.adapters, ended.manifest.name)}

    assert taught() == {*users.values()}
    forgotten(place, somebody)
    assert taught() == {*users.values()} - {users[somebody]}
    assert known(place, users[somebody]) == {"tiny-v1": ("train 5", True)}
