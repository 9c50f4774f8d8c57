"""The log's way out: lines wait in bounded memory for a thread that writes them.

Whoever reads the log may stall, and a write to a full pipe waits: in the event loop it would stop
every request, and the end of the process as well. What finds no room is dropped and counted.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import TextIO

_log = logging.getLogger("consent_proxy.observability")

MAX_WAITING = 4 * 1024 * 1024
"""Bytes that may wait. Lines are ASCII."""
_ATOMIC_WRITE = 4096
"""Bytes that a pipe takes in one piece (Linux, PIPE_BUF; POSIX, write)."""
_DROPPED = "%d lines of the log were dropped: its reader did not take them in time"
_END_SECONDS = 1.0
"""How long the end of the process waits for the reader."""


class _Reopen:
    """In place of lines: open the file anew."""


_REOPEN = _Reopen()


class LogOutput:
    """Lines for `out`: a stream, or the path of a file that each process opens to append to. Each
    process that writes has a thread of its own, made by the first line.

    `on_drop` is called with the number of lines dropped, by whoever writes.
    """

    def __init__(self, out: TextIO | Path, max_waiting: int = MAX_WAITING) -> None:
        self._out = out
        self._max_waiting = max_waiting
        self.on_drop: Callable[[int], None] = _ignore
        self._process = 0

    def _begin(self) -> None:
        # Also in a child: what waited at the fork is the parent's to write, and a lock may be held.
        self._process = os.getpid()
        if isinstance(self._out, Path):
            self._fd, self._is_file = -1, True
            self._open(self._out)
        else:
            self._fd = self._out.fileno()
            self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._waiting: SimpleQueue[str | threading.Event | _Reopen] = SimpleQueue()
        self._size = 0
        self._dropped = 0
        self._failed = 0  # lines that could not be written; not yet told to `on_drop`
        self._counts = threading.Lock()
        # A thread inherits what is blocked. None of the signals is this one's: the parent process
        # waits for its own, and one that comes to a thread which does not block it would end it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        threading.Thread(target=self._run, args=(self._process,), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def write(self, text: str) -> None:
        """Write whole lines. Never waits.

        The thread is woken once a call, which costs both: give many lines at once.
        """
        if self._process != os.getpid():
            self._begin()
        with self._counts:
            fits = self._size + len(text) <= self._max_waiting
            if fits:
                self._size += len(text)
                lost, self._failed = self._failed, 0
            else:
                lost = text.count("\n")
                self._dropped += lost
        if fits:
            self._waiting.put(text)
        if lost:
            self.on_drop(lost)

    def reopen(self) -> None:
        """Open the file anew, where it was renamed or removed: lines that wait already still go to
        the former one. Nothing for a stream.
        """
        if isinstance(self._out, Path) and self._process == os.getpid():
            self._waiting.put(_REOPEN)

    def flush(self) -> None:
        """Nothing: lines are on their way. `drain` waits for them."""

    def drain(self, seconds: float = _END_SECONDS) -> None:
        """Wait until all is written, or `seconds` have passed."""
        if self._process != os.getpid():
            return
        written = threading.Event()
        self._waiting.put(written)
        written.wait(seconds)

    def _run(self, process: int) -> None:
        while self._process == process:
            first = self._waiting.get()
            if isinstance(first, threading.Event):
                first.set()
                continue
            if isinstance(first, _Reopen):
                if isinstance(self._out, Path):
                    self._open(self._out)
                continue
            with self._counts:
                dropped, self._dropped = self._dropped, 0
            if dropped:
                self._tell_dropped(dropped)
            self._put(first)
            with self._counts:
                self._size -= len(first)

    def _open(self, path: Path) -> None:
        """Open the file in place of the one that is open; that one stays where it cannot be."""
        try:
            fd = open_log_file(path)
        except OSError as error:
            _log.error("the log %s cannot be opened: %s", path, error.strerror)
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)

    def _tell_dropped(self, dropped: int) -> None:
        if isinstance(self._out, Path):  # whose lines may be of another form
            _log.warning(_DROPPED, dropped)
        else:
            self._put(_drop_line(dropped))

    def _put(self, text: str) -> None:
        if self._is_file:
            self._put_piece(text)  # a file is appended to in one piece, however long
            return
        for piece in _pieces(text):
            self._put_piece(piece)

    def _put_piece(self, text: str) -> None:
        data = text.encode("ascii", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:  # a closed pipe, or a full disk, must not stop the service
            with self._counts:
                self._failed += data.count(b"\n")


def open_log_file(path: Path) -> int:
    """A descriptor to append to a file, made where it is missing; readable for its group. Raises
    OSError.
    """
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def check_log_file(path: Path) -> None:
    """Whether `open_log_file` could open it; makes no file. Raises OSError."""
    if path.exists():
        os.close(open_log_file(path))
    elif not path.parent.is_dir():
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _pieces(text: str) -> Iterator[str]:
    """Whole lines, together as long as a pipe takes them without lines of other workers between."""
    at = 0
    while len(text) - at > _ATOMIC_WRITE:
        end = text.rfind("\n", at, at + _ATOMIC_WRITE) + 1 or text.find("\n", at) + 1 or len(text)
        yield text[at:end]
        at = end
    yield text[at:]


class LogHandler(logging.Handler):
    """Messages of the product to a `LogOutput`."""

    def __init__(self, output: LogOutput) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._output.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        self._output.drain()


def _ignore(_: int) -> None:
    pass


def _drop_line(dropped: int) -> str:
    record = logging.LogRecord(
        "consent_proxy.observability", logging.WARNING, "", 0, _DROPPED, (dropped,), None
    )
    formatter = logging.getLogger().handlers[0].formatter if logging.getLogger().handlers else None
    return (formatter or logging.Formatter()).format(record) + "\n"
