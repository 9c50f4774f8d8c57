"""Heads of pages as they were sent, for pages that differ from those in their bodies alone.

Of a page that is new the head is seldom so: the origin's fields are the last ones, and what
`enforce` makes of them for visitors of one decision, too.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from multidict import CIMultiDict

from consent_rules.decision import Decision
from proxy.context import RequestContext
from proxy.enforcement.csp import OwnAssets
from proxy.enforcement.response_filter import page_head_depends_on
from proxy.enforcement.shared_caching import is_storable
from proxy.enforcement.site import SiteEnforcement
from proxy.http.adapters.writer import ProxyResponse, head_of
from proxy.http.recent import Recent, size_of_texts
from proxy.http.representation import FRESHNESS, OF_BYTES
from proxy.http.request_id import X_REQUEST_ID

_NOT_COMPARED = frozenset(name.lower() for name in ("Date", *OF_BYTES, *FRESHNESS))
"""Fields of the origin's that a page that is written anew does not have, and its date."""
_OF_THE_BODY = ("Date", "ETag", "Content-Encoding", "Content-Length", X_REQUEST_ID)
_OVERHEAD = 2000
_SEEN = 4096


@dataclass(frozen=True, slots=True, eq=False)
class PageHead:
    """The head of a page that was sent, as bytes, without its end and the fields that each page has
    for itself. `is_kept`: the visitor's browser may store the page.
    """

    decision: Decision
    own: OwnAssets
    is_kept: bool
    head: bytes

    def of_page(self, body: bytes, coding: str, etag: str, date: str, request_id: str) -> bytes:
        """The head of another page."""
        entity = f"ETag: {etag}\r\n" if etag else ""
        coded = f"Content-Encoding: {coding}\r\n" if coding else ""
        rest = (
            f"Date: {date}\r\n{entity}{coded}Content-Length: {len(body)}\r\n"
            f"{X_REQUEST_ID}: {request_id}\r\n\r\n"
        )
        return self.head + rest.encode("utf-8", "surrogateescape")


def head_key(
    status: int, headers: CIMultiDict[str], context: RequestContext, site: SiteEnforcement
) -> Hashable | None:
    """What the head of a page has from the origin and from the request, beside the decision and our
    assets in the page. None where it is one visitor's. `headers` are the origin's.
    """
    enforced = page_head_depends_on(headers, context, site)
    if enforced is None or len(headers.getall("Date", ())) != 1:
        return None
    fields = tuple([one for one in headers.items() if one[0].lower() not in _NOT_COMPARED])
    return status, fields, enforced


class PageHeads:
    """The heads of one configuration's pages, within a budget of bytes."""

    def __init__(self, budget: int) -> None:
        self._heads: Recent[PageHead] = Recent(budget)
        self._seen: Recent[bool] = Recent(_SEEN)

    def find(self, key: Hashable, decision: Decision, own: OwnAssets) -> PageHead | None:
        """The head that was sent for this decision, with these assets in the page."""
        known = self._heads.get((key, id(decision), id(own)))
        # Both are kept with the head: an id is only good while its object lives.
        if known is None or known.decision is not decision or known.own is not own:
            return None
        return known

    def put(
        self,
        key: Hashable,
        decision: Decision,
        own: OwnAssets,
        response: ProxyResponse,
    ) -> None:
        """Keep the head of a page that was sent, once there were two of its kind. Fields that have
        another value each time, such as an identifier of the origin's, fill no memory.
        """
        at = (key, id(decision), id(own))
        if self._seen.get(hash(at)) is None:
            self._seen.put(hash(at), True)
            return
        headers = response.headers.copy()
        for name in _OF_THE_BODY:
            headers.popall(name, None)
        head = head_of(f"HTTP/1.1 {response.status} {response.reason}", headers)[:-2]
        is_kept = response.status == 200 and is_storable(headers)
        size = len(head) + size_of_texts(at) + _OVERHEAD
        self._heads.put(at, PageHead(decision, own, is_kept, head), size)
