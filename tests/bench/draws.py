"""Whether users notice that an engine draws for a round: `python -m tests.bench.draws`.

Real vLLM; users who come by chance, with prompts of all lengths, and read 32 tokens each. In turns
of seconds, in any order, the engine draws nothing; nothing again, which is how much chance does;
what users leave of it, so that few of them meet it; the same, whoever meets it; and, as the peer,
as much at any time. Told is the users' time to the first token, and how much was drawn.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from statistics import quantiles

import aiohttp
import httpx

from tests.punctual import be_punctual
from trainer.engine import Engine
from trainer.sampler import Question, drawn
from trainer.settings import Settings
from trainer.spare import Pace, Spare

NOTHING, AGAIN = "nothing", "nothing, again"
SPARE, MET, ALWAYS = "what users leave", "whoever meets it", "at any time"
TOKENS, DRAWN_TOKENS = 32, 128
_MET_SHARE = Settings.model_fields["trainer_draws_met_share"].default
# So many users leave room, and such a share of them may meet it.
_WAYS = {SPARE: (0, _MET_SHARE), MET: (0, 1.0), ALWAYS: (10**6, 1.0)}
_FIRST, _LAST = 3, 250  # of the tiny model's ids
_PROMPTS = (16, 384)  # tokens
Turn = Callable[[bool], None]  # tells who draws that its turn begins, or is over


@dataclass(frozen=True)
class Seen:
    """Of one turn."""

    waits_ms: list[float]
    drawn: int  # tokens


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.draws", description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[2.0], help="users a second")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each way")
    parser.add_argument("--quiet", type=float, default=1.0, help="trainer_draws_quiet_seconds")
    parser.add_argument("--users", type=int, default=40, help="in each turn")
    parser.add_argument("--ways", nargs="+", default=[*_WAYS], help="beside nothing")
    asked = parser.parse_args()
    # Not at the top: they load torch, and the processes that draw take this file.
    from tests.integration.engine import running_engine
    from tests.integration.tiny import make_model

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "adapters").mkdir()
        model = make_model(folder / "model")
        env = {"TORCHDYNAMO_DISABLE": "1"}  # as `thumbwheel up` has it where there is no GPU
        log = folder / "vllm.log"
        with running_engine(model, folder / "adapters", log, env=env) as engine:
            warm(engine.url)
            be_punctual()
            for rate in asked.rates:
                compare(engine.url, rate, asked)


def warm(url: str) -> None:
    """On a CPU every number of tokens at once is compiled for when it first comes."""
    for tokens in range(1, _PROMPTS[1] + 16):
        body = {"model": "model", "prompt": [_FIRST] * tokens, "max_tokens": 1}
        httpx.post(f"{url}/v1/completions", json=body, trust_env=False, timeout=60)
    with drawing(url, ALWAYS, quiet=0.0) as turn:
        stretch(url, turn, rate=4.0, users=40, seed=-1)


def compare(url: str, rate: float, asked: argparse.Namespace) -> None:
    rounds, users = asked.rounds, asked.users
    ways = (NOTHING, AGAIN, *asked.ways)
    found: dict[str, list[Seen]] = {way: [] for way in ways}
    chance = Random(0)
    with ExitStack() as stack:
        turns = {way: stack.enter_context(drawing(url, way, asked.quiet)) for way in ways}
        for seed in range(rounds):
            for way in chance.sample(ways, len(ways)):
                found[way].append(stretch(url, turns[way], rate, users, seed))
    print(f"\n{rate:g} users a second, {rounds} turns of {users}, quiet {asked.quiet:g} s:\n")
    print("| drawn | p50, ms | p95, ms | p95 beside nothing, 90% interval | tokens a second |")
    print("|---|---|---|---|---|")
    for way, seen in found.items():
        p50, p95 = percentile(seen, 50), percentile(seen, 95)
        calm = [found[NOTHING]] if way in (NOTHING, AGAIN) else [found[NOTHING], found[AGAIN]]
        tokens = sum(one.drawn for one in seen) / (rounds * users / rate)
        told = f"{p50:.1f} | {p95:.1f} | {over_all(seen, *calm)} | {tokens:.0f}"
        print(f"| {way} | {told} |", flush=True)


def over_all(seen: list[Seen], *calm: list[Seen]) -> str:
    """The p95 of all users beside that of nothing's, and between what chance would have it.

    Chance takes or leaves whole rounds: who comes waits for those before, and they are the same.
    """
    chance, rounds = Random(0), [*zip(seen, *calm, strict=True)]
    by_chance = (chance.choices(rounds, k=len(rounds)) for _ in range(2000))
    again = sorted(beside(one) for one in by_chance)
    told = (beside(rounds), again[100], again[-101])
    return "{:.0%} ({:.0%} to {:.0%})".format(*told)


def beside(rounds: list[tuple[Seen, ...]]) -> float:
    seen, *calm = zip(*rounds, strict=True)
    return percentile(seen, 95) / percentile(chain(*calm), 95)


def percentile(seen: Iterable[Seen], percent: int) -> float:
    waits = [*chain.from_iterable(one.waits_ms for one in seen)]
    return quantiles(waits, n=100)[percent - 1]


def stretch(url: str, turn: Turn, rate: float, users: int, seed: int) -> Seen:
    before = generated(url)
    turn(True)
    waits = asyncio.run(ask(url, rate, users, Random(seed)))
    turn(False)
    return Seen(waits, round(generated(url) - before) - users * TOKENS)


@contextmanager
def drawing(url: str, way: str, quiet: float) -> Iterator[Turn]:
    """By a process of its own, as a round is; what it has seen of users it keeps between turns."""
    if way not in _WAYS:
        yield lambda begins: None
        return
    here, there = multiprocessing.Pipe()
    arguments = (url, *_WAYS[way], quiet, there)
    process = multiprocessing.get_context("spawn").Process(target=draw, args=arguments)
    process.start()
    there.close()  # so that its end is seen here
    here.recv()  # it has loaded

    def turn(begins: bool) -> None:
        here.send(begins)
        if not begins:
            here.recv()  # all is broken off

    yield turn
    here.send(False)
    process.join()


async def ask(url: str, rate: float, users: int, chance: Random) -> list[float]:
    """Each when chance has it, whoever else still waits; what they say was never said before."""
    words = Random()
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        tasks = []
        for _ in range(users):
            await asyncio.sleep(chance.expovariate(rate))
            ids = [words.randrange(_FIRST, _LAST) for _ in range(chance.randint(*_PROMPTS))]
            tasks.append(group.create_task(first_token_ms(http, url, ids)))
    return [task.result() for task in tasks]


async def first_token_ms(http: aiohttp.ClientSession, url: str, ids: list[int]) -> float:
    body = {"model": "model", "prompt": ids, "max_tokens": TOKENS, "stream": True}
    began = time.perf_counter()
    async with http.post(f"{url}/v1/completions", json=body | {"ignore_eos": True}) as reply:
        reply.raise_for_status()
        await reply.content.readline()
        waited = time.perf_counter() - began
        await reply.read()
    return 1000 * waited


def draw(url: str, users: int, met: float, quiet: float, told: Connection) -> None:
    asyncio.run(_draw(url, users, met, quiet, told))


async def _draw(url: str, users: int, met: float, quiet: float, told: Connection) -> None:
    pace = Pace(
        at_once=8,
        per_second=None,
        users=users,
        quiet_seconds=quiet,
        met_share=met,
        patience_seconds=3600.0,
    )
    spare = Spare(pace)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        told.send("loaded")
        while await asyncio.to_thread(told.recv):
            turn = asyncio.create_task(_without_end(Engine(url, client), spare, pace))
            await asyncio.to_thread(told.recv)
            turn.cancel()
            with suppress(asyncio.CancelledError):  # but nothing else that became of it
                await turn
            spare.leave()
            told.send("over")


async def _without_end(engine: Engine, spare: Spare, pace: Pace) -> None:
    chance = Random()
    while True:
        prompts = [tuple(chance.randrange(_FIRST, _LAST) for _ in range(64)) for _ in range(64)]
        question = Question("model", prompts, chance.randrange(2**31), DRAWN_TOKENS, [])
        await drawn([(engine, spare)], question, pace)


def generated(url: str) -> float:
    """Tokens that it has said since its start."""
    said = httpx.get(f"{url}/metrics", trust_env=False, timeout=60).text.splitlines()
    found = [line for line in said if line.startswith("vllm:generation_tokens_total")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


if __name__ == "__main__":
    main()
