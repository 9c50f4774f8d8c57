"""`POST /purge?url=...` on the operator's listener."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.cache.fetch import SharedCache
from proxy.cache.store import Store

TellNodes = Callable[[str], Awaitable[str]]
"""Sends a purged URL to all other nodes; returns why it could not, "" where it could."""


async def purge(
    request: web.BaseRequest, cache: SharedCache | None, tell_nodes: TellNodes | None
) -> web.Response:
    """Purge a URL, a prefix (`*` at the end), or everything (`*`), in all workers, and with
    `tell_nodes` on all nodes.

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
    entries = purge_url(cache.store, url)
    if entries is None:
        return _refused(400, "name a URL with its host: /purge?url=https://www.example.com/page")
    result: dict[str, object] = {"url": url, "entries": entries, "worker": os.getpid()}
    if tell_nodes is None:
        return web.json_response(result)
    if problem := await tell_nodes(url):
        return _refused(503, f"purged on this node, and not on the others: {problem}")
    return web.json_response({**result, "nodes": "all"})


def purge_url(store: Store, url: str) -> int | None:
    """The number of entries that a purge removes in this worker; None for what is no URL with its
    host, no prefix and not `*`.
    """
    place = url.partition("://")[2] if "://" in url else url
    if url == "*":
        return store.purge_prefix("")
    if not place or place.startswith(("/", "*")):
        return None
    if place.endswith("*"):
        return store.purge_prefix(place[:-1])
    return store.purge(place if "/" in place else f"{place}/")


def _refused(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers={"Cache-Control": "no-store"})
