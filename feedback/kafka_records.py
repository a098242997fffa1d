"""What Kafka sent, as records of the log: in half the time of kafka-python's own unpacking.

It makes three objects of each record, for time stamps, headers and checksums that no reader here
asks for. Kafka packs records in format 2, since version 0.11; there is no other in Kafka 4.
"""

from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.util import decode_varint

from feedback.topics import Position, Record

_FORMAT = 2


def unpack_quickly(consumer: KafkaConsumer) -> None:
    """From now on its polls find records of the log."""
    consumer._fetcher.PartitionRecords = _Unpacked


def fetch_ahead(consumer: KafkaConsumer) -> None:
    """What comes next is on its way while the caller works on what it has."""
    consumer._fetcher.send_fetches()


class _Unpacked(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python ships no types
    """One answer to a fetch. The fetcher goes on where `next_fetch_offset` says."""

    def _maybe_skip_record(self, record: Record) -> bool:
        # A batch is sent whole, also to who asks for its middle.
        return record.position.offset < int(self.fetch_offset)

    def _unpack_records(self, _: Any, batches: Any, *__: Any) -> Iterator[Record]:
        while (batch := batches.next_batch()) is not None:
            if batch.magic != _FORMAT or not batch.validate_crc():
                where = f"{self.topic_partition}, batch at {batch.base_offset}"
                raise CorruptRecordError(f"{where}: format {batch.magic}, or its checksum is wrong")
            self.leader_epoch = batch.leader_epoch
            if not batch.is_control_batch:
                for record in _records(batch, self.topic_partition.partition):
                    self.next_fetch_offset = record.position.offset + 1
                    yield record
            self.next_fetch_offset = batch.next_offset  # what was compacted away is passed over
        self.drain()


def _records(batch: Any, partition: int) -> Iterator[Record]:
    iter(batch)  # decompresses it
    data, at, base = bytes(batch._buffer), batch._pos, batch.base_offset
    for _ in range(batch.records_count):
        length, at = decode_varint(data, at)
        end = at + length
        at += 1  # no attributes are in use
        while data[at] & 0x80:  # the time stamp
            at += 1
        ahead, at = decode_varint(data, at + 1)
        key, at = _bytes(data, at)
        value, _ = _bytes(data, at)
        yield Record(Position(partition, base + ahead), key.decode(errors="replace"), value)
        at = end  # behind its headers


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = decode_varint(data, at)
    if size < 0:  # none at all
        return b"", at
    return data[at : at + size], at + size
