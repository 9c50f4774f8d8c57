"""The parent process: start, watch, restart, reload and stop workers.

The parent serves no requests and has no event loop: it waits for signals, so it is never slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from proxy.server.handover import Successor, start_successor
from proxy.server.listener import Listeners

_log = logging.getLogger("consent_proxy.server")

_SIGNALS = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD,
)  # fmt: skip
_STEADY = 10.0  # a worker that lived this long is restarted at once
_MAX_BACKOFF = 30.0
_READY_POLL = 0.02  # seconds between looks at whether all workers serve, at the start
_SUCCESSOR_POLL = 0.05  # and at whether a new process does
_RETIRE_AFTER = 1.0  # a worker that waits longer for its restart takes no visitors meanwhile
_MAX_FALSE_STARTS = 3  # of workers that never served, before the parent gives up


@dataclass(eq=False)
class Worker:
    """What a worker's `serve` gets: its number, when to stop, the hooks for SIGHUP and SIGUSR1.

    `serve` calls `ready()` once it accepts connections, sets `on_reload` if it can reload and
    `on_reopen` if it writes files that are rotated, and returns after `stop` was set and its
    requests are done.
    """

    index: int
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    replaced: bool = False
    """Whether it stops because another process serves in its place."""
    on_reload: Callable[[], Awaitable[None] | None] | None = None
    on_reopen: Callable[[], None] | None = None
    _report: Callable[[], None] = lambda: None
    _reloads: set[asyncio.Task[None]] = field(default_factory=set)

    def ready(self) -> None:
        self._report()

    def reopen(self) -> None:
        if self.on_reopen is not None:
            self.on_reopen()

    def reload(self) -> None:
        """Call the hook; a failure is logged and the worker keeps its configuration."""
        task = asyncio.get_running_loop().create_task(self._reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self) -> None:
        if self.on_reload is None:
            return
        try:
            result = self.on_reload()
            if inspect.isawaitable(result):
                await result
        except Exception:
            _log.exception(
                "worker %d: reload failed; still serving the previous configuration", self.index
            )


Serve = Callable[[Worker], Coroutine[Any, Any, None]]


def _nothing() -> None:
    pass


_NO_LISTENERS: Mapping[str, Listeners] = {}


def run_workers(
    serve: Serve,
    workers: int,
    *,
    grace: float = 30.0,
    on_ready: Callable[[], None] = _nothing,
    listeners: Mapping[str, Listeners] = _NO_LISTENERS,
) -> int:
    """Run `serve` in `workers` processes until SIGTERM or SIGINT; the exit code.

    `on_ready` is called once, in this process, when as many workers accept connections.

    `listeners` are the sockets that the workers accept from, by address: they are held here, and
    passed to the process that SIGUSR2 starts in place of this one.

    With one worker there is no second process: `serve` runs here. `grace` is how long the workers
    may take to end after the signal before they are killed. SIGHUP calls every worker's
    `on_reload`, SIGUSR1 its `on_reopen`. Raises ValueError for fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"workers = {workers}: at least one is needed")
    _raise_file_limit()
    # It would end a process that does not listen to it yet.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if workers == 1:
        _run(serve, 0, on_ready, None, _log_signal, listeners)
        _log.info("stopped")
        return 0
    code = _Parent(serve, workers, grace, on_ready, listeners).run()
    _log.info("stopped")
    return code


def _log_signal(number: int) -> None:
    _log.info(
        "%s: accepts no new connections; requests in flight are answered first",
        signal.Signals(number).name,
    )


