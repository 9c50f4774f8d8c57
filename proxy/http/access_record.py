"""Access records: what is logged and counted of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web
from multidict import CIMultiDictProxy

REQUEST_ID = web.RequestKey("request_id", str)
SITE = web.RequestKey("site", str)
"""The site that a request is for."""
CACHE = web.RequestKey("cache", str)
"""The shared cache's result: "hit", or why the request was forwarded (RFC 9211)."""


UPSTREAM_SECONDS = web.RequestKey("upstream_seconds", float)
"""From the request to the upstream until its response's head, or its failure."""
UPSTREAM = web.RequestKey("upstream", str)
"""The upstream that was asked last: scheme, host and port."""
CHOICE = web.RequestKey("choice", tuple[str, str])
"""The choice that was made: its action and the visitor's regime."""


class PageRecord(NamedTuple):
    """A page that was sent: its audience, whether the banner was shown, and the number of open and
    closed gates.
    """

    audience: str
    banner_shown: bool
    open_gates: int
    closed_gates: int


PAGE = web.RequestKey("page", PageRecord)
"""What was sent, if it was a page."""

UNREADABLE_CHOICE = web.RequestKey("unreadable_choice", str)
"""Why the visitor's preference cookie could not be read, if so."""


DEVICE = web.RequestKey("device", str)
"""The class of device that the User-Agent names (`proxy.http.device_class`)."""

LOGGED_PATH = web.RequestKey("logged_path", str)
"""The path in logs of a patient page (`RequestContext.logged_path`)."""


class Access(NamedTuple):
    """One request with its response, for logs and counters.

    `status` 499: the visitor closed the connection. `target` is raw, `size` the bytes sent, `peer`
    the address at the other end ("" for a Unix socket); `site`, `cache`, `page`,
    `unreadable_choice`, `logged_path`, `device`, `upstream_seconds`, `choice` and `upstream` are
    the request's values under the keys of those names.
    """

    id: str
    method: str
    target: str
    status: int
    size: int
    seconds: float
    peer: str
    headers: CIMultiDictProxy[str]
    site: str
    cache: str
    page: PageRecord | None
    unreadable_choice: str = ""
    logged_path: str = ""
    device: str = ""
    upstream_seconds: float | None = None
    choice: tuple[str, str] | None = None
    upstream: str = ""


AccessHook = Callable[[Access], None]
"""Called once per request."""
