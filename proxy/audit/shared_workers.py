"""What shared workers ask for: they outlive their pages and belong to no page's session.

Playwright lets go of them as they start, so they are attached to in the browser's own session, and
the load of their script is held until that is done: what a worker does first is seen, too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import Browser, CDPSession

WorkerEvent = Callable[[str, str, Mapping[str, Any]], None]
"""Takes the address of a worker's script, an event of the protocol's Network domain and its
parameters.
"""

_KIND = "shared_worker"
_HELD = "Other"
"""What Chromium calls the request for a shared worker's script (`Network.ResourceType`)."""
_PATIENCE = 5.0
"""Seconds for which a script is held at most."""


class SharedWorkers:
    """The shared workers of a browser. One visitor at a time listens to them."""

    def __init__(self, session: CDPSession, max_body: int) -> None:
        self._session = session
        self._max_body = max_body
        self._listener: WorkerEvent = _ignore
        self._attached: dict[str, asyncio.Task[None]] = {}
        self._addresses: dict[str, str] = {}
        self._numbers = count(1)
        self._continued: set[asyncio.Task[None]] = set()

    def listen(self, listener: WorkerEvent) -> None:
        self._listener = listener

    async def hold_scripts_of(self, page: CDPSession) -> None:
        """Hold the scripts of the workers that a page starts, by the page's session."""
        page.on("Fetch.requestPaused", lambda event: self._paused(page, event))
        patterns = [{"urlPattern": "*", "resourceType": _HELD}]
        await page.send("Fetch.enable", {"patterns": patterns})

    async def start(self) -> None:
        self._session.on("Target.attachedToTarget", self._started)
        self._session.on("Target.receivedMessageFromTarget", self._received)
        await self._session.send(
            "Target.setAutoAttach",
            {
                "autoAttach": True,
                "waitForDebuggerOnStart": True,
                "flatten": True,
                "filter": [{"type": _KIND}],
            },
        )

    def _started(self, event: Mapping[str, Any]) -> None:
        # The second session, which _attach() opens, does not wait.
        if event["waitingForDebugger"] and event["targetInfo"]["type"] == _KIND:
            url = event["targetInfo"]["url"]
            self._attached[url] = asyncio.create_task(self._attach(event))

    async def _attach(self, event: Mapping[str, Any]) -> None:
        """Record the worker's requests. Playwright has no way to speak in the session that the
        browser has opened; one of the older kind takes its messages wrapped.
        """
        from playwright.async_api import Error

        target = event["targetInfo"]
        with suppress(Error):  # it is gone
            opened = await self._session.send(
                "Target.attachToTarget", {"targetId": target["targetId"], "flatten": False}
            )
            session = opened["sessionId"]
            self._addresses[session] = target["url"]
            await self._send(session, "Network.enable", {"maxPostDataSize": self._max_body})
            await self._send(session, "Runtime.runIfWaitingForDebugger", {})
            await self._session.send("Target.detachFromTarget", {"sessionId": event["sessionId"]})

    async def _send(self, session: str, method: str, parameters: Mapping[str, Any]) -> None:
        message = {"id": next(self._numbers), "method": method, "params": parameters}
        await self._session.send(
            "Target.sendMessageToTarget", {"sessionId": session, "message": json.dumps(message)}
        )

    def _received(self, event: Mapping[str, Any]) -> None:
        address = self._addresses.get(event["sessionId"])
        message = json.loads(event["message"])
        if address is not None and message.get("method", "").startswith("Network."):
            self._listener(address, message["method"], message["params"])

    def _paused(self, page: CDPSession, event: Mapping[str, Any]) -> None:
        task = asyncio.create_task(self._continue(page, event))
        self._continued.add(task)
        task.add_done_callback(self._continued.discard)

    async def _continue(self, page: CDPSession, event: Mapping[str, Any]) -> None:
        from playwright.async_api import Error

        attached = self._attached.get(event["request"]["url"])
        if attached is not None:
            await asyncio.wait({attached}, timeout=_PATIENCE)
        with suppress(Error):  # the page was left
            await page.send("Fetch.continueRequest", {"requestId": event["requestId"]})


def _ignore(_address: str, _method: str, _parameters: Mapping[str, Any]) -> None:
    """Of a visitor who has left."""


@asynccontextmanager
async def shared_workers(browser: Browser, *, max_body: int) -> AsyncIterator[SharedWorkers]:
    """Watch the browser's shared workers. Of a request's body `max_body` bytes are told."""
    from playwright.async_api import Error

    session = await browser.new_browser_cdp_session()
    workers = SharedWorkers(session, max_body)
    await workers.start()
    try:
        yield workers
    finally:
        with suppress(Error):
            await session.detach()
