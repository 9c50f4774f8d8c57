"""The whole proxy in this process, in front of an origin that sends the bytes a test gives it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consent_rules.categories import Category
from consent_rules.config.load import Config, load_config
from consent_rules.preferences import Preferences
from proxy.app import (
    KnownRequests,
    fast_path_lookup,
    make_handler,
    relaying_lookup,
    request_ids,
)
from proxy.cookies.signing_keys import first_keys
from proxy.http.access_record import AccessHook
from proxy.http.content_coding import decoded
from proxy.http.handler import Handler
from proxy.runtime import Runtime, build_runtime
from proxy.server.connection import FinishedLookup
from proxy.server.listener import open_listener
from proxy.server.serve import Limits, serve
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.slots import UNBOUNDED
from tests.support.forwarding import Exchange, Visit, origin, unchunk

HOST = "www.example.com"
CONFIG = """
[proxy]
listen = "127.0.0.1:0"
trusted_proxies = ["127.0.0.1/32"]
max_page_bytes = 200000
discovered = "discovered.db"

[policy]
controller = "Example"
version = "2026-01-01"
url = "/privacy"
regime = "opt_in"
[[policy.region]]
regions = ["US"]
regime = "opt_out"
[policy.region_from]
country_header = "X-Country"

[[site]]
name = "www"
hosts = ["www.example.com", "localhost"]
upstream = "http://127.0.0.1:{port}"
audience = "marketing"
mode = "{mode}"
[[site.page]]
path = "/patients/*"
audience = "patient"
[[site.page]]
when_cookie = "session"
audience = "patient"
{tags}
"""
TAG = """
[[tag]]
vendor = "{vendor}"
sites = ["www"]
pages = ["/*"]
approved_by = "privacy@example.com"
approved_on = 2020-01-01
expires = 2999-01-01
"""
TAGS = ("google-analytics", "meta-pixel", "youtube", "hotjar")

PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A page</title>
<link rel="stylesheet" href="/site.css">
<script src="/site.js"></script>
<script async src="https://www.google-analytics.com/analytics.js"></script>
<script src="https://connect.facebook.net/en_US/fbevents.js"></script>
<script src="https://static.hotjar.com/c/hotjar-1.js"></script>
<script src="https://nobody-knows.example/x.js"></script>
</head><body><h1>Hello</h1>
<iframe width="560" height="315" src="https://www.youtube.com/embed/abc"></iframe>
<p>Fin</p></body></html>
"""
HOSTS = {
    "google-analytics": b"www.google-analytics.com/analytics.js",
    "meta-pixel": b"connect.facebook.net",
    "hotjar": b"static.hotjar.com",
    "youtube": b"www.youtube.com/embed",
    "?": b"nobody-knows.example",
}
BANNER = b'<section id="yc"'

Wrap = Callable[[Handler, FinishedLookup], tuple[Handler, FinishedLookup]]
"""Puts something around what serves requests, and what finds finished responses."""
Reply = bytes | Callable[[Visit], Awaitable[None]]


def reply(body: bytes = b"", *headers: str, status: str = "200 OK", html: bool = True) -> bytes:
    """An origin's answer; with `html` it says so."""
    lines = [f"HTTP/1.1 {status}"]
    if html:
        lines.append("Content-Type: text/html")
    if not any(
        header.lower().startswith(("transfer-encoding", "content-length")) for header in headers
    ):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, *headers]).encode("latin-1") + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Answer:
    """What the visitor got. `body` is as it came, without chunks; `text` without its coding too."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def one(self, name: str) -> str:
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else ""

    @property
    def text(self) -> bytes:
        return decoded(self.body, self.one("Content-Encoding"), 10**8)

    def shows(self) -> set[str]:
        """The vendors whose hosts stand in the page ("?": the one nobody knows)."""
        return {vendor for vendor, host in HOSTS.items() if host in self.text}

    @property
    def policy(self) -> str:
        """Our own policy: the last one."""
        return self.all("Content-Security-Policy")[-1]


def parse(raw: bytes, method: str = "GET") -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
    found = Answer(int(lines[0].split()[1]), headers, body)
    if found.one("Transfer-Encoding") == "chunked" and method != "HEAD":
        found = Answer(found.status, headers, unchunk(body))
    elif (length := found.one("Content-Length")) and method != "HEAD" and found.status != 304:
        assert len(body) == int(length), "the body is not as long as promised"
    return found


@dataclass
class Proxied:
    """A running proxy and its origin. `pages` are the origin's answers by path; another runtime may
    be put in place of the `running` one, as a reload does.
    """

    port: int
    running: Runtime
    config: Config
    pages: dict[str, Reply]
    asked: list[Exchange] = field(default_factory=list)

    async def raw(self, request: bytes, seconds: float = 10) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        try:
            writer.write(request)
            async with asyncio.timeout(seconds):
                return await reader.read()
        finally:
            writer.close()

    async def ask(
        self,
        path: str = "/",
        *headers: str,
        method: str = "GET",
        body: bytes = b"",
        host: str = HOST,
        cookie: str = "",
        dest: str = "document",
    ) -> Answer:
        """One request on a connection of its own."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
        if cookie:
            lines.append(f"Cookie: {cookie}")
        if dest:
            lines.append(f"Sec-Fetch-Dest: {dest}")
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        request = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
        return parse(await self.raw(request), method)

    def cookie(
        self,
        *allowed: str,
        vendors: dict[str, bool] | None = None,
        under_gpc: bool = False,
        version: str | None = None,
        site: str = "www",
    ) -> str:
        """A preference cookie that says yes to these categories, as a visitor would send it."""
        now = int(time.time())
        choice = Preferences(
            allowed=frozenset(map(Category, allowed)),
            policy_version=version or self.config.policy.version,
            vendors=vendors or {},
            under_gpc=under_gpc,
            made_at=now,
            expires_at=now + 600,
        )
        return f"consent={self.running.keys.sign(choice, site)}"


