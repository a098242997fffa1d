"""What only a log with brokers can get wrong: topics, and brokers that are away."""

import gc
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaTimeoutError

from feedback.kafka_topics import Topics
from feedback.kafka_url import read_url
from feedback.log import TOPICS, Log, LogAway, RecordTooLarge, open_log, read_all
from feedback.log_kafka import KafkaLog
from ops.demo.brokers import brokers

pytestmark = pytest.mark.integration


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex}."


@pytest.fixture
def admin(kafka: str) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    yield admin
    admin.close()


def opened(kafka: str, prefix: str, more: str = "") -> Log:
    return open_log(f"kafka://{kafka}?prefix={prefix}{more}")


def waiting(seconds: float, url: str) -> Log:
    """For an answer of the brokers, where it may take long, or never comes."""
    return KafkaLog(replace(read_url(url), answer_seconds=seconds))


def test_topics_are_made_at_the_first_use(kafka: str, prefix: str, admin: KafkaAdminClient) -> None:
    with closing(opened(kafka, prefix, "&partitions=4")) as log:
        assert {name: log.partitions(name) for name in TOPICS} == {
            "completions": 4,
            "verdicts": 4,
            "split": 1,
            "rollouts": 1,
            "releases": 1,
            "decisions": 1,
            "lease": 1,
            "scores": 1,
            "deadletter": 1,
            "forgets": 1,
        }


def test_one_key_is_in_the_same_partition_of_both_topics(kafka: str, prefix: str) -> None:
    keys = [f"chatcmpl-{number}" for number in range(20)]
    with closing(opened(kafka, prefix, "&partitions=4")) as log:
        places = [
            [log.append(topic, key, b"x").partition for key in keys]
            for topic in ("completions", "verdicts")
        ]
        assert places[0] == places[1]
        assert set(places[0]) == {0, 1, 2, 3}
        assert sum(log.end("completions").values()) == 20


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (
        "split",
        {"num_partitions": 2},
        "split has 2 partitions; expected 1, because",
    ),
    (
        "verdicts",
        {"num_partitions": 3},
        "completions has 6 partitions and verdicts 3",
    ),
    ("split", {"configs": {"cleanup.policy": "compact"}}, "'compact'; expected 'delete'"),
    ("rollouts", {"configs": {"retention.ms": "60000"}}, "60000; expected -1 or more, or -1"),
    (
        "verdicts",
        {"configs": {"retention.ms": "60000"}},
        "verdicts has retention.ms 60000; expected 2592000000 or more",
    ),
    ("completions", {"configs": {"max.message.bytes": "1000"}}, "max.message.bytes 1000; expected"),
    ("split", {"configs": {"retention.bytes": "1000000"}}, "retention.bytes 1000000; expected -1"),
]


@pytest.mark.parametrize(("topic", "made", "complaint"), WRONG)
def test_a_topic_that_would_lose_or_misplace_records_is_refused(
    kafka: str,
    prefix: str,
    admin: KafkaAdminClient,
    topic: str,
    made: dict[str, Any],
    complaint: str,
) -> None:
    good = {"num_partitions": 6 if TOPICS[topic].partitioned else 1, "replication_factor": 1}
    kept = {
        "configs": {"retention.ms": "-1", "max.message.bytes": "9000000"} | made.pop("configs", {})
    }
    admin.create_topics({f"{prefix}{topic}": good | kept | made}, wait_for_metadata=True)
    with closing(opened(kafka, prefix)) as log, pytest.raises(ValueError, match=complaint):
        log.append("scores", "k", b"v")


def test_a_number_of_partitions_is_checked_where_the_address_states_it(
    kafka: str, prefix: str
) -> None:
    with closing(opened(kafka, prefix, "&partitions=4")) as log:
        assert log.partitions("verdicts") == 4
    with closing(opened(kafka, prefix)) as log:
        assert log.partitions("verdicts") == 4
    complaint = "verdicts has 4 partitions; expected 6, as the log's address says"
    with closing(opened(kafka, prefix, "&partitions=6")) as log, pytest.raises(ValueError) as told:
        log.partitions("verdicts")
    assert complaint in str(told.value)


class Lagging(KafkaAdminClient):  # type: ignore[misc]  # kafka-python ships no types
    """One whose broker does not know the newest topics at first."""

    _asked = 0

    def describe_topics(self, topics: list[str]) -> Any:
        self._asked += 1
        told = super().describe_topics(topics)
        if self._asked == 1:
            return told[:-1]
        if self._asked == 2:
            return [topic | {"partitions": []} for topic in told]
        return told


def test_topics_that_a_broker_does_not_know_yet_are_waited_for(kafka: str, prefix: str) -> None:
    cluster = read_url(f"kafka://{kafka}?prefix={prefix}")
    assert Topics(cluster, connect=Lagging).prepare()["verdicts"] == 6


