"""Connections to upstreams that report interim responses (1xx), which aiohttp's client drops."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from aiohttp import TCPConnector, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader

OnInterim = Callable[[RawResponseMessage], None]

ON_INTERIM: web.RequestKey[OnInterim] = web.RequestKey("on_interim")
"""On a visitor's request: the callback for interim responses to it."""
interim_listener: ContextVar[OnInterim | None] = ContextVar("interim_listener", default=None)
"""The callback for interim responses to the request that this task is about to send."""


class InterimConnector(TCPConnector):
    """A connection pool that reports interim responses."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._factory = partial(_InterimHandler, loop=self._loop)  # type: ignore[assignment]


class _InterimHandler(ResponseHandler):
    on_interim: OnInterim | None = None

    async def read(self) -> tuple[RawResponseMessage, StreamReader]:
        got = await super().read()
        if self.on_interim is not None:
            if got[0].code < 200:
                self.on_interim(got[0])
            else:
                self.on_interim = None
        return got


def attach_interim(protocol: ResponseHandler) -> None:
    """Report a connection's interim responses to the request of the current context only."""
    if isinstance(protocol, _InterimHandler):
        protocol.on_interim = interim_listener.get()
