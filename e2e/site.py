"""The demo, running beside the tests in a thread of its own."""

from __future__ import annotations

import asyncio
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from examples.demo.running import Ports, demo
from examples.demo.vendors import Ledger
from tests.support.guarded import guarded
from tests.support.ports import free_ports

Servers = TypeVar("Servers")

MARKETING_PAGES = (
    "/",
    "/product",
    "/blog/",
    "/blog/reading-a-denial",
    "/contact",
    "/privacy",
    "/account",
    "/no-such-page",
)
PATIENT_PAGE = "/patients/pay"
EVERY_VENDOR = "/blog/reading-a-denial"
"""The one page that carries every vendor: it has the video too."""


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """Where the demo answers, and what its vendors got to know."""

    ports: Ports
    state: Path
    ledger: Ledger = field(default_factory=Ledger)

    def url(self, path: str) -> str:
        """The page as visitors get it."""
        return f"http://localhost:{self.ports.proxy}{path}"

    def origin_url(self, path: str) -> str:
        """The page without the proxy."""
        return f"http://127.0.0.1:{self.ports.origin}{path}"


@contextmanager
def in_thread(servers: AbstractAsyncContextManager[Servers]) -> Iterator[Servers]:
    """Run asynchronous servers while the block runs, and give what they give.

    What their start raises is raised here.
    """
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    up = threading.Event()
    given: list[Servers] = []
    faults: list[BaseException] = []

    async def serve() -> None:
        try:
            async with servers as started:
                given.append(started)
                up.set()
                await stop.wait()
        except BaseException as fault:
            faults.append(fault)
        finally:
            up.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    up.wait()
    try:
        if faults:
            raise faults[0]
        yield given[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=30)
        loop.close()


def _on_every_page(config: str) -> str:
    """The demo's config with its tags approved for patients' pages too: they stay closed there.
    The video's tag names the blog only, which another test is about.
    """
    return re.sub(r'^pages = (?!\["/blog/).*$', 'pages = ["/*"]', config, flags=re.MULTILINE)


@contextmanager
def running_demo() -> Iterator[RunningDemo]:
    """The whole demo on free ports, with keys and receipts of its own."""
    with tempfile.TemporaryDirectory(prefix="consent-e2e-") as folder:
        running = RunningDemo(Ports(*free_ports(4)), Path(folder))
        with in_thread(
            demo(
                running.ports,
                running.state,
                running.ledger,
                change=_on_every_page,
                beside=guarded,
            )
        ):
            yield running
