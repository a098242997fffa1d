"""Ports that nobody listens on."""

from ops.demo.stage import free_ports as free_ports


def free_port() -> int:
    return free_ports(1)[0]
