"""The shared cache: what one visitor's request brought, the next one's need not ask for.

What is kept is the origin's answer, before anything in it depends on a visitor. `policy.py`,
`conditions.py`, `keys.py` and `directives.py` are rules on values (RFC 9111, 9110, 9213, 5861);
`store.py` keeps entries within a budget; `board.py` tells all workers what is out of date;
`fill.py` and `growing.py` let many visitors wait for one fetch; `exchange.py` is a request's way
through all of them.
"""

from proxy.cache.fetch import Replies, SharedCache, Visit, bypass
from proxy.cache.invalidation import InvalidationTable
from proxy.cache.keys import Key
from proxy.cache.lookup import lookup
from proxy.cache.outcomes import ReadPage
from proxy.cache.store import Entry, Store
from proxy.cache.stored_response import aged_headers, send_kept

__all__ = [
    "Entry",
    "InvalidationTable",
    "Key",
    "ReadPage",
    "Replies",
    "SharedCache",
    "Store",
    "Visit",
    "aged_headers",
    "bypass",
    "lookup",
    "send_kept",
]