def _raise_file_limit() -> None:
    """Raise the soft limit of open files: each request holds two sockets, and 1024 are soon
    reached.
    """
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _run(
    serve: Serve,
    index: int,
    report: Callable[[], None],
    parent_gone: int | None,
    on_stop: Callable[[int], None],
    listeners: Mapping[str, Listeners] | None = None,
) -> None:
    """Run a worker in this process. `listeners` are given where it has no parent."""

    async def main() -> None:
        worker = Worker(index, _report=report)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop_worker, worker, number, on_stop)
        loop.add_signal_handler(signal.SIGHUP, worker.reload)
        if listeners is None:
            loop.add_signal_handler(signal.SIGUSR2, _replace, worker)
        else:
            handing = _HandOver(worker, listeners)
            loop.add_signal_handler(signal.SIGUSR2, handing.begin)
        loop.add_signal_handler(signal.SIGUSR1, worker.reopen)
        if parent_gone is not None:
            loop.add_reader(parent_gone, _stop_alone, loop, parent_gone, worker)
        await serve(worker)
        if listeners is not None:
            handing.end()

    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(main())


def _stop_worker(worker: Worker, number: int, on_stop: Callable[[int], None]) -> None:
    if not worker.stop.is_set():
        on_stop(number)
    worker.stop.set()


def _replace(worker: Worker) -> None:
    worker.replaced = True
    worker.stop.set()


class _HandOver:
    """The hand-over of a process that is its own only worker."""

    def __init__(self, worker: Worker, listeners: Mapping[str, Listeners]) -> None:
        self._worker = worker
        self._listeners = listeners
        self._successor: Successor | None = None

    def begin(self) -> None:
        if self._successor is None and not self._worker.stop.is_set():
            self._successor = start_successor(_sockets(self._listeners))
            self._look()

    def _look(self) -> None:
        if self._successor is None:
            return
        serves = self._successor.serves()
        if serves is None:
            asyncio.get_running_loop().call_later(_SUCCESSOR_POLL, self._look)
            return
        self._successor = None
        if serves:
            _log_replaced()
            _replace(self._worker)

    def end(self) -> None:
        """A process that was still starting is ended with this one."""
        if self._successor is not None:
            self._successor.end()
            self._successor = None


def _sockets(listeners: Mapping[str, Listeners]) -> Mapping[str, Sequence[socket.socket]]:
    return {
        address: [sock for sock in one.sockets if sock.fileno() >= 0]
        for address, one in listeners.items()
    }


def _log_replaced() -> None:
    _log.info("the new process serves: this one answers the requests in flight and ends")


def _stop_alone(loop: asyncio.AbstractEventLoop, pipe: int, worker: Worker) -> None:
    # The parent's end of the pipe is closed: it was killed, and nothing else would stop this
    # worker.
    loop.remove_reader(pipe)
    worker.stop.set()


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform != "win32":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


@dataclass
class _Slot:
    """A worker's slot: the process that runs in it, and when it may be restarted."""

    index: int
    pid: int = 0
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0


