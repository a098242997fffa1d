"""What lies in a home is counted once, and read whole at the end."""

from feedback.events import BASE
from feedback.log import COMPLETIONS
from ops.demo.diary import Accepted, note
from ops.demo.seen import Count, read_record, settled
from ops.evidence import Thumbs
from tests.ops.made import Place


def test_each_look_counts_only_what_is_new(place: Place) -> None:
    count = Count(place.log)
    place.serve(BASE, 1, up=2, down=1, silent=4)
    count.look()
    count.look()
    assert (count.liked(BASE).total, count.thumbs(BASE)) == (7, Thumbs(2, 3))
    place.serve("demo-v1", 2, up=1)
    place.serve(BASE, 2, down=1)
    count.look()
    assert (count.liked(BASE).total, count.thumbs(BASE)) == (8, Thumbs(2, 4))
    assert count.thumbs("demo-v1") == Thumbs(1, 1)
    assert count.adapters == {BASE, "demo-v1"}


def test_a_record_that_cannot_be_read_is_passed_over(place: Place) -> None:
    place.log.append(COMPLETIONS.name, "c1", b"{}")
    place.serve(BASE, 1, up=1)
    count = Count(place.log)
    count.look()
    assert count.liked(BASE).total == 1
    assert len(read_record(place.log, place.home, place.home / "diary", None).completions) == 1


def test_the_record_has_all_that_the_demo_left_behind(place: Place) -> None:
    place.serve(BASE, 1, up=3, silent=2)
    place.publish("demo-v1")
    note(place.home / "diary", Accepted("c1", True))
    record = read_record(place.log, place.home, place.home / "diary", "demo-v1")
    assert (len(record.completions), len(record.examples)) == (5, 3)
    assert [manifest.name for manifest in record.manifests] == ["demo-v1"]
    assert record.accepted == [Accepted("c1", True)]
    assert record.sabotaged == "demo-v1"


def test_verdicts_have_settled_when_each_is_an_example(place: Place) -> None:
    diary = place.home / "diary"
    place.serve(BASE, 1, up=2)
    note(diary, Accepted("c1", True))
    note(diary, Accepted("c2", True))
    assert settled(place.home, diary)
    note(diary, Accepted("c3", True))
    assert not settled(place.home, diary)
