"""The topics on Kafka: makes those that there are not, refuses what would lose or misplace records.

Talks to Kafka for `log_kafka.py`.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from feedback.kafka_url import MAX_REQUEST_BYTES, Cluster
from feedback.log import TOPICS, Topic


class Topics:
    """Those of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def prepare(self) -> dict[str, int]:
        admin = KafkaAdminClient(**self._cluster.client)
        try:
            there = set(admin.list_topics())
            missing = {
                self._cluster.prefix + topic.name: self._wanted(topic)
                for topic in TOPICS.values()
                if self._cluster.prefix + topic.name not in there
            }
            if missing:
                with suppress(TopicAlreadyExistsError):  # another process was quicker
                    admin.create_topics(missing, wait_for_metadata=True)
            partitions = self._counted(admin)
            self._check(partitions, self._configs(admin))
        finally:
            admin.close()
        return partitions

    def _wanted(self, topic: Topic) -> dict[str, Any]:
        return {
            "num_partitions": self._cluster.partitions if topic.partitioned else 1,
            "replication_factor": self._cluster.replication,
            "configs": {
                "cleanup.policy": "delete",
                "retention.ms": str(self._retention_ms(topic)),
                "max.message.bytes": str(MAX_REQUEST_BYTES),
            },
        }

    def _retention_ms(self, topic: Topic) -> int:
        return -1 if topic.kept else int(self._cluster.retention_days * 86_400_000)

    def _counted(self, admin: KafkaAdminClient) -> dict[str, int]:
        names = [self._cluster.prefix + name for name in TOPICS]
        found = {topic["name"]: topic["partitions"] for topic in admin.describe_topics(names)}
        return {name: len(found[self._cluster.prefix + name]) for name in TOPICS}

    def _configs(self, admin: KafkaAdminClient) -> dict[str, dict[str, str]]:
        asked = [ConfigResource(ConfigResourceType.TOPIC, self._cluster.prefix + n) for n in TOPICS]
        found = admin.describe_configs(asked, config_filter="all")
        (topics,) = found.values()
        return {
            name: {key: told["value"] for key, told in topics[self._cluster.prefix + name].items()}
            for name in TOPICS
        }

    def _check(self, partitions: dict[str, int], configs: dict[str, dict[str, str]]) -> None:
        wrong = [
            f"{self._cluster.prefix}{topic.name} {complaint}"
            for topic in TOPICS.values()
            for complaint in self._complaints(topic, partitions[topic.name], configs[topic.name])
        ]
        if partitions["completions"] != partitions["verdicts"]:
            wrong.append(
                f"completions has {partitions['completions']} partitions and verdicts "
                f"{partitions['verdicts']}; expected as many, for a completion and its verdicts "
                "must share one"
            )
        if wrong:
            raise ValueError("; ".join(wrong))

    def _complaints(self, topic: Topic, count: int, config: dict[str, str]) -> Iterator[str]:
        if not topic.partitioned and count != 1:
            yield f"has {count} partitions; expected 1, because its order matters"
        if config["cleanup.policy"] != "delete":
            yield f"has cleanup.policy {config['cleanup.policy']!r}; expected 'delete'"
        kept, wanted = int(config["retention.ms"]), self._retention_ms(topic)
        if kept != -1 and (wanted == -1 or kept < wanted):
            yield f"has retention.ms {kept}; expected {wanted} or more, or -1, which is for ever"
        size, needed = int(config["max.message.bytes"]), MAX_REQUEST_BYTES
        if size < needed:
            yield f"has max.message.bytes {size}; expected {needed} or more"
