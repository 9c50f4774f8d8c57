"""Reply: a response before its head is enforced and sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiohttp import web
from multidict import CIMultiDict

from proxy.context import RequestContext
from proxy.enforcement.csp import NO_ASSETS, OwnAssets
from proxy.enforcement.page_heads import PageHead, PageHeads, head_key
from proxy.enforcement.response_filter import ResponseKind, enforce
from proxy.enforcement.site import SiteEnforcement
from proxy.http.adapters.writer import ProxyResponse
from proxy.resolve import set_logged_path

Sent = TypeVar("Sent", bound=web.StreamResponse, covariant=True)


@dataclass(frozen=True, slots=True)
class KnownHeadReply:
    """How a page is sent under a head that is known, with its date: None where that head is not the
    one for this request. `shows` is what of the page is in the head.
    """

    shows: Hashable
    send: Callable[[PageHead, str], Awaitable[web.StreamResponse | None]]


@dataclass(frozen=True, slots=True)
class Reply(Generic[Sent]):
    """A response to the visitor. `context` has the audience that the whole response declares; `own`
    are the assets that were added to it; `send` takes the enforced head and our policy. `again` is
    for pages that are made for one visitor each.
    """

    kind: ResponseKind
    context: RequestContext
    send: Callable[[CIMultiDict[str], str], Awaitable[Sent]]
    own: OwnAssets = NO_ASSETS
    again: KnownHeadReply | None = None


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


async def deliver_page(
    request: web.BaseRequest,
    reply: Reply[web.StreamResponse],
    status: int,
    headers: CIMultiDict[str],
    site: SiteEnforcement,
    heads: PageHeads,
) -> web.StreamResponse:
    """`deliver`, but under the head that an earlier page was sent with, where that is what
    `enforce` would make of this one. `status` and `headers` are the origin's.
    """
    again, context = reply.again, reply.context
    given = None if again is None else head_key(status, headers, context, site)
    if again is None or given is None:
        return await deliver(request, reply, headers, site)
    # Strict-Transport-Security is a matter of the connection.
    key, decision, own = (given, again.shows, request.secure), context.decision, reply.own
    known = heads.find(key, decision, own)
    if known is not None:
        set_logged_path(request, context)
        sent = await again.send(known, headers["Date"])
        if sent is not None:
            return sent
    sent = await deliver(request, reply, headers, site)
    if isinstance(sent, ProxyResponse) and sent.status == status and sent.sent:
        heads.put(key, decision, own, sent)
    return sent
