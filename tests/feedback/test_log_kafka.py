"""What only a log with brokers can get wrong: topics, and brokers that are away."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient

from feedback.log import TOPICS, Log, LogAway, open_log, read_all
from tests.kafka.broker import brokers

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


def test_topics_are_made_at_the_first_use(kafka: str, prefix: str, admin: KafkaAdminClient) -> None:
    with closing(opened(kafka, prefix, "&partitions=4")) as log:
        assert {name: log.partitions(name) for name in TOPICS} == {
            "completions": 4,
            "verdicts": 4,
            "split": 1,
            "rollouts": 1,
            "scores": 1,
            "deadletter": 1,
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


# kafka-python leaves the sockets of its vain attempts to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_is_away_is_told_and_found_again(tmp_path: Path) -> None:
    with brokers(tmp_path) as (broker,), closing(opened(broker.address, "t.")) as log:
        broker.kill()
        with pytest.raises(LogAway, match=broker.address):
            log.append("verdicts", "k", b"too early")
        broker.start()
        broker.wait()
        log.append("verdicts", "k", b"before")
        broker.kill()
        with pytest.raises(LogAway):
            log.append("verdicts", "k", b"while it is away")
        with pytest.raises(LogAway):
            log.end("verdicts")
        broker.start()
        broker.wait()
        log.append("verdicts", "k", b"after")
        said = [record.value for record in read_all(log, "verdicts")]
        assert (said[0], said[-1]) == (b"before", b"after")
