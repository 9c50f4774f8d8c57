"""Sec-Fetch-*: the destination and mode of a request (Fetch Metadata Request Headers).

`Sec-Fetch-Dest` is missing in Safari before 16.4 and wherever a site is reached without TLS. Each
function documents its default for that case: the one that cannot open anything.
"""

from __future__ import annotations

from aiohttp import hdrs, web

SEC_FETCH_DEST = "Sec-Fetch-Dest"

EMBEDDED_DESTINATIONS = frozenset({"iframe", "frame", "object", "embed", "fencedframe"})
PAGE_DESTINATIONS = EMBEDDED_DESTINATIONS | {"document"}
"""Destinations of requests whose response becomes a page."""
_WORKERS = frozenset({"worker", "sharedworker", "serviceworker"})
# How the Accept field of a request begins whose response a browser never shows as a page.
_NEVER_A_PAGE = ("image/", "text/css", "video/", "audio/", "font/", "application/font")
_HTML = ("text/html", "application/xhtml+xml")


_DESTINATIONS = (
    PAGE_DESTINATIONS
    | _WORKERS
    | {
        "audio", "audioworklet", "empty", "font", "image", "json", "manifest", "paintworklet",
        "report", "script", "style", "text", "track", "video", "webidentity", "websocket", "xslt",
    }
)  # fmt: skip
"""Fetch Standard, "request destination"."""


def destination(request: web.BaseRequest) -> str | None:
    """The destination; None where the field is missing, or names none of the standard: a browser
    may show its response as a page.
    """
    found = request.headers.get(SEC_FETCH_DEST)
    return found if found in _DESTINATIONS else None


def expects_page(request: web.BaseRequest) -> bool:
    """Whether the fetch metadata says that the response becomes a page."""
    return destination(request) in PAGE_DESTINATIONS


def _accept(request: web.BaseRequest) -> str:
    return request.headers.get(hdrs.ACCEPT, "").strip().lower()


def is_navigation(request: web.BaseRequest) -> bool:
    """Whether the response certainly becomes a page.

    Without fetch metadata: only where HTML is the first choice of the Accept field, as browsers
    send it for pages and for nothing else.
    """
    found = destination(request)
    return found in PAGE_DESTINATIONS if found is not None else _accept(request).startswith(_HTML)


def may_become_page(request: web.BaseRequest) -> bool:
    """Whether a browser, or a script of the page, may show the response as a page.

    Without fetch metadata: unless the Accept field rules it out.
    """
    found = destination(request)
    if found is None:
        return not _accept(request).startswith(_NEVER_A_PAGE)
    if found == "empty":  # fetch() and XMLHttpRequest: partial page loads ask for HTML by name
        return any(html in _accept(request) for html in _HTML)
    return found in PAGE_DESTINATIONS


def is_worker(request: web.BaseRequest) -> bool:
    """Whether the response becomes a worker's script.

    Without fetch metadata: no; it then has the policy of a file, which lets a worker do no more.
    """
    return destination(request) in _WORKERS


def is_service_worker(request: web.BaseRequest) -> bool:
    """Whether a browser requests a service worker's script (Service Workers, 4.3): by a field of
    its own, which is never missing.
    """
    value = request.headers.get("Service-Worker")
    return value is not None and value.strip().lower() == "script"
