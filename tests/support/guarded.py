"""Processes that do not outlive the tests, however these end."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Protocol


class Started(Protocol):
    """A process of `subprocess` or of asyncio."""

    @property
    def pid(self) -> int: ...


@contextlib.contextmanager
def guarded(process: Started) -> Iterator[None]:
    """Should this process be killed within the block, end another."""
    let_go = guard(process)
    try:
        yield
    finally:
        let_go()


def guard(process: Started) -> Callable[[], None]:
    """The same, until what is returned is called: by then its number may be another's.

    It ends by SIGKILL with its group, if it leads one, else by SIGTERM, so that it ends those that
    it started. A shell in a session of its own waits at a pipe whose other end is here and nowhere
    else: the kernel closes it with this process, whatever killed it. (PR_SET_PDEATHSIG is about the
    thread that started the child, which may end before, and is inherited by no grandchild.)
    """
    signal, target = ("KILL", -process.pid) if _leads_group(process) else ("TERM", process.pid)
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", f"read -r done || kill -s {signal} -- {target}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def let_go() -> None:
        if watcher.returncode is None:
            watcher.communicate(b"done\n")

    return let_go


def _leads_group(process: Started) -> bool:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(process.pid) == process.pid
    return False
