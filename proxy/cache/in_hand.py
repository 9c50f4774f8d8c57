"""A response of the upstream that came before the full path asked for it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType

from aiohttp import web
from multidict import CIMultiDict

from proxy.upstream.exchange import UpstreamResponse


@dataclass(slots=True, eq=False)
class InHand:
    """The response to a request with these fields, which `opened` holds; to be used as `opened`
    would be. `asked` is when it was asked for (seconds since 1970, and CLOCK_MONOTONIC).
    """

    headers: CIMultiDict[str]
    response: UpstreamResponse
    opened: AbstractAsyncContextManager[UpstreamResponse]
    asked: tuple[float, float]

    async def __aenter__(self) -> UpstreamResponse:
        return self.response

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.opened.__aexit__(kind, error, traceback)


IN_HAND: web.RequestKey[InHand] = web.RequestKey("in_hand", InHand)
"""On a visitor's request: the response that is at hand, until it is taken."""


def take_in_hand(request: web.BaseRequest, headers: CIMultiDict[str]) -> InHand | None:
    """The response that is at hand, if it is that to a request with these fields."""
    found: InHand | None = request.get(IN_HAND)
    if found is None or list(found.headers.items()) != list(headers.items()):
        return None
    del request[IN_HAND]
    return found


async def drop_in_hand(request: web.BaseRequest) -> None:
    """Give up a response that nobody took: its connection is closed, unless it was read."""
    found: InHand | None = request.get(IN_HAND)
    if found is not None:
        del request[IN_HAND]
        await found.opened.__aexit__(None, None, None)
