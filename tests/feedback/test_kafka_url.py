from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient

from feedback.kafka_url import ALLOWED, read_url


def test_what_is_not_said_is_as_usual() -> None:
    cluster = read_url("kafka://a:9092,b:9093")
    assert (cluster.servers, cluster.partitions, cluster.replication) == ("a:9092,b:9093", 6, -1)
    assert (cluster.prefix, cluster.retention_days) == ("thumbwheel.", 30)
    assert cluster.client == {"bootstrap_servers": ["a:9092", "b:9093"]}


def test_everything_can_be_said(tmp_path: Path) -> None:
    client = tmp_path / "client.json"
    client.write_text('{"security_protocol": "SASL_SSL", "sasl_plain_password": "secret"}')
    words = f"partitions=12&replication=3&retention_days=0.5&prefix=x-&client={client}"
    cluster = read_url(f"kafka://a:9092?{words}")
    assert (cluster.partitions, cluster.replication, cluster.retention_days) == (12, 3, 0.5)
    assert cluster.prefix == "x-"
    assert cluster.client["sasl_plain_password"] == "secret"
    assert "secret" not in repr(cluster)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("kafka://", "expected kafka://HOST:PORT"),
        ("kafka://ann:pw@a:9092", "^log url has a user or a password in it; expected kafka://HOST"),
        ("kafka://a:9092?client=/no@where.json", "the client file /no@where.json cannot be read"),
        ("kafka://ann:p?w@a:9092", "^log url has a user or a password in it"),
        ("kafka://a:9092/topic", "expected kafka://HOST:PORT"),
        ("kafka://a:9092?partitions=0", r"partitions: .*greater than or equal to 1 \(got '0'\)"),
        ("kafka://a:9092?partition=3", "partition: Extra inputs are not permitted"),
        ("kafka://a:9092?partitions", "expected kafka://HOST:PORT"),
        ("kafka://a:9092?prefix=a b", "prefix: "),
        ("kafka://a:9092?client=/nowhere.json", "the client file /nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_understood_is_refused(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_url(url)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "holds list; expected a JSON object"),
        ("{", "cannot be read"),
        ('{"acks": 0}', "sets 'acks'; expected security_protocol, client_id, "),
        ('{"sasl_mechansim": "PLAIN"}', "sets 'sasl_mechansim'; did you mean sasl_mechanism?"),
    ],
)
def test_a_client_file_that_is_none_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "client.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_url(f"kafka://a:9092?client={path}")


def test_what_a_client_file_may_set_kafka_python_knows() -> None:
    assert set(ALLOWED) <= KafkaAdminClient.DEFAULT_CONFIG.keys()
    assert set(ALLOWED) <= KafkaProducer.DEFAULT_CONFIG.keys() & KafkaConsumer.DEFAULT_CONFIG.keys()
