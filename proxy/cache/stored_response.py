"""Send a stored response: 200, 206, 304 or 416, with its age."""

from __future__ import annotations

from aiohttp import web
from multidict import CIMultiDict

from proxy.cache.conditional import Part, headers_of_304, not_modified, wanted_part
from proxy.cache.store import Entry
from proxy.http.adapters.writer import ProxyResponse

_NO_BODY = frozenset({204, 205, 304})


def aged_headers(entry: Entry, now: float) -> CIMultiDict[str]:
    """A copy of the stored header fields, with `Age` (RFC 9111, 5.1)."""
    headers = CIMultiDict(entry.headers)
    headers["Age"] = str(int(entry.age(now)))
    return headers


async def send_stored(
    request: web.BaseRequest, entry: Entry, headers: CIMultiDict[str], now: float
) -> ProxyResponse:
    """Send a stored response, as the request's conditions and range require.

    Several ranges get the whole, which every client must accept (RFC 9110, 14.2).
    """
    status, body = entry.status, entry.body
    part: Part | bool | None = None
    if status == 200:
        if not_modified(request.headers, entry.headers, now):
            headers_of_304(headers)
            return await _send(request, ProxyResponse(status=304, headers=headers), b"")
        if request.method == "GET":
            part = wanted_part(request.headers, entry.headers, len(body), now)
        headers.setdefault("Accept-Ranges", "bytes")
    if part is False:
        headers_of_304(headers)
        headers["Content-Range"] = f"bytes */{len(body)}"
        headers["Content-Length"] = "0"
        return await _send(request, ProxyResponse(status=416, headers=headers), b"")
    if isinstance(part, Part):
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{len(body)}"
        status, body = 206, body[part.start : part.end]
    if status not in _NO_BODY:
        headers["Content-Length"] = str(len(body))
    reason = entry.reason if status == entry.status else None
    response = ProxyResponse(status=status, reason=reason, headers=headers)
    return await _send(request, response, body)


async def _send(request: web.BaseRequest, response: ProxyResponse, body: bytes) -> ProxyResponse:
    bare = request.method == "HEAD" or response.status in _NO_BODY
    return await response.send(request, b"" if bare else body)