class _Parent:
    def __init__(
        self,
        serve: Serve,
        workers: int,
        grace: float,
        on_ready: Callable[[], None],
        listeners: Mapping[str, Listeners],
    ) -> None:
        self._listeners = listeners
        self._successor: Successor | None = None
        self._on_ready: Callable[[], None] | None = on_ready
        self._ready = 0
        self._serve = serve
        self._slots = [_Slot(index) for index in range(workers)]
        self._grace = grace
        self._kill_at: float | None = None
        self._false_starts = 0
        self._any_served = False
        self._exit_code = 0

    def run(self) -> int:
        # Blocked signals wait until they are asked for: none is lost between two lines of code.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._ready_pipe = os.pipe()
        os.set_blocking(self._ready_pipe[0], False)
        self._life_pipe = os.pipe()
        try:
            while True:
                self._start_due(before)
                if self._stopping and not any(slot.pid for slot in self._slots):
                    return self._exit_code
                arrived = signal.sigtimedwait(_SIGNALS, self._pause())
                if arrived is not None:
                    self._on_signal(signal.Signals(arrived.si_signo))
                self._read_reports()
                self._look_at_successor()
                self._reap()
                self._kill_late()
        finally:
            for end in (*self._ready_pipe, *self._life_pipe):
                os.close(end)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def _stopping(self) -> bool:
        return self._kill_at is not None

    def _pause(self) -> float:
        """Seconds until something is due."""
        due = [slot.start_at for slot in self._slots if not slot.pid and not self._stopping]
        if self._kill_at is not None:
            due.append(self._kill_at)
        if self._on_ready is not None:
            due.append(time.monotonic() + _READY_POLL)
        if self._successor is not None:
            due.append(time.monotonic() + _SUCCESSOR_POLL)
        return max(0.0, min(due, default=time.monotonic() + 3600) - time.monotonic())

    def _start_due(self, mask: set[signal.Signals | int]) -> None:
        for slot in self._slots:
            if not self._stopping and not slot.pid and time.monotonic() >= slot.start_at:
                for listeners in self._listeners.values():
                    with contextlib.suppress(OSError):  # the worker then has none, and says so
                        listeners.revive(slot.index)
                self._start(slot, mask)

    def _start(self, slot: _Slot, mask: set[signal.Signals | int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        slot.started = time.monotonic()
        slot.pid = os.fork()
        if slot.pid == 0:
            self._child(slot.index, mask)

    def _child(self, index: int, mask: set[signal.Signals | int]) -> NoReturn:
        code = 1
        try:
            os.close(self._ready_pipe[0])
            os.close(self._life_pipe[1])
            # A reload meant for running workers must not kill one that is starting.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _run(self._serve, index, self._report_ready, self._life_pipe[0], lambda _: None)
            code = 0
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else 1
        except KeyboardInterrupt:
            code = 0
        except BaseException:
            _log.exception("worker %d failed", index)
        finally:
            # Not sys.exit: what the parent has on its stack is not this process's to unwind.
            logging.shutdown()
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _report_ready(self) -> None:
        os.write(self._ready_pipe[1], b"r")

    def _on_signal(self, number: signal.Signals) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._stopping and number == signal.SIGINT:
                self._kill_at = time.monotonic()  # the second Ctrl-C means now
                return
            if not self._stopping:
                _log_signal(number)
            self._stop()
        elif number in (signal.SIGHUP, signal.SIGUSR1):
            self._send_signal(number)
        elif number == signal.SIGUSR2 and self._successor is None and not self._stopping:
            self._successor = start_successor(_sockets(self._listeners))

    def _stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the workers: by SIGUSR2, where another process serves in their place."""
        if not self._stopping:
            self._kill_at = time.monotonic() + self._grace
        self._send_signal(number)
        for listeners in self._listeners.values():
            listeners.close()
        if self._successor is not None:
            self._successor.end()
            self._successor = None

    def _look_at_successor(self) -> None:
        if self._successor is None:
            return
        serves = self._successor.serves()
        if serves is not None:
            self._successor = None
        if serves:
            _log_replaced()
            self._stop(signal.SIGUSR2)

    def _send_signal(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(slot.pid, number)

    def _read_reports(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while reports := os.read(self._ready_pipe[0], 64):
                self._any_served = True
                self._false_starts = 0
                self._ready += len(reports)
        if self._on_ready is not None and self._ready >= len(self._slots):
            self._on_ready()
            self._on_ready = None

    def _reap(self) -> None:
        for slot in self._slots:
            if not slot.pid:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                self._ended(slot, os.waitstatus_to_exitcode(status))

    def _ended(self, slot: _Slot, code: int) -> None:
        lived = time.monotonic() - slot.started
        pid, slot.pid = slot.pid, 0
        if self._stopping:
            return
        slot.failures = 0 if lived >= _STEADY else slot.failures + 1
        wait = min(_MAX_BACKOFF, 0.25 * 2 ** (slot.failures - 1)) if slot.failures else 0.0
        slot.start_at = time.monotonic() + wait
        if wait > _RETIRE_AFTER:
            for listeners in self._listeners.values():
                listeners.retire(slot.index)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        _log.error("worker %d (pid %d) %s; it restarts in %g s", slot.index, pid, how, wait)
        if not self._any_served:
            self._false_starts += 1
            if self._false_starts >= _MAX_FALSE_STARTS:
                _log.error("no worker could start: giving up. The reason is in the lines above.")
                self._exit_code = 1
                self._stop()

    def _kill_late(self) -> None:
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._send_signal(signal.SIGKILL)
            self._kill_at = time.monotonic() + 1.0
