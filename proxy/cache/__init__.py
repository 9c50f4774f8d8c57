"""The shared cache (RFC 9111): lookup, coalescing, fetch, storage.

What is stored is the origin's response, before anything in it depends on a visitor. `lookup.py`
finds a stored response or has it fetched; `fetch.py` sends the request upstream and stores the
response; `origin_response.py` is what both return: live, shared or stored. `policy.py`,
`conditional.py`, `keys.py` and `directives.py` are rules on values (RFC 9111, 9110, 9213, 5861);
`store.py` holds entries within a budget; `invalidation.py` shares invalidations among workers;
`coalescing.py` and `shared_body.py` let many visitors wait for one fetch.
"""

from proxy.cache.fetch import Lookup, SharedCache, bypass
from proxy.cache.invalidation import InvalidationTable
from proxy.cache.keys import Key
from proxy.cache.lookup import NotStoredError, find_or_fetch
from proxy.cache.origin_response import (
    LiveResponse,
    OriginResponse,
    PreparedPage,
    SharedResponse,
    StoredResponse,
)
from proxy.cache.store import Entry, Store
from proxy.cache.stored_response import send_stored

__all__ = [
    "Entry",
    "InvalidationTable",
    "Key",
    "LiveResponse",
    "Lookup",
    "NotStoredError",
    "OriginResponse",
    "PreparedPage",
    "SharedCache",
    "SharedResponse",
    "Store",
    "StoredResponse",
    "bypass",
    "find_or_fetch",
    "send_stored",
]
