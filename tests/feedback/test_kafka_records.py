"""Our unpacking finds what kafka-python's own finds, on a real broker."""

import uuid
from contextlib import closing

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords
from kafka.record.memory_records import MemoryRecordsBuilder

from feedback.kafka_records import _records, _Unpacked
from feedback.log import Position, Record, open_log

MADE: list[tuple[bytes | None, bytes | None]] = [
    (b"k", b"v"),
    (None, b"no key"),
    (b"no value", None),
    (b"", b""),
    (b"\xff", b"a key that is no text"),
    (b"k" * 100, b"x" * 100_000),
    (b"k" * 9000, b"\x00" * 70),
]


def expected(key: bytes | None, value: bytes | None, offset: int) -> Record:
    return Record(Position(0, offset), (key or b"").decode(errors="replace"), value or b"")


def packed(codec: int, headers: list[tuple[str, bytes | None]]) -> bytearray:
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=10_000_000)
    for at, (key, value) in enumerate(MADE):
        stamp = 1_760_000_000_000 + 999 * at
        builder.append(timestamp=stamp, key=key, value=value, headers=headers)
    builder.close()
    return bytearray(builder.buffer())


@pytest.mark.parametrize("codec", [0, 1, 3], ids=["plain", "gzip", "lz4"])
@pytest.mark.parametrize("headers", [[], [("name", b"value"), ("none", None)]])
def test_whatever_a_record_holds_is_found(
    codec: int, headers: list[tuple[str, bytes | None]]
) -> None:
    batch = MemoryRecords(bytes(packed(codec, headers))).next_batch()
    assert [*_records(batch, 0)] == [expected(*one, at) for at, one in enumerate(MADE)]


def test_a_batch_that_was_damaged_on_the_way_is_refused() -> None:
    damaged = packed(0, [])
    damaged[-1] ^= 1
    found = _Unpacked(0, TopicPartition("verdicts", 0), MemoryRecords(bytes(damaged)))
    with pytest.raises(CorruptRecordError, match="batch at 0"):
        found.take()


@pytest.mark.parametrize("start", [0, 3, 6])
def test_a_fetch_goes_on_behind_what_was_taken(start: int) -> None:
    place, batches = TopicPartition("verdicts", 0), MemoryRecords(bytes(packed(3, [])))
    found = _Unpacked(start, place, batches)
    (first,) = found.take(1)
    assert (first.position.offset, found.next_fetch_offset) == (start, start + 1)
    rest = found.take()
    assert [one.position.offset for one in rest] == [*range(start + 1, len(MADE))]
    assert found.next_fetch_offset == len(MADE)


@pytest.mark.integration
@pytest.mark.parametrize("codec", [None, "gzip", "lz4"])
def test_our_reader_reads_what_a_plain_consumer_reads(kafka: str, codec: str | None) -> None:
    prefix = f"t{uuid.uuid4().hex}."
    place = TopicPartition(f"{prefix}verdicts", 0)
    with closing(open_log(f"kafka://{kafka}?prefix={prefix}&partitions=1")) as log:
        log.end("verdicts")  # makes the topics
        with closing(KafkaProducer(bootstrap_servers=kafka, compression_type=codec)) as producer:
            for _ in range(30):
                for key, value in MADE:
                    producer.send(place.topic, key=key, value=value, partition=0)
            producer.flush()
        ours = [*log.read("verdicts", 0, 0, 100), *log.read("verdicts", 0, 100, 1000)]
    with closing(KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")) as plain:
        plain.assign([place])
        theirs: list[Record] = []
        while len(theirs) < 30 * len(MADE):
            for one in plain.poll(1000).get(place, []):
                theirs.append(expected(one.key, one.value, one.offset))
    assert ours == theirs
