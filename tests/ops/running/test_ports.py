import socket

import pytest

from ops.running.ports import BusyPort, Port, refuse_busy
from tests.free import free_port


def test_every_busy_port_is_named_with_the_setting_that_moves_it() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        first, second = one.getsockname()[1], two.getsockname()[1]
        ports = [
            Port(first, "serving", "THUMBWHEEL_SERVING_PORT"),
            Port(free_port(), "ops metrics", "THUMBWHEEL_OPS_METRICS_PORT"),
            Port(second, "engine", "THUMBWHEEL_ENGINE_PORT"),
        ]
        with pytest.raises(BusyPort) as busy:
            refuse_busy(ports)
    assert str(busy.value).splitlines() == [
        f"port {first} (serving) is in use; stop what holds it or set THUMBWHEEL_SERVING_PORT",
        f"port {second} (engine) is in use; stop what holds it or set THUMBWHEEL_ENGINE_PORT",
    ]


def test_a_port_that_was_just_left_is_free() -> None:
    """A connection that its server closed first lingers in TIME_WAIT."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    refuse_busy([Port(port, "serving", "THUMBWHEEL_SERVING_PORT")])


def test_an_address_of_another_machine_is_refused_with_its_reason() -> None:
    with pytest.raises(BusyPort, match=r"port 8000 \(serving\) cannot be had \(Cannot assign"):
        refuse_busy([Port(8000, "serving", "THUMBWHEEL_SERVING_PORT", host="192.0.2.1")])
