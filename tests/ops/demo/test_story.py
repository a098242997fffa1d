"""A roll-back by hand is done when the split says so, however its command ended."""

from collections.abc import Iterator

import pytest

from feedback.events import BASE
from ops import by_hand, history
from ops.act import change_split, first_split
from ops.demo.processes import Broken
from ops.demo.stage import Stage
from ops.demo.story import roll_back
from tests.ops.made import Place

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture
def place(stage: Stage) -> Iterator[Place]:
    """The stage's home, where demo-v1 is stable."""
    place = Place(stage.home)
    place.publish("demo-v1")
    change_split(place.log, first_split(place.log), "better", "ops", stable="demo-v1")
    yield place
    place.log.close()


async def test_it_moves_the_traffic(stage: Stage, place: Place) -> None:
    await roll_back(stage, BASE)
    now = history.splits(place.log)[-1]
    assert (now.stable, now.pinned, now.reason) == (BASE, True, "the demo rolls back by hand")


async def test_a_command_that_was_killed_after_it_wrote_the_split_did_its_work(
    stage: Stage, place: Place
) -> None:
    by_hand.roll_back(place.log, place.adapters, "ann", BASE)  # all that the killed one left
    await roll_back(stage, BASE)
    assert [move.action for move in history.moves(place.log)] == ["rolled_back"]


async def test_a_command_that_could_not_do_it_is_not_taken_for_done(
    stage: Stage, place: Place
) -> None:
    with pytest.raises(Broken, match="demo-v7 was never stable"):
        await roll_back(stage, "demo-v7")
    with pytest.raises(Broken, match="demo-v1 is stable already"):  # and nobody rolled back
        await roll_back(stage, "demo-v1")
