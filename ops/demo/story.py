"""STORY of the demo: users chat, rounds earn their promotion, a sabotage is found out, a rollback.

Nothing is scripted but the users and the sabotage: who is promoted or withdrawn is for ops to say.
"""

import asyncio
from contextlib import closing
from dataclasses import dataclass

import httpx

from feedback.events import BASE
from feedback.log import open_log
from ops import history
from ops.demo.board import Board
from ops.demo.claims import LIFT_POINTS, ROUNDS
from ops.demo.findings import Record
from ops.demo.processes import Broken, come_up, keep_up, thumbwheel
from ops.demo.sabotage import slip_in, train_opposite
from ops.demo.seen import read_record, settled
from ops.demo.stage import NAME, Stage
from ops.demo.users import Crowd, Habits
from ops.demo.watch import Stuck, Watch
from trainer.adapters import load

# In all ten minutes are planned for; these are for slow machines, and for processes that are
# killed on the way.
ROUND_SECONDS = 600.0
REST_SECONDS = 240.0
PAUSE_ANSWERS = 150  # between two acts, so that each can be seen
BY_HAND = "the demo rolls back by hand"
ENOUGH_ANSWERS = 250  # on fewer, seven points were taken back
MARGIN = 3.0  # points: what a hundred more answers could take away


@dataclass
class Story:
    stage: Stage
    board: Board
    seed: int
    sabotaged: str | None = None

    async def play(self) -> None:
        """What goes wrong is said, and shows in the record."""
        try:
            async with asyncio.TaskGroup() as group:
                loop = group.create_task(keep_up(self.stage, self.board.say))
                self.board.wait_for("thumbwheel up; vLLM needs about a minute")
                await come_up(self.stage)
                self.board.say(f"thumbwheel is up: {self.stage.url}, home {self.stage.home}")
                with closing(open_log(self.stage.log)) as log:
                    await self._chat(Watch(log, self.stage.adapters, self.board), group)
                self.board.wait_for("thumbwheel to stop")
                loop.cancel()
        except* (Broken, Stuck) as errors:
            for error in errors.exceptions:
                self.board.say(str(error), "bold red")

    def record(self) -> Record:
        with closing(open_log(self.stage.log)) as log:
            return read_record(log, self.stage.home, self.stage.diary, self.sabotaged)

    async def _chat(self, watch: Watch, group: asyncio.TaskGroup) -> None:
        """Users chat while the acts are played; at the end all that they said must settle."""
        stop = asyncio.Event()
        async with httpx.AsyncClient(
            base_url=self.stage.url, timeout=60.0, trust_env=False
        ) as client:
            crowd = Crowd(client, NAME, habits=Habits(seed=self.seed), diary=self.stage.diary)
            chatting = group.create_task(crowd.chat(stop))
            await self._rounds(watch, group)
            await self._find_out(watch)
            await self._roll_back(watch)
            stop.set()
            await chatting
        self.board.say(f"the users had {crowd.answers} answers and {crowd.errors} errors")
        done = "the last verdicts to become examples"
        await watch.until(done, lambda: settled(self.stage.home, self.stage.diary), REST_SECONDS)

    async def _rounds(self, watch: Watch, group: asyncio.TaskGroup) -> None:
        """Promotions until there are enough. A sabotage learns while the second gathers thumbs."""
        await self._promotions(watch, 1)
        training = group.create_task(train_opposite(self.stage))
        await self._promotions(watch, ROUNDS)
        what = "rounds to lift the true liked rate far enough"
        await watch.until(what, lambda: _is_lifted(watch), ROUND_SECONDS)
        await watch.until("the sabotage to be trained", training.done, REST_SECONDS)
        await watch.until("a moment with nothing on trial", watch.at_rest, ROUND_SECONDS)
        self.sabotaged = slip_in(training.result(), self.stage.adapters, watch.stable)
        self.board.say(f"{self.sabotaged}, which learned the opposite, is slipped in", "bold red")

    async def _promotions(self, watch: Watch, number: int) -> None:
        what = f"round {number} to learn from thumbs and earn its promotion"
        await watch.until(what, lambda: len(watch.moved("promoted")) >= number, ROUND_SECONDS)

    async def _find_out(self, watch: Watch) -> None:
        what = "ops to find out the sabotage"
        name = self.sabotaged
        await watch.until(what, lambda: bool(watch.moved("withdrawn", name)), REST_SECONDS)

    async def _roll_back(self, watch: Watch) -> None:
        """By hand, as a person does who does not like the stable adapter."""
        await self._answers(watch, watch.stable)
        former = load(self.stage.adapters, watch.stable).parent
        self.board.say(f'$ thumbwheel rollback --to {former} --reason "{BY_HAND}"')
        await roll_back(self.stage, former)
        await self._answers(watch, former)

    async def _answers(self, watch: Watch, adapter: str) -> None:
        enough = watch.count.liked(adapter).total + PAUSE_ANSWERS
        what = f"users to have {PAUSE_ANSWERS} answers from {adapter}"
        await watch.until(what, lambda: watch.count.liked(adapter).total >= enough, REST_SECONDS)


async def roll_back(stage: Stage, to: str) -> None:
    """Done, too, where it was killed after it wrote the split: the next try has nothing to do."""
    try:
        await thumbwheel(stage, "rollback", "--to", to, "--reason", BY_HAND)
    except Broken:
        with closing(open_log(stage.log)) as log:
            now = history.splits(log)[-1]
        if not (now.stable == to and now.pinned):
            raise


def _is_lifted(watch: Watch) -> bool:
    """Far enough, and on so many answers that those to come will not take it back."""
    stable, base = watch.count.liked(watch.stable), watch.count.liked(BASE)
    lift_points = 100 * (stable.rate - base.rate)
    return stable.total >= ENOUGH_ANSWERS and lift_points >= LIFT_POINTS + MARGIN