def config_text(
    port: int, tags: Iterable[str] = TAGS, *, mode: str = "enforce", more: str = ""
) -> str:
    text = CONFIG.replace("{port}", str(port)).replace("{mode}", mode)
    return text.replace("{tags}", "".join(TAG.format(vendor=vendor) for vendor in tags)) + more


@contextlib.asynccontextmanager
async def proxied(
    folder: Path,
    pages: Mapping[str, Reply] | None = None,
    *,
    mode: str = "enforce",
    change: Callable[[str], str] = str,
    access: AccessHook | None = None,
    ids_on_hits: bool = True,
    parses_all: bool = False,
    wrap: Wrap | None = None,
) -> AsyncIterator[Proxied]:
    """Start an origin and a proxy in front.

    `pages` are the origin's answers by path, without the first slash; the one of `*` is for all
    other paths. `change` edits the config's text. `access` is called once per request, `wrap`
    once at the start.
    """
    answers: dict[str, Reply] = {"/" + name: page for name, page in (pages or {}).items()}
    answers.setdefault("/", reply(PAGE))
    asked: list[Exchange] = []

    async def script(visit: Visit) -> None:
        while True:
            exchange = await visit.request()
            asked.append(exchange)
            path = exchange.line.split()[1].decode("latin-1").partition("?")[0]
            missing = answers.get("/*", reply(b"no such page", status="404 Not Found"))
            found = answers.get(path, missing)
            if isinstance(found, bytes):
                head = exchange.line.startswith(b"HEAD")
                await visit.send(found.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head else found)
            else:
                await found(visit)

    async with (
        origin(script) as upstream,
        in_front_of(
            upstream.port,
            folder,
            mode=mode,
            change=change,
            access=access,
            ids_on_hits=ids_on_hits,
            parses_all=parses_all,
            wrap=wrap,
        ) as site,
    ):
        site.pages, site.asked = answers, asked
        yield site


@contextlib.asynccontextmanager
async def in_front_of(
    port: int,
    folder: Path,
    *,
    mode: str = "enforce",
    change: Callable[[str], str] = str,
    access: AccessHook | None = None,
    ids_on_hits: bool = True,
    parses_all: bool = False,
    wrap: Wrap | None = None,
) -> AsyncIterator[Proxied]:
    """Start a proxy in front of an origin that runs already, at `port` of this machine. Where it
    `parses_all`, no request is known by its bytes.
    """
    today = datetime.datetime.now(datetime.UTC)
    text = change(config_text(port, mode=mode))
    config = load_config(text, "c.toml", today=today.date()).config
    keys = first_keys(folder / config.preferences.keys, today)
    running = build_runtime(config, folder, lambda: keys)
    listener = open_listener("127.0.0.1:0")
    site = Proxied(listener.getsockname()[1], running, config, {})
    stop = asyncio.Event()
    async with UpstreamPool() as requests, UpstreamPool(limits=lambda: UNBOUNDED) as tunnels:
        handler = make_handler(lambda: site.running, requests, tunnels)
        limits = Limits(grace=2.0, linger=0.5)
        memory = relaying_lookup(lambda: site.running, requests)
        known = None if parses_all or wrap is not None else KnownRequests(lambda: site.running)
        if wrap is not None:
            handler, memory = wrap(handler, fast_path_lookup(lambda: site.running))
        serving = asyncio.create_task(
            serve(
                handler,
                listener,
                stop=stop,
                limits=limits,
                access=access,
                fast_path=memory,
                known=known,
                id_of=request_ids(lambda: site.running),
                ids_on_hits=ids_on_hits,
            )
        )
        try:
            yield site
        finally:
            stop.set()
            await serving
            if site.running.receipts is not None:
                await site.running.receipts.close()
