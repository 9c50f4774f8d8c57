"""Requests to the admin listener of the running proxy, from the same machine."""

from __future__ import annotations

import http.client
import socket

_SECONDS = 10.0
_EVERY_INTERFACE = {
    "": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1",  # noqa: S104
}  # fmt: skip


class NoAnswerError(Exception):
    """Nobody answered. The message says where and why."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask_admin(listen: str, target: str, method: str = "GET") -> tuple[int, bytes]:
    """Status and body of a response of `admin_listen`. Raises NoAnswerError."""
    is_socket = listen.startswith("unix:")
    if is_socket:
        path = listen.removeprefix("unix:")
        connection: http.client.HTTPConnection = _UnixConnection(path, _SECONDS)
    else:
        host, _, port = listen.rpartition(":")
        host = _EVERY_INTERFACE.get(host, host.strip("[]"))
        connection = http.client.HTTPConnection(host, int(port), timeout=_SECONDS)
    try:
        connection.request(method, target)
        reply = connection.getresponse()
        return reply.status, reply.read()
    except (OSError, http.client.HTTPException) as error:
        where = listen if is_socket else f"http://{listen}"
        raise NoAnswerError(f"{where}: no response ({error}): is the proxy running?") from error
    finally:
        connection.close()
