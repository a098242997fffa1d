"""The log on Kafka beside raw kafka-python on the same broker: `python -m tests.bench.log`.

Each number is the median of several runs in turn, with the least and the most.
"""

import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from random import Random

import pyarrow as pa
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from feedback import examples
from feedback.__main__ import tune
from feedback.events import Completion, encode
from feedback.log import Log, open_log
from feedback.window import Window
from ops.demo.brokers import brokers
from tests.feedback.made import completion, thumb, worker

RECORDS, PAIRS, BATCH, RUNS = 20_000, 20_000, 1_000, 5
EVENT = b"x" * 500
SPAWN = multiprocessing.get_context("spawn")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, brokers(Path(folder) / "kafka") as (broker,):
        rates: dict[str, list[float]] = {}
        for _ in range(RUNS):
            for name, measure in MEASURES.items():
                rates.setdefault(name, []).append(measure(broker.address))
    for name, found in rates.items():
        print(
            f"{name:50} {statistics.median(found):8,.0f} a second "
            f"({min(found):,.0f} to {max(found):,.0f})"
        )


def _log(address: str) -> Log:
    return open_log(f"kafka://{address}?prefix=b{uuid.uuid4().hex}.&partitions=1")


def _rate(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def _produce(address: str, topic: str) -> float:
    producer = KafkaProducer(
        bootstrap_servers=address, acks="all", enable_idempotence=True, compression_type="lz4"
    )

    def work() -> None:
        sent = [producer.send(topic, key=b"key", value=EVENT) for _ in range(RECORDS)]
        for future in sent:
            future.get(60)

    with closing(producer):
        return _rate(RECORDS, work)


def raw_append(address: str) -> float:
    with closing(_log(address)) as log:
        log.append("completions", "key", EVENT)  # makes the topics
        return _produce(address, _topic(log))


def our_append(address: str) -> float:
    with closing(_log(address)) as log:
        log.append("completions", "key", EVENT)

        def work() -> None:
            for _ in range(RECORDS // BATCH):
                log.append_all([("completions", "key", EVENT)] * BATCH)

        return _rate(RECORDS, work)


def raw_read(address: str) -> float:
    with closing(_log(address)) as log:
        log.append("completions", "key", EVENT)
        _produce(address, topic := _topic(log))
    return _raw_read(address, [TopicPartition(topic, 0)], RECORDS)


def _raw_read(address: str, places: list[TopicPartition], records: int) -> float:
    consumer = KafkaConsumer(
        bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    consumer.assign(places)

    def work() -> None:
        count = 0
        while count < records:
            count += sum(map(len, consumer.poll(timeout_ms=1000, max_records=BATCH).values()))

    with closing(consumer):
        return _rate(records, work)


def our_read(address: str) -> float:
    with closing(_log(address)) as log:
        log.append("completions", "key", EVENT)
        _produce(address, _topic(log))

        def work() -> None:
            at = 0
            while at < RECORDS:
                at += len(log.read("completions", 0, at, BATCH))

        return _rate(RECORDS, work)


def _append_pairs(log: Log) -> int:
    """Completions as a chat has them, 3.3 kB each, and a thumb on each; how many records."""
    random = Random(0)
    for start in range(0, PAIRS, BATCH):
        served = [_completion(random, number) for number in range(start, start + BATCH)]
        log.append_all([("completions", one.id, encode(one)) for one in served])
        said = [thumb(random.random() < 0.5, 1, of=one.id) for one in served]
        log.append_all([("verdicts", one.completion_id, encode(one)) for one in said])
    return 2 * PAIRS


def _completion(random: Random, number: int) -> Completion:
    prompt, answer = ([random.randrange(150_000) for _ in range(n)] for n in (60, 80))
    return completion(f"chatcmpl-{number:012x}{random.getrandbits(80):020x}").model_copy(
        update={
            "prompt_ids": tuple(prompt),
            "answer_ids": tuple(answer),
            "logprobs": tuple(-random.expovariate(1) for _ in answer),
            "answer": "word " * len(answer),
        }
    )


def raw_read_of_pairs(address: str) -> float:
    with closing(_log(address)) as log:
        count, topic = _append_pairs(log), _topic(log)
    places = [TopicPartition(topic, 0), TopicPartition(topic.replace("completions", "verdicts"), 0)]
    return _raw_read(address, places, count)


def our_workers(count: int, address: str) -> float:
    """Completions and a thumb on each, until all are examples. Each worker has a partition."""
    url = f"kafka://{address}?prefix=b{uuid.uuid4().hex}.&partitions={count}"
    with tempfile.TemporaryDirectory() as folder, closing(open_log(url)) as log:
        records = _append_pairs(log)
        turn = SPAWN.Barrier(count + 1, timeout=60)
        args = [(url, Path(folder), number, turn) for number in range(count)]
        processes = [SPAWN.Process(target=_join, args=some) for some in args]
        for process in processes:
            process.start()
        turn.wait()
        rate = _rate(records, turn.wait)  # without closing, as the raw consumer's
        for process in processes:
            process.join()
        ends = [batch.end for batch in examples.batches(Path(folder) / "examples")]
        reached = {place: max(end.get(place, 0) for end in ends) for one in ends for place in one}
        assert sum(reached.values()) == records, reached
    return rate


def _join(url: str, folder: Path, partition: int, turn: Barrier) -> None:
    tune()
    pa.table({"column": [1]})  # what the first table loads
    with closing(open_log(url)) as log, closing(Window(folder / f"{partition}.db")) as window:
        works = worker(log, window, folder / "examples", partition)
        for topic, one in (("completions", partition), ("verdicts", partition), ("forgets", 0)):
            log.read(topic, one, 0, 1)  # it is connected, as the raw consumer is
        turn.wait()
        while works.step():
            pass
        turn.wait()


def _topic(log: Log) -> str:
    return f"{log._cluster.prefix}completions"  # type: ignore[attr-defined]  # the raw peer needs it


MEASURES: dict[str, Callable[[str], float]] = {
    "append, raw kafka-python, acks=all, lz4": raw_append,
    "append, our log, 1,000 at a time": our_append,
    "read, raw kafka-python": raw_read,
    "read, our log": our_read,
    "read completions and thumbs, raw kafka-python": raw_read_of_pairs,
    "read and join them, write examples, one worker": partial(our_workers, 1),
    "the same, two workers": partial(our_workers, 2),
}


if __name__ == "__main__":
    main()
