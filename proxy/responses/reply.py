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
    """A response to the visitor. `context` has the audience that the whole response declares; `own`
    are the assets that were added to it; `send` takes the enforced head and our policy.
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
    """Apply the decision to the origin's head, and send a reply under it."""
    set_logged_path(request, reply.context)
    policy = enforce(headers, reply.kind, reply.context, site, reply.own)
    return await reply.send(headers, policy)
