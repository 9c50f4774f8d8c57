"""Connections to upstreams that tell of interim answers (1xx), which aiohttp's client drops."""

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

ON_INTERIM: web.RequestKey[OnInterim] = web.RequestKey("hear")
"""On a visitor's request: who is told of interim answers to it, a `Hear`."""
hearing: ContextVar[OnInterim | None] = ContextVar("hearing", default=None)
"""Who is told of the interim answers to the request that this task is about to make."""


class InterimConnector(TCPConnector):
    """A pool of connections that tell. aiohttp names the class of its connections nowhere else."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._factory = partial(_HearingHandler, loop=self._loop)  # type: ignore[assignment]


class _HearingHandler(ResponseHandler):
    hear: OnInterim | None = None

    async def read(self) -> tuple[RawResponseMessage, StreamReader]:
        got = await super().read()
        if self.hear is not None:
            if got[0].code < 200:
                self.hear(got[0])
            else:
                self.hear = None
        return got


def attach_interim(protocol: ResponseHandler) -> None:
    """Let a connection tell whoever waits in this context; the one before no longer hears."""
    if isinstance(protocol, _HearingHandler):
        protocol.hear = hearing.get()
