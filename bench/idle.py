"""What an idle connection costs: open many, ask once on each, see what the server holds then."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from bench.load import Request
from bench.processes import Server, memory

_LATE_SECONDS = 4
"""A worker makes what the first requests do not need two seconds after its start: 4 MB."""


@dataclass(frozen=True, slots=True)
class IdleCost:
    """`kb` a connection: what a server holds with all open, less what it held with `few`."""

    server: str
    connections: int
    kb: float


def measure_idle(server: Server, request: Request, connections: int, few: int = 100) -> IdleCost:
    """Connections that were used for one page and stay open. Raises OSError where too few files may
    be open.
    """
    lines = [f"GET {request.path} HTTP/1.1", *(f"{n}: {v}" for n, v in request.headers.items())]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    opened: list[socket.socket] = []
    try:
        # Whatever is made on the first of them (buffers, caches) is not theirs.
        _open(opened, server, head, few)
        time.sleep(_LATE_SECONDS)
        before = _settled(server)
        _open(opened, server, head, connections)
        after = _settled(server)
    finally:
        for one in opened:
            one.close()
    return IdleCost(server.name, connections, round((after - before) / (connections - few), 2))


def _open(opened: list[socket.socket], server: Server, head: bytes, until: int) -> None:
    while len(opened) < until:
        one = socket.create_connection(("127.0.0.1", server.port), 10)
        opened.append(one)
        one.sendall(head)
        _read_reply(one)


def _read_reply(one: socket.socket) -> None:
    """Read one reply with a Content-Length, or in chunks."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += _some(one)
    head, _, body = got.partition(b"\r\n\r\n")
    length = next(
        (
            int(x.split(b":")[1])
            for x in head.split(b"\r\n")
            if x.lower().startswith(b"content-len")
        ),
        None,
    )
    if length is None:
        while not body.endswith(b"0\r\n\r\n"):
            body += _some(one)
        return
    left = length - len(body)
    while left > 0:
        left -= len(_some(one))


def _some(one: socket.socket) -> bytes:
    got = one.recv(1 << 17)
    if not got:
        raise ConnectionError("the server closed a connection that was to stay open")
    return got


def _settled(server: Server) -> int:
    """Resident KB, once it no longer changes."""
    seen = -1
    for _ in range(20):
        now = memory(server.pid).rss
        if now == seen:
            break
        seen = now
        time.sleep(0.3)
    return seen
