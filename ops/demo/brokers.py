"""The demo's log: embedded, on a real Kafka broker that is started for it, or on one that is there.

Several brokers replicate to each other; tests use those.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ops.demo.stage import free_ports

SQLITE, KAFKA = "sqlite", "kafka"
EXPECTED = f"{SQLITE}, {KAFKA} (a broker of its own) or kafka://HOST:PORT"
JARS = Path(sys.prefix) / "kafka"  # `make` puts them there
START_SECONDS = 120.0
CLUSTER_ID = "dGh1bWJ3aGVlbC10ZXN0cw"
# Small and quick to start; a broker that holds a test's records needs no more.
JAVA = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class NoLog(Exception):
    """The log that was asked for cannot be had."""


@contextmanager
def log_for(kind: str, folder: Path) -> Iterator[str | None]:
    """The address of the log; None is an embedded one. `folder` is new, and gives topics a name."""
    own_topics = f"partitions=2&prefix=thumbwheel-demo-{folder.name}."
    if kind == SQLITE:
        yield None
    elif kind.startswith("kafka://"):
        yield f"{kind}{'&' if '?' in kind else '?'}{own_topics}"
    elif kind == KAFKA:
        with brokers(folder) as (broker,):
            yield f"kafka://{broker.address}?{own_topics}"
    else:
        raise NoLog(f"the log is {kind!r}; expected {EXPECTED}")


@dataclass
class Broker:
    number: int
    port: int
    controller_port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                _java("kafka.Kafka", str(self.folder / "server.properties")),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wait(self) -> None:
        """Until it takes connections; a broker does so once it has joined its cluster."""
        assert self.process is not None
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, (self.folder / "output").read_text()[-3000:]
            time.sleep(0.1)
        raise TimeoutError(f"broker {self.number} did not start: {self.folder / 'output'}")


@contextmanager
def brokers(
    folder: Path, count: int = 1, settings: Callable[[Broker], dict[str, object]] = lambda _: {}
) -> Iterator[list[Broker]]:
    """`settings`: more of a broker's, or other ones."""
    if not JARS.is_dir() or not shutil.which("java"):
        raise NoLog(f"{JARS} or java is not there; expected `make .venv/kafka.installed` before")
    ports = free_ports(2 * count)
    voters = ",".join(f"{n + 1}@127.0.0.1:{ports[2 * n + 1]}" for n in range(count))
    cluster = []
    for number in range(count):
        place = folder / f"broker{number + 1}"
        broker = Broker(number + 1, ports[2 * number], ports[2 * number + 1], place)
        said = _settings(broker, voters, count)
        _lay_out(broker, said | settings(broker))
        cluster.append(broker)
    try:
        for broker in cluster:
            broker.start()
        for broker in cluster:
            broker.wait()
        yield cluster
    finally:
        for broker in cluster:
            broker.kill()


def _settings(broker: Broker, voters: str, count: int) -> dict[str, object]:
    isr = max(1, count - 1)
    return {
        "process.roles": "broker,controller",
        "node.id": broker.number,
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://{broker.address},CONTROLLER://127.0.0.1:{broker.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{broker.address}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": broker.folder / "data",
        "auto.create.topics.enable": "false",
        "default.replication.factor": count,
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.replication.factor": count,
        "transaction.state.log.replication.factor": count,
        "transaction.state.log.min.isr": isr,
        "share.coordinator.state.topic.replication.factor": count,
        "share.coordinator.state.topic.min.isr": isr,
    }


def _lay_out(broker: Broker, said: dict[str, object]) -> None:
    broker.folder.mkdir(parents=True)
    settings = broker.folder / "server.properties"
    settings.write_text("".join(f"{name}={value}\n" for name, value in said.items()))
    format_ = _java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(settings))
    done = subprocess.run(format_, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _java(main: str, *words: str) -> list[str]:
    return ["java", *JAVA, "-cp", f"{JARS}/*", main, *words]
