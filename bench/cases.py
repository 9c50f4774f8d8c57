"""What is measured: the paths of a page and of a file through each server, and the sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench import caching_peers, mitmproxy, nginx, workerd
from bench.load import Reply, Request, fetch
from bench.page import PER_REQUEST
from bench.processes import Server
from bench.proxy import HOST, accept_all
from bench.proxy import NAME as CONSENT_PROXY

FIELDS = {"Host": HOST, "Accept": "text/html,*/*", "Accept-Encoding": "gzip"}
HIT = Request("html", "page, fresh in the cache", "/fresh/page.html", FIELDS)
HIT_ALL = replace(HIT, case="page, fresh in the cache, all accepted")
REVALIDATED = Request("html", "page, revalidated (304)", "/revalidated/page.html", FIELDS)
SAME = Request("html", "page, sent again unchanged", "/same/page.html", FIELDS)
CHANGING = Request("changed", "page, changed every time", "/changing/page.html", FIELDS)
UNLIKE = replace(CHANGING, case="page, unlike the last every time", path="/changing/unlike.html")
COLD = Request("changed", "page, cold: seen for the first time", "/cold/unlike.html", FIELDS, True)
COLD_OWN = replace(COLD, case="page, cold, with content of its own", path="/cold/own.html")
PAGE = Request("html", "page", "/fresh/page.html", FIELDS)
UNCODED = replace(
    PAGE, case="page, without gzip", headers={**FIELDS, "Accept-Encoding": "identity"}
)
CHANGED = replace(CHANGING, case="page, changed every time")
STATIC = Request("static", "file", "/fresh/static.js", FIELDS)
STREAMED = Request("static", "file, streamed", "/same/static.js", FIELDS)
CACHED = Request("static", "file, from the cache", "/fresh/static.js", FIELDS)
IN_CACHE = Request("html", "page, cached, with gzip", "/cacheable/page.html", FIELDS)
IDLE = Request("static", "idle", "/fresh/static.js", {"Host": HOST})

TARGETS = {HIT.case: 60, HIT_ALL.case: 60, REVALIDATED.case: 200, CHANGING.case: 1500,
           STREAMED.case: 140, CACHED.case: 45}  # fmt: skip
"""CPU µs a request that consent-proxy is to stay below."""
IDLE_TARGET_KB = 12
COMPILE_TARGET = 3.0
"""Times the bare parse of the same page."""
WORKER_TARGET_MB = 60
START_TARGET = 0.5
"""Seconds."""
RATIOS = (
    (HIT.case, PAGE.case, workerd.NAME, 1 / 15),
    (HIT.case, PAGE.case, nginx.REWRITING, 1 / 10),
    (HIT.case, UNCODED.case, workerd.NAME, 1 / 15),
    (CHANGING.case, CHANGED.case, workerd.NAME, 0.7),
    (UNLIKE.case, CHANGED.case, nginx.REWRITING, 2.0),
    (UNLIKE.case, CHANGED.case, workerd.NAME, 1 / 3),
    (COLD.case, CHANGED.case, nginx.REWRITING, 2.2),
    (COLD_OWN.case, CHANGED.case, nginx.REWRITING, 2.2),
    (REVALIDATED.case, PAGE.case, nginx.REWRITING, 0.3),
    (SAME.case, PAGE.case, nginx.REWRITING, 0.4),
    (STREAMED.case, STATIC.case, nginx.PLAIN, 5.0),
    (HIT_ALL.case, PAGE.case, nginx.PLAIN, 1.0),
    *((HIT.case, IN_CACHE.case, cache, 1.0) for cache in sorted(caching_peers.NAMES)),
)
"""Our case, a peer's case, the peer, and at most how many times its CPU time ours may take."""


REWRITERS = frozenset({workerd.NAME, mitmproxy.NAME})
"""Peers that read the preference cookie."""
LEFT_OUT_OF_SWEEPS = frozenset({mitmproxy.NAME, *caching_peers.NAMES})


def of_peer(server: Server) -> Iterator[Request]:
    """The same page and file for another server; its replies are checked first."""
    if server.name in caching_peers.NAMES:
        _check(server, IN_CACHE, has=b"fbevents.js", gzipped=True)
        yield IN_CACHE
        return
    plain, rewriting = server.name == nginx.PLAIN, server.name == nginx.REWRITING
    if plain:
        _check(server, PAGE, has=b"fbevents.js")
        yield PAGE
        yield STATIC
        return
    banner = b"banner.js" if rewriting else b"/.consent/"
    _check(server, PAGE, has=banner, lacks=b"fbevents.js", gzipped=True)
    yield PAGE
    _check(server, CHANGED, has=banner, lacks=PER_REQUEST.encode(), gzipped=True)
    yield CHANGED
    if server.name == workerd.NAME:
        # It compresses at zlib's default level, which cannot be set: more work than gzip 1.
        _check(server, UNCODED, has=banner, lacks=b"fbevents.js")
        yield UNCODED
    if server.name in REWRITERS:
        yield STATIC


def of_peer_accepted(server: Server, cookie: str) -> Request:
    """A visitor who accepted everything, for a peer that reads the preference cookie."""
    request = replace(PAGE, case="page, all accepted", headers={**FIELDS, "Cookie": cookie})
    _check(server, request, has=b"fbevents.js", gzipped=True)
    return request


def of_page(name: str, server: Server) -> Iterator[Request]:
    """Of a sweep over pages: the ways of one page through a server that rewrites."""
    if server.name == nginx.PLAIN:
        return
    yield replace(HIT, path=f"/fresh/{name}.html")
    yield replace(CHANGING, path=f"/changing/{name}.html")
    if server.name == CONSENT_PROXY:
        yield replace(COLD, path=f"/cold/{name}.html")


def ours(server: Server) -> Iterator[Request]:
    """The ways that a page and a file take through consent-proxy; each reply is checked first."""
    for request in (HIT, REVALIDATED, SAME, CHANGING, UNLIKE, COLD, COLD_OWN):
        _check(server, request, has=b"/.consent/", lacks=b"fbevents.js", gzipped=True)
        if request is HIT:
            yield request
            cookie = {**FIELDS, "Cookie": accept_all(server)}
            accepted = replace(HIT_ALL, headers=cookie)
            _check(server, accepted, has=b"fbevents.js", gzipped=True)
            yield accepted
        else:
            yield request
    yield STREAMED
    yield CACHED


def _check(
    server: Server, request: Request, *, has: bytes, lacks: bytes = b"", gzipped: bool = False
) -> Reply:
    """A fast wrong answer is no result: stop where a reply is not what is to be measured."""
    reply = fetch(server, request)
    problems = []
    if reply.status != 200:
        problems.append(f"status {reply.status}")
    if has not in reply.text:
        problems.append(f"{has!r} is not in it")
    if lacks and lacks in reply.text:
        problems.append(f"{lacks!r} is in it")
    if gzipped and reply.headers.get("content-encoding") != "gzip":
        problems.append("it is not in gzip")
    if problems:
        raise RuntimeError(f"{server.name}: {request.case}: {', '.join(problems)}")
    return reply
