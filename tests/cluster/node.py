"""A real Kubernetes of one node, started and ended: the servers that everyone runs, here.

The only file that starts them. `install` made them; `leftovers` sees that nothing of them stays.
"""

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import leftovers
from tests.cluster.api import ACCOUNT, CLASSES, VOLUMES, Api, default_class, volume
from tests.cluster.servers import (
    BRIDGE,
    DOMAIN,
    IP,
    NAME,
    SERVICES,
    Commands,
    Place,
    Ports,
    first,
    settings,
    then,
)
from tests.free import free_ports

# On a disk, and short; one node at a time has it.
HOME = Path("/var/lib/thumbwheel-node")
_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_BRIDGES_RULED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_START_SECONDS = 120.0
_VOLUMES = 8


class NotReady(Exception):
    """A server ended, or was not ready in time."""


@dataclass(frozen=True)
class Node:
    """`folder` has the output of each server, and in `pods` that of each container."""

    folder: Path
    kubeconfig: Path
    base: Path  # the archive of an image to build on

    def load(self, archive: Path) -> None:
        """Pods can have the image from now on; nothing is ever pulled."""
        _load(archive)


@contextmanager
def node(folder: Path) -> Iterator[Node]:
    """A node that is ready. As root; it waits for another one of this machine to end."""
    parts = made()
    with _swept(), ExitStack() as running:
        place = _laid_out(parts, folder)
        servers = _Servers(folder, running)
        servers.start(first(place))
        servers.wait("containerd", lambda: place.socket.exists())
        _load(parts / "pause.tar")
        api = Api(place.url, place.certificate, place.token)
        servers.wait("the API", lambda: api.answers("/readyz"))
        api.create(CLASSES, default_class())
        for volume_folder in _folders():
            api.create(VOLUMES, volume(volume_folder))
        running.callback(leftovers.end_pods, HOME)
        servers.start(then(place))
        servers.wait("the node", lambda: api.is_ready(NAME))
        servers.wait("an account", lambda: api.answers(ACCOUNT))
        servers.wait("the names", lambda: _is_known(f"kubernetes.default.svc.{DOMAIN}"))
        yield Node(folder, place.kubeconfig, parts / "base.tar")


def made() -> Path:
    """The folder of what `install` makes, once for each version of it."""
    done = subprocess.run([Path(__file__).parent / "install"], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, "tests/cluster/install failed; it said why"
    return Path(done.stdout.splitlines()[-1])


@contextmanager
def _swept() -> Iterator[None]:
    """One node at a time; before it and after it there is nothing of a node on this machine."""
    with HOME.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        leftovers.sweep(HOME)
        leftovers.remember(HOME)
        try:
            yield
        finally:
            leftovers.sweep(HOME)


def _laid_out(made: Path, folder: Path) -> Place:
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(made, HOME, folder.resolve(), Ports(*free_ports(7)), secrets.token_hex())
    plugins = next(one for one in _PLUGINS if one.is_dir())
    for name, text in settings(place, plugins).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)  # some hold the token
    _run("openssl", "genrsa", "-out", place.accounts_key, "2048")
    _bridge()
    return place


def _bridge() -> None:
    """The pods' network, whose packets are seen by the rules that make Services."""
    subprocess.run(["modprobe", "--all", "overlay", "br_netfilter"], stderr=subprocess.DEVNULL)
    if _BRIDGES_RULED.exists():
        _BRIDGES_RULED.write_text("1")
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "address", "add", f"{IP}/24", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    # What is meant for a Service that no rule knows yet ends here; else it would leave the machine.
    _run("ip", "route", "add", SERVICES, "dev", BRIDGE)


class _Servers:
    """Started one after the other; ended, the last one first, by what they run in."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self._folder, self._running = folder, running
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, commands: Commands) -> None:
        for name, command in commands.items():
            self._processes[name] = self._running.enter_context(
                _server(command, self._folder / f"{name}.log")
            )

    def wait(self, what: str, is_there: Callable[[], bool]) -> None:
        ends = time.monotonic() + _START_SECONDS
        while not is_there():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    said = (self._folder / f"{name}.log").read_text()[-3000:]
                    raise NotReady(f"{name} ended with {process.returncode}:\n{said}")
            if time.monotonic() > ends:
                raise NotReady(f"{what} is not there in {_START_SECONDS:g} s; see {self._folder}")
            time.sleep(0.1)


@contextmanager
def _server(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    # Whoever kills the tests kills them too.
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # Nobody reads what they would save at a gentler end.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_known(name: str) -> bool:
    """To the node's DNS."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = bytes([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + labels + bytes([0, 0, 1, 0, 1])
    with socket.socket(type=socket.SOCK_DGRAM) as asked:
        asked.settimeout(1)
        try:
            asked.sendto(question, (IP, 53))
            return asked.recv(512)[6:8] != bytes(2)  # how many answers
        except OSError:
            return False


def _folders() -> Iterator[Path]:
    """That every user may write to, as pods that are not root's need."""
    for number in range(_VOLUMES):
        folder = HOME / f"volume-{number}"
        folder.mkdir()
        folder.chmod(0o1777)
        yield folder


def _load(archive: Path) -> None:
    _run("ctr", "-a", HOME / "containerd.sock", "-n", "k8s.io", "images", "import", archive)


def _run(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise NotReady(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stderr}")
