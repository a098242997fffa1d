"""Ports that are to be free before anything starts. Knows nothing of who will listen on them."""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass


class BusyPort(Exception):
    """Somebody else listens where a program is to listen."""


@dataclass(frozen=True)
class Port:
    """`setting` is what moves it: its name in the environment, or an option."""

    number: int
    name: str
    setting: str
    host: str = "127.0.0.1"


def refuse_busy(ports: Iterable[Port]) -> None:
    complaints = [
        f"port {port.number} ({port.name}) {trouble}; stop what holds it or set {port.setting}"
        for port in ports
        if (trouble := _trouble(port))
    ]
    if complaints:
        raise BusyPort("\n".join(complaints))


def _trouble(port: Port) -> str:
    with socket.socket() as probe:
        # As servers do: connections that are only waiting to be forgotten do not hold a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            return "is in use" if in_use else f"cannot be had ({error.strerror})"
    return ""
