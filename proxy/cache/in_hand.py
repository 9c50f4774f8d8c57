"""A response of the upstream that came before the full path asked for it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType

from aiohttp import web
from multidict import CIMultiDict

from proxy.cache.conditional import CONDITIONAL
from proxy.upstream.exchange import UpstreamResponse
from proxy.upstream.request import drop_begun


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


async def take_in_hand(request: web.BaseRequest, headers: CIMultiDict[str]) -> InHand | None:
    """The response that is at hand, if it may be that to a request with these fields. Else it is
    given up: it would hold its connection while another one is waited for.
    """
    found: InHand | None = request.get(IN_HAND)
    if found is None:
        return None
    if not _is_answer(found, headers):
        await drop_in_hand(request)
        return None
    del request[IN_HAND]
    return found


def _is_answer(found: InHand, headers: CIMultiDict[str]) -> bool:
    """Only "not modified" depends on what is stored, which may be another response by now."""
    if found.response.status == HTTPStatus.NOT_MODIFIED:
        return list(found.headers.items()) == list(headers.items())
    return _without_conditions(found.headers) == _without_conditions(headers)


def _without_conditions(headers: CIMultiDict[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _CONDITIONS]


_CONDITIONS = frozenset(map(str.lower, CONDITIONAL))


async def drop_in_hand(request: web.BaseRequest) -> None:
    """Give up a response that nobody took, or waits for: its connection is closed, unless it was
    read.
    """
    drop_begun(request)
    found: InHand | None = request.get(IN_HAND)
    if found is not None:
        del request[IN_HAND]
        await found.opened.__aexit__(None, None, None)
