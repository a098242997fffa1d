"""The topics on Kafka: makes those that there are not, refuses what would lose or misplace records.

Talks to Kafka for `log_kafka.py`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError

from feedback.kafka_url import MAX_REQUEST_BYTES, Cluster
from feedback.topics import TOPICS, Topic

# A record must be on more than one broker before it is said to be on the log, or one that burns
# takes it along. Kafka's own default is one.
COPIES = 2
# Only with one replica more than that may a broker be away.
_REPLICAS = COPIES + 1


@dataclass(frozen=True)
class _Found:
    partitions: int
    replicas: int
    config: dict[str, str]


class Topics:
    """Those of one cluster."""

    def __init__(
        self, cluster: Cluster, connect: Callable[..., KafkaAdminClient] = KafkaAdminClient
    ) -> None:
        self._cluster, self._connect = cluster, connect
        self._names = {name: cluster.prefix + name for name in TOPICS}

    def prepare(self) -> dict[str, int]:
        answer_ms = int(1000 * self._cluster.answer_seconds)
        admin = self._connect(**self._cluster.client, bootstrap_timeout_ms=answer_ms)
        try:
            there = set(admin.list_topics())
            missing = {
                self._names[topic.name]: self._wanted(topic)
                for topic in TOPICS.values()
                if self._names[topic.name] not in there
            }
            if missing:
                _make(admin, missing)
            found = self._wait(admin)
        finally:
            admin.close()
        self._check(found)
        return {name: topic.partitions for name, topic in found.items()}

    def _wanted(self, topic: Topic) -> dict[str, Any]:
        return {
            "num_partitions": self._cluster.partitions if topic.partitioned else 1,
            "replication_factor": self._cluster.replication,
            "configs": {
                "cleanup.policy": "delete",
                "retention.ms": str(self._retention_ms(topic)),
                "retention.bytes": "-1",
                "max.message.bytes": str(MAX_REQUEST_BYTES),
            },
        }

    def _retention_ms(self, topic: Topic) -> int:
        return -1 if topic.kept else int(self._cluster.retention_days * 86_400_000)

    def _wait(self, admin: KafkaAdminClient) -> dict[str, _Found]:
        """Until the broker that is asked knows them all: just made, maybe by another process."""
        ends = time.monotonic() + self._cluster.answer_seconds
        while True:
            try:
                return self._found(admin)
            except UnknownTopicOrPartitionError:
                if time.monotonic() > ends:
                    raise
            time.sleep(0.1)

    def _found(self, admin: KafkaAdminClient) -> dict[str, _Found]:
        described = admin.describe_topics(list(self._names.values()))
        partitions = {topic["name"]: topic["partitions"] for topic in described}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in self._names.values()]
        (configs,) = admin.describe_configs(asked, config_filter="all").values()
        for name in self._names.values():
            if not partitions.get(name) or not configs.get(name):
                raise UnknownTopicOrPartitionError(f"{name} is not known, or not for us to see")
        return {
            name: _Found(
                partitions=len(partitions[full]),
                replicas=min(len(one["replica_nodes"]) for one in partitions[full]),
                config={key: told["value"] for key, told in configs[full].items()},
            )
            for name, full in self._names.items()
        }

    def _check(self, found: dict[str, _Found]) -> None:
        wrong = [
            f"{self._names[topic.name]} {complaint}"
            for topic in TOPICS.values()
            for complaint in (
                *self._misplaced(topic, found[topic.name].partitions),
                *self._lost(topic, found[topic.name]),
            )
        ]
        completions, verdicts = (found[name].partitions for name in ("completions", "verdicts"))
        if completions != verdicts:
            wrong.append(
                f"completions has {completions} partitions and verdicts {verdicts}; expected as "
                "many, for a completion and its verdicts must share one"
            )
        if wrong:
            raise ValueError("; ".join(wrong))

    def _misplaced(self, topic: Topic, count: int) -> Iterator[str]:
        if not topic.partitioned and count != 1:
            yield f"has {count} partitions; expected 1, because its order matters"
        stated = self._cluster.partitions
        if topic.partitioned and self._cluster.partitions_stated and count != stated:
            yield f"has {count} partitions; expected {stated}, as the log's address says"

    def _lost(self, topic: Topic, found: _Found) -> Iterator[str]:
        config = found.config
        if config["cleanup.policy"] != "delete":
            yield f"has cleanup.policy {config['cleanup.policy']!r}; expected 'delete'"
        kept, wanted = int(config["retention.ms"]), self._retention_ms(topic)
        if kept != -1 and (wanted == -1 or kept < wanted):
            yield f"has retention.ms {kept}; expected {wanted} or more, or -1, which is for ever"
        if (size := int(config["retention.bytes"])) != -1:
            yield f"has retention.bytes {size}; expected -1, so that only age removes records"
        if (size := int(config["max.message.bytes"])) < MAX_REQUEST_BYTES:
            yield f"has max.message.bytes {size}; expected {MAX_REQUEST_BYTES} or more"
        if found.replicas >= _REPLICAS and (copies := int(config["min.insync.replicas"])) < COPIES:
            yield (
                f"has min.insync.replicas {copies} of {found.replicas} replicas; expected {COPIES} "
                "or more, or the loss of one broker loses records"
            )


def _make(admin: KafkaAdminClient, missing: dict[str, dict[str, Any]]) -> None:
    with suppress(TopicAlreadyExistsError):  # another process was quicker
        # Asked first, and not made: only the brokers know how many replicas they make.
        for told in admin.create_topics(missing, validate_only=True)["topics"]:
            if told["replication_factor"] >= _REPLICAS:
                missing[told["name"]]["configs"]["min.insync.replicas"] = str(COPIES)
        admin.create_topics(missing, wait_for_metadata=True)
