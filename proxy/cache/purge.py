"""`POST /purge?url=...` on the operator's listener."""

from __future__ import annotations

import os

from aiohttp import web

from proxy.cache.fetch import SharedCache


def purge(request: web.BaseRequest, cache: SharedCache | None) -> web.Response:
    """Purge a URL, a prefix (`*` at the end), or everything (`*`), in all workers.

    The reply has the number of entries in this worker, one of several.
    """
    if request.method != "POST":
        return _refused(405, "purging is a POST: /purge?url=https://www.example.com/page")
    # A page in the operator's browser must not empty the cache.
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
        return _refused(403, "purges do not come from web pages")
    if cache is None:
        return _refused(409, "there is no cache: proxy.cache_bytes is 0")
    url = request.query.get("url", "").strip()
    place = url.partition("://")[2] if "://" in url else url
    if url == "*":
        entries = cache.store.purge_prefix("")
    elif not place or place.startswith(("/", "*")):
        return _refused(400, "name a URL with its host: /purge?url=https://www.example.com/page")
    elif place.endswith("*"):
        entries = cache.store.purge_prefix(place[:-1])
    else:
        entries = cache.store.purge(place if "/" in place else f"{place}/")
    return web.json_response({"url": url, "entries": entries, "worker": os.getpid()})


def _refused(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers={"Cache-Control": "no-store"})
