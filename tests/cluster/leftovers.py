"""What a node leaves on the machine: containers, mounts, its network, rules. The only file that
takes it away.

No process is ended by its name: those of pods are in their control groups, and the ones that watch
over them were told where this node's containerd is.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.cluster.servers import BRIDGE

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_LINKS = Path("/var/log/containers")
# Where the servers write whatever they are told.
_WRITTEN = ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", str(_LINKS))
_END_SECONDS = 10.0
_TIDY_SECONDS = 3.0  # 0.4 s is usual; a container that ended just before may be waited for in vain
_RULES = ("iptables", "ip6tables")
_CHAIN = re.compile(r"(?<!\S):?((?:KUBE|CNI)-\S+)")
# The servers change these.
_KNOBS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)


class Taken(Exception):
    """The machine is a node of another Kubernetes already."""


def remember(home: Path) -> None:
    """How the machine is before there is a node on it, for `sweep`."""
    if any(_pod_groups()):
        raise Taken(f"{_CONTROL_GROUPS} has groups of pods; expected a machine that is no node yet")
    found = {
        "knobs": {knob: text for knob in _KNOBS if (text := _knob(knob)) is not None},
        "chains": sorted(chain for tool in _RULES for chain in _chains(_rules(tool))),
        "absent": [path for path in _WRITTEN if not Path(path).exists()],
        "links": sorted(link.name for link in _LINKS.glob("*")),
    }
    home.mkdir(parents=True)
    (home / "found.json").write_text(json.dumps(found))


def end_pods(home: Path) -> None:
    """While containerd runs: it clears up after containers that end, and ends who watched them."""
    _gone(home, _in_pods, _TIDY_SECONDS)


def sweep(home: Path) -> None:
    """The machine is as `remember` found it; a node that was killed may have left anything."""
    if not (home / "found.json").exists():
        shutil.rmtree(home, ignore_errors=True)
        return
    found = json.loads((home / "found.json").read_text())
    _end_processes(home)
    _unmount(home)
    subprocess.run(["ip", "link", "delete", BRIDGE], stderr=subprocess.DEVNULL)
    for tool in _RULES:
        _drop_chains(tool, set(found["chains"]))
    for knob, text in found["knobs"].items():
        _turn(knob, text)
    for link in _LINKS.glob("*"):
        if link.name not in found["links"]:
            link.unlink()
    for path in (*found["absent"], home):
        shutil.rmtree(path, ignore_errors=True)


def processes(home: Path) -> set[int]:
    """Of the pods, and of what watches over them."""
    told = (str(home / "containerd.sock").encode(), f"{home}/run/".encode())
    watching = {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and any(word.startswith(told) for word in _words(entry))
    }
    return watching | _in_pods()


def _in_pods() -> set[int]:
    return {pid for group in _pod_groups() for pid in _members(group)}


def mounts(home: Path) -> list[str]:
    """Those inside, the innermost first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    places = [line.split()[1] for line in lines]
    return [place for place in reversed(places) if place.startswith(f"{home}/")]


def chains() -> set[str]:
    return {chain for tool in _RULES for chain in _chains(_rules(tool))}


def _words(entry: Path) -> list[bytes]:
    try:
        return (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it went meanwhile
        return []


def _pod_groups() -> Iterator[Path]:
    """Of the one kind of control groups, of the other, or of both."""
    for top in (_CONTROL_GROUPS, *_CONTROL_GROUPS.glob("*/")):
        for folder, _, _ in os.walk(top / "kubepods", topdown=False):
            yield Path(folder)


def _members(group: Path) -> Iterator[int]:
    with suppress(OSError):
        yield from map(int, (group / "cgroup.procs").read_text().split())


def _end_processes(home: Path) -> None:
    if not _gone(home, lambda: processes(home), _END_SECONDS):
        raise TimeoutError(f"processes {sorted(processes(home))} did not end")
    for group in _pod_groups():
        group.rmdir()


def _gone(home: Path, killed: Callable[[], set[int]], seconds: float) -> bool:
    """Whether, while `killed` are killed, all processes end in time."""
    ends = time.monotonic() + seconds
    while processes(home):
        if time.monotonic() > ends:
            return False
        for pid in killed():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return True


def _unmount(home: Path) -> None:
    for place in mounts(home):
        subprocess.run(["umount", "--lazy", place], check=True)


def _rules(tool: str) -> str:
    # Without IPv6 there are none of its rules to be had.
    return subprocess.run([f"{tool}-save"], capture_output=True, text=True).stdout


def _chains(rules: str) -> set[str]:
    return {chain for line in rules.splitlines() for chain in _CHAIN.findall(line)}


def _drop_chains(tool: str, before: set[str]) -> None:
    """What speaks of a chain that was not there before goes; all other rules stay."""
    rules = _rules(tool)
    made = _chains(rules) - before
    kept = [line for line in rules.splitlines() if not made & set(_CHAIN.findall(line))]
    if made:
        subprocess.run([f"{tool}-restore"], input="\n".join(kept) + "\n", text=True, check=True)


def _knob(name: str) -> str | None:
    try:
        return (Path("/proc/sys") / name).read_text()
    except OSError:
        return None


def _turn(name: str, text: str) -> None:
    if _knob(name) != text:
        (Path("/proc/sys") / name).write_text(text)
