"""Listening sockets: TCP and Unix."""

from __future__ import annotations

import contextlib
import errno
import socket
import stat
from pathlib import Path


def open_listener(listen: str, *, reuse_port: bool = False, backlog: int = 1024) -> socket.socket:
    """A bound socket for "host:port", "[::1]:8080", ":8080" (all addresses) or "unix:/path".

    A Unix socket is opened before the workers are forked, and shared; each worker opens its own TCP
    socket, with `reuse_port`. Raises ValueError for a malformed address and OSError when it cannot
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
    try:
        if host in ("", "*"):
            dual = socket.has_dualstack_ipv6()
            return socket.create_server(
                ("::" if dual else "0.0.0.0", int(port)),  # noqa: S104 - asked for
                family=socket.AF_INET6 if dual else socket.AF_INET,
                dualstack_ipv6=dual,
                reuse_port=reuse_port,
                backlog=backlog,
            )
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
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
