"""Listening sockets: TCP and Unix."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path


def open_listener(
    listen: str, *, reuse_port: bool = False, backlog: int = 1024, any_port: bool = False
) -> socket.socket:
    """A bound socket for "host:port", "[::1]:8080", ":8080" (all addresses) or "unix:/path".
    `any_port`: with a free port in place of the one that is named.

    Raises ValueError for a malformed address and OSError when it cannot
    be bound.
    """
    if listen.startswith("unix:"):
        return _open_unix(Path(listen.removeprefix("unix:")), backlog)
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(
            f'cannot listen on {listen!r}: write "host:port", for example "127.0.0.1:8080", '
            'or "unix:/run/consent-proxy.sock"'
        )
    host = host.removeprefix("[").removesuffix("]")
    number = 0 if any_port else int(port)
    try:
        if host in ("", "*"):
            dual = socket.has_dualstack_ipv6()
            return socket.create_server(
                ("::" if dual else "0.0.0.0", number),  # noqa: S104 - asked for
                family=socket.AF_INET6 if dual else socket.AF_INET,
                dualstack_ipv6=dual,
                reuse_port=reuse_port,
                backlog=backlog,
            )
        found = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        return socket.create_server(
            address[:2],
            family=family,
            reuse_port=reuse_port,
            backlog=backlog,
        )
    except OSError as exc:
        raise OSError(
            exc.errno,
            f"cannot listen on {listen!r}: {exc.strerror or exc}. {_advice(exc)}",
        ) from exc


def check_address(listen: str) -> None:
    """Whether this process could listen there, as far as that is seen without taking the port or
    replacing the socket of a running one. Raises as `open_listener`.
    """
    if not listen.startswith("unix:"):
        open_listener(listen, any_port=True).close()
        return
    path = Path(listen.removeprefix("unix:"))
    fault = 0
    if not path.parent.is_dir():
        fault = errno.ENOENT
    elif path.exists() and not path.is_socket():
        fault = errno.EADDRINUSE
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        fault = errno.EACCES
    if fault:
        raise OSError(fault, f"cannot listen on unix:{path}: {os.strerror(fault)}")


class Listeners:
    """The listening sockets of one address, held by the parent of the workers that accept from
    them: what waits in a worker's socket outlives the worker.

    Of a TCP port each worker has a socket of its own, among which the kernel spreads connections
    (SO_REUSEPORT); a Unix socket, and one of systemd's, is shared. `given` are sockets that were
    inherited. Raises as `open_listener`.
    """

    def __init__(self, address: str, workers: int, given: Sequence[socket.socket] = ()) -> None:
        self._address = address
        self._workers = workers
        self.sockets = list(given)
        self._spreads = not address.startswith("unix:")
        if not given:
            # Without `reuse_port` first: a second proxy must not take half of the visitors unseen.
            first = open_listener(address)
            if not self._spreads:
                self.sockets.append(first)
                return
            first.close()
        elif self._spreads:
            self._spreads = all(one.getsockopt(*_REUSE_PORT) for one in given)
        if self._spreads:
            missing = workers - len(self.sockets)
            self.sockets += (open_listener(address, reuse_port=True) for _ in range(missing))

    def of(self, worker: int) -> list[socket.socket]:
        """The sockets that a worker accepts from."""
        number = len(self.sockets)
        if number < self._workers:
            return [self.sockets[worker % number]]
        return self.sockets[worker :: self._workers]

    def keep_only(self, worker: int) -> None:
        """In the process of a worker: close the other workers' sockets."""
        own = self.of(worker)
        for sock in self.sockets:
            if sock not in own:
                sock.close()

    def retire(self, worker: int) -> None:
        """Close the socket of a worker that does not come up, so that its share of the visitors
        does not wait for it.
        """
        if self._spreads and len(self.sockets) == self._workers:
            self.sockets[worker].close()

    def revive(self, worker: int) -> None:
        """Open a retired socket again. Raises OSError."""
        if self.sockets[worker % len(self.sockets)].fileno() < 0:
            self.sockets[worker] = open_listener(self._address, reuse_port=True)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


_REUSE_PORT = (socket.SOL_SOCKET, socket.SO_REUSEPORT)


def _advice(exc: OSError) -> str:
    match exc.errno:
        case errno.EADDRNOTAVAIL:
            return (
                "No interface of this machine has that address: name one that `ip address` lists, "
                'or "0.0.0.0" for all'
            )
        case errno.EACCES | errno.EPERM:
            return "Ports below 1024 need a privilege (CAP_NET_BIND_SERVICE)"
    if isinstance(exc, socket.gaierror):
        return "Is the name spelt right?"
    return "Is another process using it?"


def _open_unix(path: Path, backlog: int) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()  # left by a process that has ended
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        sock.listen(backlog)
    except OSError as exc:
        sock.close()
        raise OSError(exc.errno, f"cannot listen on unix:{path}: {exc.strerror}") from exc
    return sock
