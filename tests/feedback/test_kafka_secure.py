"""The log on a real broker that lets in only who has a password, over TLS."""

import gc
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from feedback.kafka_url import read_url
from feedback.log import LogAway, open_log
from feedback.log_kafka import KafkaLog
from ops.demo.brokers import Broker, brokers
from tests.free import free_port

pytestmark = pytest.mark.integration

SECRET = "a secret for tests"
PROTOCOLS = "CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT,SASL_SSL:SASL_SSL"
LISTENER = "listener.name.sasl_ssl"
TOLD = "Authentication failed: Invalid username or password"
MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"


class Guarded(NamedTuple):
    address: str
    certificate: Path

    def url(self, folder: Path, **changes: Any) -> str:
        """With a client's file that says how to be let in, but for these changes."""
        said = {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": "thumb",
            "sasl_plain_password": SECRET,
            "ssl_cafile": str(self.certificate),
        }
        client = folder / "client.json"
        client.write_text(json.dumps(said | changes))
        return f"kafka://{self.address}?partitions=1&client={client}"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    keys, certificate = folder / "keys.p12", folder / "certificate.pem"
    _keytool(
        keys, "-genkeypair", "-keyalg", "RSA", "-dname", "CN=broker", "-ext", "san=ip:127.0.0.1"
    )
    _keytool(keys, "-exportcert", "-rfc", "-file", str(certificate))

    def settings(broker: Broker) -> dict[str, object]:
        listeners = f"SASL_SSL://{broker.address},INSIDE://127.0.0.1:{free_port()}"
        return {
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{broker.controller_port}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": PROTOCOLS,
            "inter.broker.listener.name": "INSIDE",
            f"{LISTENER}.sasl.enabled.mechanisms": "PLAIN",
            f"{LISTENER}.plain.sasl.jaas.config": f'{MODULE} required user_thumb="{SECRET}";',
            f"{LISTENER}.ssl.keystore.location": keys,
            f"{LISTENER}.ssl.keystore.password": SECRET,
        }

    with brokers(folder / "kafka", settings=settings) as (broker,):
        yield Guarded(broker.address, certificate)


def _keytool(keys: Path, *words: str) -> None:
    said = ["-keystore", str(keys), "-storepass", SECRET, "-alias", "broker"]
    subprocess.run(["keytool", *words, *said], check=True, capture_output=True)


def test_who_has_the_password_is_let_in(guarded: Guarded, tmp_path: Path) -> None:
    with closing(open_log(guarded.url(tmp_path))) as log:
        log.append("verdicts", "k", b"one")
    with closing(open_log(guarded.url(tmp_path))) as log:
        assert [record.value for record in log.read("verdicts", 0, 0)] == [b"one"]
        assert log.end("verdicts") == {0: 1}


# kafka-python leaves the sockets of what was refused to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_has_another_is_told_so_by_the_broker(
    guarded: Guarded, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = read_url(guarded.url(tmp_path, sasl_plain_password="wrong"))
    ends = time.monotonic() + 60
    with closing(KafkaLog(replace(cluster, answer_seconds=3.0))) as log:
        while TOLD not in caplog.text:  # on a busy machine the broker may hang up before it is read
            assert time.monotonic() < ends, caplog.text
            with pytest.raises(LogAway, match=guarded.address):
                log.append("verdicts", "k", b"two")
    assert "wrong" not in caplog.text
    gc.collect()
