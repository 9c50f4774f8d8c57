"""Requests that pass by the cache: what the last one was resolved to, for those of its class.

What may not be stored is asked for and made each time. Whose site it is, what the visitor decided
and that nothing is stored for it follows from the request alone, and is the same for equal ones.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from multidict import MultiMapping

from proxy.cache.origin_response import Group
from proxy.cache.policy import response_directives
from proxy.context import RequestContext
from proxy.http.recent import Recent

PASSING_BUDGET = 8 * 2**20
"""Approximate bytes of a worker's contexts."""
_ONCE = 4096


@dataclass(slots=True, eq=False)
class PassingRequest:
    """A request that passes by the cache, for it belongs to this `group`, while nothing is stored
    for its URL. `context` is that of a visitor of the same class; it holds `until` (seconds since
    1970). `holds` is False once the response was one that may be stored.
    """

    context: RequestContext
    group: Group
    until: float
    holds: bool = True

    @property
    def site(self) -> str:
        return self.context.site.name

    @property
    def unreadable_choice(self) -> str:
        return self.context.unreadable_cause


def is_never_stored(headers: MultiMapping[str]) -> bool:
    """Whether a response may not be stored whatever else it says: nothing is to be judged anew."""
    given, _ = response_directives(headers)
    return "private" in given or ("no-store" in given and "must-understand" not in given)


class PassingRequests:
    """The requests, by class of visitor and request."""

    def __init__(self, budget: int = PASSING_BUDGET) -> None:
        self._known: Recent[PassingRequest] = Recent(budget)
        self._once: Recent[bool] = Recent(_ONCE)

    def find(self, key: Hashable, now: float) -> PassingRequest | None:
        found = self._known.get(key)
        return found if found is not None and found.holds and now < found.until else None

    def put(self, key: Hashable, request: PassingRequest, size: int) -> None:
        """Keep a request that came twice: addresses that are asked for once fill no memory. `size`
        is that of the key and of the context, in bytes.
        """
        if self._once.get(hash(key)) is None:
            self._once.put(hash(key), True)
        else:
            self._known.put(key, request, size + 500)
