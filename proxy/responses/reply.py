"""Reply: a response before its head is enforced and sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiohttp import web
from multidict import CIMultiDict

from proxy.context import RequestContext
from proxy.enforcement.csp import NO_ASSETS, OwnAssets
from proxy.enforcement.response_filter import ResponseKind, enforce
from proxy.enforcement.site import SiteEnforcement
from proxy.resolve import set_logged_path

Sent = TypeVar("Sent", bound=web.StreamResponse, covariant=True)


@dataclass(frozen=True, slots=True)
class Reply(Generic[Sent]):
    """What goes to the visitor. `context` is the one by all that the response says of its audience;
    `own` are the assets that were put into it; `send` takes the enforced head and our policy.
    """

    kind: ResponseKind
    context: RequestContext
    send: Callable[[CIMultiDict[str], str], Awaitable[Sent]]
    own: OwnAssets = NO_ASSETS


async def deliver(
    request: web.BaseRequest,
    reply: Reply[Sent],
    headers: CIMultiDict[str],
    site: SiteEnforcement,
) -> Sent:
    """Send a reply under the origin's head, once the decision is applied to it."""
    set_logged_path(request, reply.context)
    policy = enforce(headers, reply.kind, reply.context, site, reply.own)
    return await reply.send(headers, policy)
