"""The log on Apache Kafka. The only file that talks to Kafka.

A record is on all replicas in sync when `append` returns, and a retry within it never writes it
twice. Connects at the first use, so that whoever opens the log starts while Kafka is away.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
)

from feedback.kafka_records import fetch_ahead, unpack_quickly
from feedback.kafka_topics import Topics
from feedback.kafka_url import MAX_REQUEST_BYTES, Cluster
from feedback.topics import (
    MAX_RECORD_BYTES,
    READ_BYTES,
    LogAway,
    Position,
    Record,
    RecordTooLarge,
    checked,
)

_REQUEST_SHARE = 0.5  # of the time for an answer, for one request: some is left for another broker
# A consumer that asks a former leader where a partition ends asks it again and again, and nobody
# else, until it looks by itself who leads.
_LEADERS_SECONDS = 1.0
_Item = tuple[str, str, bytes]


class _Refused(RecordTooLarge):
    """Kafka counts the key too, and the topic's own limit may have been lowered."""

    def __init__(self, items: list[_Item], error: MessageSizeTooLargeError) -> None:
        size, topic = max((len(key.encode()) + len(value), topic) for topic, key, value in items)
        what = f"{topic}, the largest of {len(items)}, has {size:,} bytes with its key"
        ValueError.__init__(self, f"a record of {what}; Kafka refuses it: {error}")


class KafkaLog:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._partitions: dict[str, int] | None = None
        self._producer: KafkaProducer | None = None
        self._preparing = threading.Lock()
        self._of_thread = threading.local()
        self._readers: list[_Reader] = []

    def append(self, topic: str, key: str, value: bytes) -> Position:
        return self.append_all([(topic, key, value)])[0]

    def append_all(self, items: list[_Item]) -> list[Position]:
        for topic, _, value in items:
            checked(topic, value)
        with self._translated():
            self._prepare()
            try:
                return self._sent(items)
            except MessageSizeTooLargeError as error:
                raise _Refused(items, error) from error
            except KafkaError:
                self._forget_producer()  # some failures are for ever to an idempotent producer
                raise

    def read(self, topic: str, partition: int, start: int, limit: int = 1000) -> list[Record]:
        with self._translated():
            if partition >= self.partitions(topic):
                count = self.partitions(topic)
                raise ValueError(f"partition is {partition}; {topic} has {count}")
            return self._reader(topic, partition).read(start, limit)

    def wait(self, topic: str, partition: int, start: int, seconds: float) -> bool:
        with self._translated():
            return self._reader(topic, partition).wait(start, seconds)

    def end(self, topic: str) -> dict[int, int]:
        with self._translated():
            places = [self._place(topic, number) for number in range(self.partitions(topic))]
            ends = self._reader(topic, 0).ends(places)
        return {place.partition: ends[place] for place in places}

    def partitions(self, topic: str) -> int:
        checked(topic)
        with self._translated():
            return self._prepare()[topic]

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        self._forget_producer()

    def _sent(self, items: list[_Item]) -> list[Position]:
        producer = self._writer()
        sent = [
            producer.send(self._cluster.prefix + topic, key=key.encode(), value=value)
            for topic, key, value in items
        ]
        ends = time.monotonic() + self._cluster.answer_seconds
        told = [future.get(timeout=max(0.0, ends - time.monotonic())) for future in sent]
        return [Position(meta.partition, meta.offset) for meta in told]

    def _writer(self) -> KafkaProducer:
        with self._preparing:
            if self._producer is None:
                answer_ms = int(1000 * self._cluster.answer_seconds)
                self._producer = KafkaProducer(
                    **self._cluster.client,
                    acks="all",
                    enable_idempotence=True,
                    compression_type="lz4",
                    max_request_size=MAX_REQUEST_BYTES,
                    max_block_ms=answer_ms,
                    delivery_timeout_ms=answer_ms,
                    request_timeout_ms=int(answer_ms * _REQUEST_SHARE),
                    bootstrap_timeout_ms=answer_ms,
                )
            return self._producer

    def _forget_producer(self) -> None:
        with self._preparing:
            producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=0)

    def _reader(self, topic: str, partition: int) -> "_Reader":
        """One for each thread and partition: what it fetched ahead is of one place only."""
        readers: dict[TopicPartition, _Reader] = self._of_thread.__dict__.setdefault("readers", {})
        place = self._place(topic, partition)
        if place not in readers:
            readers[place] = _Reader(place, self._cluster)
            self._readers.append(readers[place])
        return readers[place]

    def _place(self, topic: str, partition: int) -> TopicPartition:
        return TopicPartition(self._cluster.prefix + topic, partition)

    def _prepare(self) -> dict[str, int]:
        with self._preparing:
            if self._partitions is None:
                self._partitions = Topics(self._cluster).prepare()
            return self._partitions

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            raise LogAway(f"{self._cluster.servers}: {type(error).__name__}: {error}") from error


class _Reader:
    """One partition, read on from where it was left."""

    def __init__(self, place: TopicPartition, cluster: Cluster) -> None:
        self._place, self._servers = place, cluster.servers
        self._answer_seconds = cluster.answer_seconds
        answer_ms = int(1000 * cluster.answer_seconds)
        self._consumer = KafkaConsumer(
            **cluster.client,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # what retention removed is left out
            max_partition_fetch_bytes=MAX_REQUEST_BYTES,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=int(1000 * _LEADERS_SECONDS),
            request_timeout_ms=int(answer_ms * _REQUEST_SHARE),
            bootstrap_timeout_ms=answer_ms,
            metrics_enabled=False,
        )
        unpack_quickly(self._consumer)
        self._consumer.assign([place])
        self._at = -1

    def read(self, start: int, limit: int) -> list[Record]:
        if start != self._at:
            self._consumer.seek(self._place, start)
        self._at = -1  # should this fail, what came of it so far is asked for again
        found: list[Record] = []
        end = self._consumer.highwater(self._place) or 0
        at, size, largest = start, 0, MAX_RECORD_BYTES
        ends = time.monotonic() + self._answer_seconds
        while len(found) < limit and size <= READ_BYTES:
            if at >= end and at >= (end := self.ends([self._place])[self._place]):
                break
            # A few first, which are not too much however large; then as many as are like them.
            some = min(limit - len(found), (READ_BYTES - size) // largest + 1)
            polled = self._consumer.poll(timeout_ms=500, max_records=some)
            came: list[Record] = polled.get(self._place, [])
            found += came
            size += sum(len(record.value) for record in came)
            largest = max((len(record.value) for record in found), default=largest) or 1
            at = self._consumer.position(self._place)
            if not polled and time.monotonic() > ends:
                raise LogAway(f"{self._servers}: nothing at {start} of {self._place.topic} came")
        self._at = at
        if at < end:  # at the end it would wait for more, and all that is asked meanwhile with it
            fetch_ahead(self._consumer)
        return found

    def wait(self, start: int, seconds: float) -> bool:
        """Not by asking for the end again and again: that would queue behind the fetch."""
        if start != self._at:
            self._consumer.seek(self._place, start)
        self._at = -1  # what is taken here is read again
        if self._consumer.poll(timeout_ms=int(1000 * seconds), max_records=1):
            return True
        self._at = start
        return False

    def ends(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        answer_ms = int(1000 * self._answer_seconds)
        found: dict[TopicPartition, int] = self._consumer.end_offsets(places, timeout_ms=answer_ms)
        return found

    def close(self) -> None:
        self._consumer.close(autocommit=False)