def test_a_record_that_kafka_refuses_is_told_by_its_size(kafka: str, prefix: str) -> None:
    with closing(opened(kafka, prefix)) as log:
        with pytest.raises(RecordTooLarge, match="of verdicts, the largest of 2, has 9,000,001 b"):
            log.append_all([("split", "k", b"x"), ("verdicts", "k" * 9_000_000, b"x")])
        log.append("verdicts", "k", b"x")


def test_what_three_brokers_keep_is_on_two_before_it_is_on_the_log(tmp_path: Path) -> None:
    with brokers(tmp_path, 3) as cluster:
        servers = ",".join(broker.address for broker in cluster)
        with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
            with closing(waiting(60.0, f"kafka://{servers}?prefix=made.&partitions=1")) as log:
                log.append("verdicts", "k", b"x")
            asked = [ConfigResource(ConfigResourceType.TOPIC, "made.verdicts")]
            told = admin.describe_configs(asked, config_filter="all")["topic"]["made.verdicts"]
            assert told["min.insync.replicas"]["value"] == "2"
            there = {"replication_factor": 3, "configs": {"max.message.bytes": "9000000"}}
            admin.create_topics({"there.scores": there | {"num_partitions": 1}})
            complaint = "there.scores has .*min.insync.replicas 1 of 3 replicas; expected 2 or more"
            with (
                closing(waiting(60.0, f"kafka://{servers}?prefix=there.")) as log,
                pytest.raises(ValueError, match=complaint),
            ):
                log.partitions("verdicts")


class Faltering:
    """A consumer that fails once, after it has handed out a record."""

    def __init__(self, consumer: Any) -> None:
        self._consumer, self._polls = consumer, 0

    def poll(self, timeout_ms: int, max_records: int) -> Any:
        self._polls += 1
        if self._polls == 2:
            raise KafkaTimeoutError("as the test wishes")
        return self._consumer.poll(timeout_ms=timeout_ms, max_records=1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)


def test_a_read_that_failed_half_way_is_done_again_from_its_start(kafka: str, prefix: str) -> None:
    with closing(opened(kafka, prefix, "&partitions=1")) as log:
        assert isinstance(log, KafkaLog)
        log.append_all([("verdicts", "k", b"%d" % number) for number in range(4)])
        assert len(log.read("verdicts", 0, 0, 1)) == 1  # from now on it knows where it is
        reader = log._reader("verdicts", 0)
        reader._consumer = Faltering(reader._consumer)
        with pytest.raises(LogAway):
            log.read("verdicts", 0, 1)
        assert [record.value for record in log.read("verdicts", 0, 1)] == [b"1", b"2", b"3"]


# kafka-python leaves the sockets of its vain attempts to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_is_away_is_told_and_found_again(tmp_path: Path) -> None:
    with (
        brokers(tmp_path) as (broker,),
        closing(waiting(3.0, f"kafka://{broker.address}?prefix=t.")) as log,
    ):
        broker.kill()
        with pytest.raises(LogAway, match=broker.address):
            log.append("verdicts", "k", b"too early")
        broker.start()
        broker.wait()
        append_once_found(log, b"before")
        broker.kill()
        with pytest.raises(LogAway):
            log.append("verdicts", "k", b"while it is away")
        with pytest.raises(LogAway):
            log.end("verdicts")
        broker.start()
        broker.wait()
        append_once_found(log, b"after")
        said = [record.value for record in read_all(log, "verdicts")]
        assert (said[0], said[-1]) == (b"before", b"after")
    gc.collect()  # here, or the warnings are another test's


def append_once_found(log: Log, value: bytes) -> None:
    """A broker that has just started may take longer than an impatient log waits."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with suppress(LogAway):
            log.append("verdicts", "k", value)
            return
    raise AssertionError("it was not found again")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_partition_is_found_where_it_has_moved(tmp_path: Path) -> None:
    with brokers(tmp_path, 2) as cluster:
        servers = ",".join(broker.address for broker in cluster)
        log = opened(servers, "t.", "&partitions=1&replication=1")
        with closing(log), closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
            log.append("verdicts", "k", b"before")
            assert log.end("verdicts") == {0: 1}
            move(admin, "t.verdicts")
            assert log.end("verdicts") == {0: 1}
            assert [record.value for record in log.read("verdicts", 0, 0)] == [b"before"]
            log.append("verdicts", "k", b"after")
            assert log.end("verdicts") == {0: 2}
    gc.collect()


def move(admin: KafkaAdminClient, topic: str) -> None:
    """To the other of two brokers; both stay up."""
    before = leader(admin, topic)
    admin.alter_partition_reassignments({TopicPartition(topic, 0): [3 - before]})
    ends = time.monotonic() + 60
    while leader(admin, topic) == before:
        assert time.monotonic() < ends, "it did not move"
        time.sleep(0.1)


def leader(admin: KafkaAdminClient, topic: str) -> int:
    ((partition,),) = (told["partitions"] for told in admin.describe_topics([topic]))
    return int(partition["leader_id"])
