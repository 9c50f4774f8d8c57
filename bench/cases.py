"""What is measured: the paths of a page and of a file through each server, and the sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench import mitmproxy, nginx, workerd
from bench.load import Reply, Request, fetch
from bench.page import PER_REQUEST
from bench.processes import Server
from bench.proxy import HOST, accept_all

ASKS = {"Host": HOST, "Accept": "text/html,*/*", "Accept-Encoding": "gzip"}
HIT = Request("html", "page, fresh in the cache", "/fresh/page.html", ASKS)
HIT_ALL = replace(HIT, case="page, fresh in the cache, all accepted")
REVALIDATED = Request("html", "page, revalidated (304)", "/asked/page.html", ASKS)
SAME = Request("html", "page, sent again unchanged", "/same/page.html", ASKS)
CHANGING = Request("changed", "page, changed every time", "/changing/page.html", ASKS)
UNLIKE = replace(CHANGING, case="page, unlike the last every time", path="/changing/unlike.html")
COLD = Request("changed", "page, cold: seen for the first time", "/cold/unlike.html", ASKS, True)
PAGE = Request("html", "page", "/fresh/page.html", ASKS)
UNCODED = replace(PAGE, case="page, without gzip", headers={**ASKS, "Accept-Encoding": "identity"})
CHANGED = replace(CHANGING, case="page, changed every time")
STATIC = Request("static", "file", "/fresh/static.js", ASKS)
STREAMED = Request("static", "file, streamed", "/same/static.js", ASKS)
CACHED = Request("static", "file, from the cache", "/fresh/static.js", ASKS)
IDLE = Request("static", "idle", "/fresh/static.js", {"Host": HOST})

TARGETS = {HIT.case: 60, HIT_ALL.case: 60, REVALIDATED.case: 200, CHANGING.case: 1500,
           STREAMED.case: 140, CACHED.case: 45}  # fmt: skip
"""CPU µs a request that consent-proxy is to stay below."""
IDLE_TARGET_KB = 12
RATIOS = (
    (HIT.case, PAGE.case, workerd.NAME, 1 / 15),
    (HIT.case, PAGE.case, nginx.REWRITING, 1 / 10),
    (HIT.case, UNCODED.case, workerd.NAME, 1 / 15),
    (CHANGING.case, CHANGED.case, workerd.NAME, 0.7),
)
"""Our case, a peer's case, the peer, and at most how many times its CPU time ours may take."""


def of_peer(server: Server) -> Iterator[Request]:
    """The same page and file for a server that keeps nothing; its replies looked at first."""
    plain, rewriting = server.name == nginx.PLAIN, server.name == nginx.REWRITING
    if plain:
        _see(server, PAGE, has=b"fbevents.js")
        yield PAGE
        yield STATIC
        return
    banner = b"banner.js" if rewriting else b"/.consent/"
    _see(server, PAGE, has=banner, lacks=b"fbevents.js", gzipped=True)
    yield PAGE
    _see(server, CHANGED, has=banner, lacks=PER_REQUEST.encode(), gzipped=True)
    yield CHANGED
    if server.name == workerd.NAME:
        # It compresses at zlib's default level, which cannot be set: more work than gzip 1.
        _see(server, UNCODED, has=banner, lacks=b"fbevents.js")
        yield UNCODED
    if server.name in {workerd.NAME, mitmproxy.NAME}:
        yield STATIC


def of_peer_accepted(server: Server, cookie: str) -> Request:
    """A visitor who accepted everything, for a peer that reads the preference cookie."""
    request = replace(PAGE, case="page, all accepted", headers={**ASKS, "Cookie": cookie})
    _see(server, request, has=b"fbevents.js", gzipped=True)
    return request


def ours(server: Server) -> Iterator[Request]:
    """The ways that a page and a file take through consent-proxy; each reply looked at first."""
    for request in (HIT, REVALIDATED, SAME, CHANGING, UNLIKE, COLD):
        _see(server, request, has=b"/.consent/", lacks=b"fbevents.js", gzipped=True)
        if request is HIT:
            yield request
            cookie = {**ASKS, "Cookie": accept_all(server)}
            accepted = replace(HIT_ALL, headers=cookie)
            _see(server, accepted, has=b"fbevents.js", gzipped=True)
            yield accepted
        else:
            yield request
    yield STREAMED
    yield CACHED


def _see(
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
