"""What users say in a place, with the real worker and the real guard over it."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, time, timedelta

from feedback import examples
from feedback.events import encode
from feedback.examples import Example
from feedback.guard import Rules
from feedback.patrol import Patrol
from feedback.raters import Raters
from tests.feedback.made import completion, thumb
from tests.ops.made import Place

# Rulings are given now, and the worker lets go of what is older than a fortnight before that. At
# noon, so that five verdicts are of one day.
NOON = datetime.combine(datetime.now(UTC) - timedelta(days=1), time(12), UTC)


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def say(place: Place, name: str, user: str, *, rater: str | None = None) -> None:
    """One answer to `user` and a thumb on it, on the log and not yet joined."""
    number = int(name.strip("c"))
    served = completion(name, user=user).model_copy(update={"at": at(number)})
    liked = thumb(True, of=name, user=rater).model_copy(update={"at": at(number + 1)})
    place.log.append("completions", name, encode(served))
    place.log.append("verdicts", name, encode(liked))


def patrol(place: Place) -> int:
    """The guard's turn; a rater's first three completions a day count."""
    rules = Rules(a_day=3, in_a_burst=1000)
    with closing(Raters(place.home / "raters.db")) as raters:
        found = Patrol(place.log, place.examples, raters, rules).step()
    place.join()
    return found


def five_by_ann(place: Place) -> None:
    """c1 to c3 count; c4 and c5 are quarantined."""
    for number in range(1, 6):
        say(place, f"c{number}", "ann")
    place.join()
    assert patrol(place) == 2


def weights(place: Place) -> dict[str, float]:
    return {row.completion_id: row.weight for row in rows(place)}


def rows(place: Place) -> list[Example]:
    return examples.read(place.examples).examples


@contextmanager
def working(place: Place) -> Iterator[None]:
    """The worker goes on meanwhile, as its own process would."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            place.join()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()
