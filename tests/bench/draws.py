"""Whether users notice that an engine draws for a round: `python -m tests.bench.draws`.

Real vLLM; users who come by chance, with prompts of all lengths, and read 32 tokens each. In turn
the engine draws nothing; what users leave of it, so that few of them meet it; the same, whoever
meets it; and, as the peer, as much at any time. Told is the users' time to the first token, and
how much was drawn.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random
from statistics import fmean, quantiles

import aiohttp
import httpx

from trainer.engine import Engine
from trainer.sampler import Question, drawn
from trainer.settings import Settings
from trainer.spare import Pace, Spare

NOTHING, SPARE, MET, ALWAYS = "nothing", "what users leave", "whoever meets it", "at any time"
TOKENS, DRAWN_TOKENS = 32, 128
_MET_SHARE = Settings.model_fields["trainer_draws_met_share"].default
# So many users leave room, and such a share of them may meet it.
_WAYS = {SPARE: (0, _MET_SHARE), MET: (0, 1.0), ALWAYS: (10**6, 1.0)}
_FIRST, _LAST = 3, 250  # of the tiny model's ids
_PROMPTS = (16, 384)  # tokens
_TOGETHER = 20  # users


@dataclass(frozen=True)
class Seen:
    """Of one stretch."""

    waits_ms: list[float]
    drawn: int  # tokens

    def ms(self, percent: int) -> float:
        return quantiles(self.waits_ms, n=100)[percent - 1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.draws", description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[2.0], help="users a second")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--quiet", type=float, default=1.0, help="trainer_draws_quiet_seconds")
    parser.add_argument("--users", type=int, default=120, help="in each stretch")
    parser.add_argument("--ways", nargs="+", default=[*_WAYS], help="beside nothing")
    asked = parser.parse_args()
    # Not at the top: they load torch, and the process that draws takes this file.
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
            for rate in asked.rates:
                compare(engine.url, rate, asked)


def warm(url: str) -> None:
    """On a CPU every number of tokens at once is compiled for when it first comes."""
    for tokens in range(1, _PROMPTS[1] + 16):
        body = {"model": "model", "prompt": [_FIRST] * tokens, "max_tokens": 1}
        httpx.post(f"{url}/v1/completions", json=body, trust_env=False, timeout=60)
    stretch(url, ALWAYS, 4.0, 40, seed=-1, quiet=0.0)


def compare(url: str, rate: float, asked: argparse.Namespace) -> None:
    rounds, users = asked.rounds, asked.users
    found: dict[str, list[Seen]] = {way: [] for way in (NOTHING, *asked.ways)}
    for seed in range(rounds):
        for way, seen in found.items():
            seen.append(stretch(url, way, rate, users, seed, asked.quiet))  # the same users
    print(f"\n{rate:g} users a second, {rounds} rounds of {users}, quiet {asked.quiet:g} s:\n")
    head = "| drawn | p50, ms | p95, ms | p95 beside nothing, each round | over all, 90% interval |"
    print(f"{head} tokens drawn a second |\n|---|---|---|---|---|---|")
    for way, seen in found.items():
        ratios = [one.ms(95) / calm.ms(95) for one, calm in zip(seen, found[NOTHING], strict=True)]
        ms = [fmean(one.ms(percent) for one in seen) for percent in (50, 95)]
        told = " ".join(f"{100 * one:.0f}%" for one in ratios)
        tokens = sum(one.drawn for one in seen) / (rounds * users / rate)
        all_of_it = over_all(seen, found[NOTHING])
        print(f"| {way} | {ms[0]:.1f} | {ms[1]:.1f} | {told} | {all_of_it} | {tokens:.0f} |")


def over_all(seen: list[Seen], calm: list[Seen]) -> str:
    """The p95 of all users beside that of nothing's, and between what chance would have it.

    The same users come in both. Chance takes or leaves those together who came one after the
    other, as they wait for each other.
    """
    pairs = [pair for one, two in zip(seen, calm, strict=True) for pair in both(one, two)]
    groups = [pairs[at : at + _TOGETHER] for at in range(0, len(pairs), _TOGETHER)]
    chance = Random(0)
    by_chance = (chance.choices(groups, k=len(groups)) for _ in range(2000))
    again = sorted(beside([*chain.from_iterable(one)]) for one in by_chance)
    told = (beside(pairs), again[100], again[-101])
    return "{:.0%} ({:.0%} to {:.0%})".format(*told)


def both(one: Seen, two: Seen) -> Iterator[tuple[float, float]]:
    return zip(one.waits_ms, two.waits_ms, strict=True)


def beside(pairs: list[tuple[float, float]]) -> float:
    ours, theirs = zip(*pairs, strict=True)
    return float(quantiles(ours, n=100)[94] / quantiles(theirs, n=100)[94])


def stretch(url: str, way: str, rate: float, users: int, seed: int, quiet: float) -> Seen:
    with drawing(url, way, quiet):
        before = generated(url)
        waits = asyncio.run(ask(url, rate, users, seed))
        return Seen(waits, round(generated(url) - before) - users * TOKENS)


@contextmanager
def drawing(url: str, way: str, quiet: float) -> Iterator[None]:
    """By a process of its own, as a round is."""
    if way == NOTHING:
        yield
        return
    context, before = multiprocessing.get_context("spawn"), generated(url)
    over = context.Event()
    process = context.Process(target=draw, args=(url, *_WAYS[way], quiet, over))
    process.start()
    while generated(url) == before:  # it loads for seconds
        time.sleep(0.5)
    yield
    over.set()
    process.join()


async def ask(url: str, rate: float, users: int, seed: int) -> list[float]:
    """Each when chance has it, whoever else still waits."""
    random = Random(seed)
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        tasks = []
        for _ in range(users):
            await asyncio.sleep(random.expovariate(rate))
            ids = [random.randrange(_FIRST, _LAST) for _ in range(random.randint(*_PROMPTS))]
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


def draw(url: str, users: int, met: float, quiet: float, over: Event) -> None:
    """Again and again, until it is over."""
    asyncio.run(_draw(url, users, met, quiet, over))


async def _draw(url: str, users: int, met: float, quiet: float, over: Event) -> None:
    pace = Pace(
        at_once=8,
        per_second=None,
        users=users,
        quiet_seconds=quiet,
        met_share=met,
        patience_seconds=3600.0,
    )
    random, spare = Random(0), Spare(pace)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        while not over.is_set():
            prompts = [tuple(random.randrange(_FIRST, _LAST) for _ in range(64)) for _ in range(64)]
            question = Question("model", prompts, random.randrange(2**31), DRAWN_TOKENS, [])
            work = asyncio.create_task(drawn([(Engine(url, client), spare)], question, pace))
            while not (over.is_set() or work.done()):  # noqa: ASYNC110 (another process tells)
                await asyncio.sleep(0.05)
            work.cancel()
            await asyncio.wait([work])


def generated(url: str) -> float:
    """Tokens that it has said since its start."""
    said = httpx.get(f"{url}/metrics", trust_env=False, timeout=60).text.splitlines()
    found = [line for line in said if line.startswith("vllm:generation_tokens_total")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


if __name__ == "__main__":
    main()
