"""WebDriver BiDi (https://w3c.github.io/webdriver-bidi/): commands and events on a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from e2e.engines.driver import DriverError

COMMAND_SECONDS = 60.0


class BidiSession:
    """One session. `listeners` are called with each event's method and parameters."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self.listeners: list[Callable[[str, dict[str, Any]], None]] = []

    async def command(
        self, method: str, *, seconds: float = COMMAND_SECONDS, **parameters: object
    ) -> dict[str, Any]:
        """The result of a command. DriverError where the browser says that it failed."""
        self._number += 1
        number = self._number
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json({"id": number, "method": method, "params": parameters})
            message = await asyncio.wait_for(answer, seconds)
        except (TimeoutError, ConnectionError, aiohttp.ClientError) as error:
            raise DriverError(f"{method}: no answer ({error!r})") from error
        finally:
            self._waiting.pop(number, None)
        if message["type"] == "error":
            raise DriverError(f"{method}: {message['error']}: {message['message']}")
        result: dict[str, Any] = message["result"]
        return result

    async def read(self) -> None:
        """Hand out what comes, until the browser is gone."""
        async for frame in self._socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            message: dict[str, Any] = frame.json()
            if message["type"] == "event":
                for listener in self.listeners:
                    listener(message["method"], message["params"])
                continue
            waiting = self._waiting.get(message.get("id") or 0)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("the browser is gone"))


@asynccontextmanager
async def bidi_session(address: str) -> AsyncIterator[BidiSession]:
    """A session with the browser that listens at that address (`ws://...`)."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{address}/session", max_msg_size=0) as socket,
    ):
        session = BidiSession(socket)
        reading = asyncio.create_task(session.read())
        try:
            yield session
        finally:
            reading.cancel()
