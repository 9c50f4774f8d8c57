"""Finished replies with pages that may not be stored, for when the origin sends the same again.

Nothing is sent from here that the origin did not just send: a reply is used for a response with
the same fields, but for the date, and the same body, to a visitor of the same class.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from proxy.cache.store import Confirmation
from proxy.context import RequestContext
from proxy.http.access_record import PageRecord
from proxy.http.recent import Recent

REPEATED_BUDGET = 16 * 2**20
"""Approximate bytes of a worker's replies."""
_ONCE_BUDGET = 2 * 2**20
_SAMPLED = 509
"""Of so many bytes of a body one is looked at, to guess whether it came before."""


@dataclass(frozen=True, slots=True, eq=False)
class RepeatedReply:
    """A reply to an origin's response of this `status`, with these fields (`confirmation`) and this
    `origin_body`, coded as it came. `Date` belongs behind its `head`. `context` is that of a
    visitor of the same class; it holds `until` (seconds since 1970).
    """

    status: int
    confirmation: Confirmation
    origin_body: bytes
    head: bytes
    body: bytes
    until: float
    site: str
    cache: str
    page: PageRecord | None
    unreadable_choice: str
    logged_path: str
    context: RequestContext

    def head_for(self, date: str, request_id: str) -> bytes:
        """The head of the response to one request."""
        return b"%bDate: %b\r\nX-Request-Id: %b\r\n\r\n" % (
            self.head, date.encode("utf-8", "surrogateescape"), request_id.encode("ascii"),
        )  # fmt: skip


class RepeatedReplies:
    """The replies, by class of visitor and request."""

    def __init__(self, budget: int = REPEATED_BUDGET) -> None:
        self._replies: Recent[RepeatedReply] = Recent(budget)
        self._once: Recent[tuple[Hashable, ...]] = Recent(_ONCE_BUDGET)

    def get(self, key: Hashable, now: float) -> RepeatedReply | None:
        found = self._replies.get(key)
        return found if found is not None and now < found.until else None

    def put(self, key: Hashable, reply: RepeatedReply, size: int) -> None:
        """Keep a reply, once the origin has sent the same twice: only then will it again, and only
        then is it compressed well. `size` is that of the key and of the context, in bytes.
        """
        body = reply.origin_body
        size += sum(len(name) + len(value) for name, value in reply.confirmation) + 1000
        what = reply.confirmation, len(body), body[::_SAMPLED]
        if self._once.get(key) != what:
            self._once.put(key, what, size + len(body) // _SAMPLED)
            return
        self._replies.put(key, reply, size + len(body) + len(reply.head) + len(reply.body))
