"""Ports for servers that tests start: chosen here, listened on later by another process."""

from __future__ import annotations

import contextlib
import random
import socket

_PORTS = range(10_000, 32_000)
"""Below those that systems take for outgoing connections (Linux: 32768 to 60999), of which one
could be gone before the server listens."""
_CHOOSING = random.SystemRandom()  # hypothesis and xdist give all workers the same seed


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        while len(ports) < number:
            port = _CHOOSING.choice(_PORTS)
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
        return ports


def free_port() -> int:
    return free_ports(1)[0]
