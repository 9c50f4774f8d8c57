"""Listening sockets that outlive a process: from systemd, and from one version to the next.

On SIGUSR2 a process starts itself again, with its sockets. Once the new one serves, it says so
through a pipe, and the old one answers what it has begun and ends. Nobody is refused meanwhile: the
sockets, and the connections that wait in them, are the same.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_log = logging.getLogger("consent_proxy.server")

_SOCKETS = "CONSENT_PROXY_SOCKETS"
_READY = "CONSENT_PROXY_READY"
_FIRST_OF_SYSTEMD = 3
"""sd_listen_fds(3): descriptors from this one on."""
START_SECONDS = 60.0
"""Within which a new process must serve."""
ROLES = ("listen", "admin", "redirect")
"""Names of systemd's sockets (FileDescriptorName=): any other name is `listen`."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """Listening sockets that this process was started with."""

    by_address: Mapping[str, Sequence[socket.socket]] = field(default_factory=dict)
    by_role: Mapping[str, Sequence[socket.socket]] = field(default_factory=dict)
    ready: int | None = None
    """The pipe to the process that this one replaces."""

    def of(self, role: str, address: str) -> list[socket.socket]:
        """Those of a listener; none where it has to open its own."""
        return list(self.by_address.get(address, ()) or self.by_role.get(role, ()))

    def close_others(self, used: Sequence[socket.socket]) -> None:
        """Close what no listener of the config uses."""
        for sockets in (*self.by_address.values(), *self.by_role.values()):
            for sock in sockets:
                if sock not in used:
                    sock.close()

    def report_ready(self) -> None:
        """Tell systemd, and the process that this one replaces, that it serves."""
        notify_supervisor(f"READY=1\nMAINPID={os.getpid()}")
        if self.ready is not None:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                os.write(self.ready, b"r")
            os.close(self.ready)


def inherited() -> Inherited:
    """Take over the sockets that the environment names, and clear it of them. Raises ValueError for
    what is no listening socket.
    """
    text, ready = os.environ.pop(_SOCKETS, ""), os.environ.pop(_READY, "")
    of_systemd = _systemd_sockets()
    if not text:
        return Inherited(by_role=of_systemd)
    # The old process had them blocked, and a mask outlives exec.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    numbers: dict[str, list[int]] = json.loads(text)
    by_address = {at: [_adopt(one) for one in found] for at, found in numbers.items()}
    pipe = int(ready)
    os.set_inheritable(pipe, False)
    return Inherited(by_address, ready=pipe)


def _systemd_sockets() -> dict[str, list[socket.socket]]:
    """sd_listen_fds(3)."""
    pid, number = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not number.isdigit():
        return {}
    found: dict[str, list[socket.socket]] = {}
    for index in range(int(number)):
        name = names[index] if index < len(names) else ""
        role = name if name in ROLES else ROLES[0]
        found.setdefault(role, []).append(_adopt(_FIRST_OF_SYSTEMD + index))
    return found


def _adopt(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    try:
        sock = socket.socket(fileno=descriptor)
        listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ValueError(f"descriptor {descriptor} is no socket: {error.strerror}") from None
    if not listens:
        raise ValueError(
            f"descriptor {descriptor} is no listening socket; in systemd's socket unit write "
            "ListenStream= and Accept=no"
        )
    return sock


def notify_supervisor(state: str) -> None:
    """sd_notify(3): nothing where no supervisor asks for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address)


class Successor:
    """A new process that was started with this one's sockets."""

    def __init__(self, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
        """Start it. Raises OSError."""
        numbers = {address: [one.fileno() for one in found] for address, found in sockets.items()}
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        environment = {**os.environ, _SOCKETS: json.dumps(numbers), _READY: str(theirs)}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - its own command line
                _command(),
                env=environment,
                pass_fds=(theirs, *(one for found in numbers.values() for one in found)),
            )
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)
        self._until = time.monotonic() + START_SECONDS
        self.pid = self._process.pid

    def serves(self) -> bool | None:
        """True once it serves, False where it never will (the log says why), None until then."""
        answer = b""
        with contextlib.suppress(BlockingIOError):
            answer = os.read(self._pipe, 1)
            if not answer:
                self._process.wait()
        if answer:
            os.close(self._pipe)
            return True
        code = self._process.poll()
        if code is None and time.monotonic() < self._until:
            return None
        if code is None:
            why = f"was not ready within {START_SECONDS:g} s, and was ended"
        else:
            why = f"ended with exit code {code}"
        self.end()
        _log.error(
            "hand-over failed: the new process %s. Its last lines say why; this one goes on",
            why,
        )
        return False

    def end(self) -> None:
        """End it, whatever it does; its workers end with it."""
        with contextlib.suppress(OSError):
            os.close(self._pipe)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def start_successor(sockets: Mapping[str, Sequence[socket.socket]]) -> Successor | None:
    """Start the new process; None, and a line in the log, where that cannot be done."""
    if os.getpid() == 1:
        _log.error(
            "SIGUSR2: this process is the first of its container, which ends with it; start "
            "another container beside this one in place of a hand-over"
        )
        return None
    try:
        successor = Successor(sockets)
    except OSError as error:
        _log.error("SIGUSR2: the new process cannot be started: %s", error.strerror)
        return None
    _log.info("SIGUSR2: process %d starts, and takes over once it serves", successor.pid)
    return successor


def _command() -> list[str]:
    """How this process was started: by the console script, whose first line names the interpreter
    of a version that was installed meanwhile, or by `python -m proxy`.
    """
    script = Path(sys.argv[0])
    if script.suffix != ".py" and os.access(script, os.X_OK) and script.is_file():
        return [str(script), *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]
