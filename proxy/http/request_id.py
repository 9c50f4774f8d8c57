"""The identifier of a request: on error pages, in the log, in both directions.

`X-Request-Id` is taken from trusted peers only: a stranger could choose one that stands in the log
already. `traceparent` and `tracestate` are passed on if they are what W3C Trace Context allows.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from multidict import CIMultiDict, CIMultiDictProxy, istr

from proxy.http.addresses import Network, address_is_trusted

X_REQUEST_ID = istr("X-Request-Id")
TRACEPARENT = istr("traceparent")
TRACESTATE = istr("tracestate")

RequestIdOf = Callable[[CIMultiDictProxy[str], str], str]
"""(header fields, peer's address) -> the request's identifier."""

# Such as proxies and load balancers write: nothing that a log, JSON, HTML or a shell reads as more.
_GIVEN = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,128}")
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
# One entry of a tracestate (3.3.1.3): a simple key or tenant@system, and a value.
_ENTRY = re.compile(
    r"([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[ !-+\--<>-~]{0,255}[!-+\--<>-~]"
)
_MAX_ENTRIES = 32
_MAX_TRACESTATE = 512
"""Characters of a `tracestate` that every party has to pass on; a longer one is cut to them."""
_LARGE_ENTRY = 128
"""Characters beyond which an entry goes first where a `tracestate` is cut (3.3.1.5)."""


def new_request_id() -> str:
    """64 random bits as hexadecimal digits."""
    return random.randbytes(8).hex()  # noqa: S311 - a name, no secret


def request_id_of(
    headers: CIMultiDictProxy[str], peer: str, trusted: tuple[Network, ...] = ()
) -> str:
    """The identifier that a trusted peer gave to a request; a new one where there is none."""
    given = headers.get(X_REQUEST_ID)
    if (
        given is not None
        and address_is_trusted(peer, trusted)
        and _GIVEN.fullmatch(given)
        and len(headers.getall(X_REQUEST_ID)) == 1
    ):
        return given
    return new_request_id()


def remove_bad_trace_context(headers: CIMultiDict[str]) -> None:
    """Remove a trace context that no party may act on (W3C Trace Context, 3.2.2 and 3.3.1)."""
    parents = headers.getall(TRACEPARENT, ())
    if len(parents) != 1 or not is_traceparent(parents[0]):
        headers.popall(TRACEPARENT, None)
        headers.popall(TRACESTATE, None)
        return
    sent = headers.getall(TRACESTATE, None)
    if sent is None:
        return
    state = tracestate_of(",".join(sent))
    if not state:
        del headers[TRACESTATE]
    elif [state] != sent:
        headers[TRACESTATE] = state


def tracestate_of(value: str) -> str:
    """The `tracestate` to pass on; "" where one entry is malformed, where two have one key, or
    where there are more than 32: none of it may be used then (W3C Trace Context, 3.3.1).
    """
    if "," not in value and len(value) <= _MAX_TRACESTATE:
        value = value.strip(" \t")
        return value if _ENTRY.fullmatch(value) else ""
    entries = [entry for one in value.split(",") if (entry := one.strip(" \t"))]
    if len(entries) > _MAX_ENTRIES:
        return ""
    keys = set[str]()
    for entry in entries:
        known = _ENTRY.fullmatch(entry)
        if known is None or known[1] in keys:
            return ""
        keys.add(known[1])
    if len(",".join(entries)) > _MAX_TRACESTATE:
        entries = [entry for entry in entries if len(entry) <= _LARGE_ENTRY]
    while len(state := ",".join(entries)) > _MAX_TRACESTATE:
        entries.pop()
    return state


def is_traceparent(value: str) -> bool:
    """Whether a `traceparent` can be read. A version above 00 may have more behind a hyphen."""
    known, rest = value[:55], value[55:]
    return _TRACEPARENT.fullmatch(known) is not None and (
        not rest or (known[:2] != "00" and rest[0] == "-" and len(value) <= _MAX_TRACESTATE)
    )
