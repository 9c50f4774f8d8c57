"""The log's way out: lines wait in bounded memory for a thread that writes them.

Whoever reads the log may stall, and a write to a full pipe waits: in the event loop it would stop
every request, and the end of the process as well. What finds no room is dropped and counted.
"""

from __future__ import annotations

import logging
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import TextIO

MAX_WAITING = 1024 * 1024
"""Bytes that may wait. Lines are ASCII."""
_ATOMIC_WRITE = 4096
"""Bytes that a pipe takes in one piece (Linux, PIPE_BUF; POSIX, write)."""
_END_SECONDS = 1.0
"""How long the end of the process waits for the reader."""


class LogOutput:
    """Lines for `out`. Each process that writes has a thread of its own, made by the first line.

    `on_drop` is called with the number of lines dropped, by whoever wrote them.
    """

    def __init__(self, out: TextIO, max_waiting: int = MAX_WAITING) -> None:
        self._out = out
        self._max_waiting = max_waiting
        self.on_drop: Callable[[int], None] = _ignore
        self._process = 0

    def _begin(self) -> None:
        # Also in a child: what waited at the fork is the parent's to write, and a lock may be held.
        self._process = os.getpid()
        self._fd = self._out.fileno()
        self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._waiting: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._size = 0
        self._dropped = 0
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
            else:
                lines = text.count("\n")
                self._dropped += lines
        if fits:
            self._waiting.put(text)
        else:
            self.on_drop(lines)

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
            with self._counts:
                dropped, self._dropped = self._dropped, 0
            if dropped:
                self._put(_drop_line(dropped))
            self._put(first)
            with self._counts:
                self._size -= len(first)

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
        except OSError:  # a closed pipe must not stop the service
            return


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
        "consent_proxy.observability", logging.WARNING, "", 0,
        "%d lines of the log were dropped: its reader did not take them in time", (dropped,), None,
    )  # fmt: skip
    formatter = logging.getLogger().handlers[0].formatter if logging.getLogger().handlers else None
    return (formatter or logging.Formatter()).format(record) + "\n"
