"""The log on Kafka beside raw kafka-python on the same broker: `python -m tests.bench.log`.

Each number is the median of several runs in turn, with the least and the most.
"""

import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from feedback.events import encode
from feedback.log import Log, open_log
from feedback.metrics import Metrics
from feedback.window import Window
from feedback.worker import Worker
from tests.feedback.made import completion, thumb
from tests.kafka.broker import brokers

RECORDS, BATCH, RUNS = 20_000, 1_000, 5
EVENT = b"x" * 500


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, brokers(Path(folder) / "kafka") as (broker,):
        rates: dict[str, list[float]] = {}
        for _ in range(RUNS):
            for name, measure in MEASURES.items():
                rates.setdefault(name, []).append(measure(broker.address))
    for name, found in rates.items():
        print(
            f"{name:45} {statistics.median(found):8,.0f} a second "
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
    consumer = KafkaConsumer(
        bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    consumer.assign([TopicPartition(topic, 0)])

    def work() -> None:
        count = 0
        while count < RECORDS:
            count += sum(map(len, consumer.poll(timeout_ms=1000, max_records=BATCH).values()))

    with closing(consumer):
        return _rate(RECORDS, work)


def our_read(address: str) -> float:
    with closing(_log(address)) as log:
        log.append("completions", "key", EVENT)
        _produce(address, _topic(log))

        def work() -> None:
            at = 0
            while at < RECORDS:
                at += len(log.read("completions", 0, at, BATCH))

        return _rate(RECORDS, work)


def our_read_and_join(address: str) -> float:
    """Completions and a thumb on each, until all are examples."""
    pairs = RECORDS // 4
    with tempfile.TemporaryDirectory() as folder, closing(_log(address)) as log:
        for start in range(0, pairs, BATCH):
            items = [
                item
                for i in range(start, start + BATCH)
                for item in (
                    ("completions", f"c{i}", encode(completion(f"c{i}"))),
                    ("verdicts", f"c{i}", encode(thumb(True, 1, of=f"c{i}"))),
                )
            ]
            log.append_all(items)
        window = Window(Path(folder) / "window.db")
        worker = Worker(log, window, Path(folder) / "examples", Metrics())

        def work() -> None:
            while worker.step(0):
                pass

        with closing(window):
            return _rate(2 * pairs, work)


def _topic(log: Log) -> str:
    return f"{log._cluster.prefix}completions"  # type: ignore[attr-defined]  # the raw peer needs it


MEASURES = {
    "append, raw kafka-python, acks=all, lz4": raw_append,
    "append, our log, 1,000 at a time": our_append,
    "read, raw kafka-python": raw_read,
    "read, our log": our_read,
    "read, join and write examples, our worker": our_read_and_join,
}


if __name__ == "__main__":
    main()
