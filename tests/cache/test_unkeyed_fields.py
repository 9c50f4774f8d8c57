"""No request field of one visitor changes what the next one gets (web cache poisoning).

The origin shows every field that it gets in a response which it calls public.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.forwarding import Visit
from tests.support.site import Proxied, proxied, reply

NAMES = tuple(
    name
    for line in Path(__file__).with_name("header_names.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for name in line.split()
)
AT_ONCE = 16
FOR_ALL = ("Cache-Control: public, max-age=600", 'ETag: "1"')


def reflecting(kind: str) -> object:
    async def origin(visit: Visit) -> None:
        exchange = visit.origin.exchanges[-1]
        shown = b"\n".join(b"%b: %b" % (name.strip(), value) for name, value in exchange.headers)
        html = kind == "text/html"
        body = b"<!doctype html><title>x</title><pre>" + shown if html else shown
        await visit.send(reply(body, f"Content-Type: {kind}", *FOR_ALL, html=False))

    return origin


def untrusted(text: str) -> str:
    return text.replace('trusted_proxies = ["127.0.0.1/32"]', "trusted_proxies = []", 1)


async def _poison(site: Proxied, number: int, name: str, value: str, dest: str) -> None:
    """Ask with a field, then without."""
    path = f"/p?{number}"
    await site.ask(path, f"{name}: {value}", dest=dest)
    later = await site.ask(path, dest=dest)
    assert later.status == 200, (name, later)
    assert value.encode() not in later.text, (name, later.text)
    assert not [v for _, v in later.headers if value in v], (name, later.headers)


@pytest.mark.parametrize(
    ("kind", "dest", "trusted"),
    [
        ("text/html", "document", True),
        ("application/json", "", True),
        ("text/css", "style", True),
        ("text/html", "document", False),
    ],
    ids=["page", "data", "styles", "page, no front"],
)
async def test_no_field_reaches_the_next_visitor(
    tmp_path: Path, kind: str, dest: str, trusted: bool
) -> None:
    assert len(set(map(str.lower, NAMES))) >= 300
    origin = reflecting(kind)
    change = str if trusted else untrusted
    async with proxied(tmp_path, {"p": origin}, change=change) as site:  # type: ignore[dict-item]
        waiting = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, name: str) -> None:
            async with waiting:
                await _poison(site, number, name, f"canary{number}zz", dest)

        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(NAMES):
                group.create_task(one(number, name))


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
@pytest.mark.parametrize("field", ["Sec-GPC: 1", "DNT: 1", "baggage: tenant=1", "From: a@b.example",
                                   "X-Envoy-Internal: true"])  # fmt: skip
async def test_an_origin_may_obey_a_field_without_repeating_it(
    tmp_path: Path, field: str, kind: str
) -> None:
    """What a visitor objects to, or claims to be, is never another visitor's response."""
    name = field.partition(":")[0].lower().encode()

    async def origin(visit: Visit) -> None:
        told = b"obeyed" if visit.origin.exchanges[-1].values(name) else b"ordinary"
        body = b"<!doctype html><title>x</title>" + told
        await visit.send(reply(body, f"Content-Type: {kind}", *FOR_ALL, html=False))

    dest = "document" if kind == "text/html" else "empty"
    async with proxied(tmp_path, {"p": origin, "q": origin}) as site:
        for first, path in ((field, "/p"), ("", "/q")):
            for one in (first, field if not first else "", first):
                found = await site.ask(path, *filter(None, (one,)), dest=dest)
                assert (b"obeyed" if one else b"ordinary") in found.text, (path, one)


FORMS = [
    ("X-Forwarded-Host", "canary77zz.example, www.example.com"),
    ("X-Forwarded-Host", 'www.example.com"canary77zz, www.example.com'),
    ("X-Forwarded-Proto", "canary77zz, http"),
    ("X-Forwarded-Proto", "http;canary77zz"),
    ("X-Forwarded-For", "canary77zz, 198.51.100.7"),
    ("X-Forwarded-For", "198.51.100.77"),
    ("X-Real-IP", "198.51.100.7 canary77zz"),
    ("X-Real-IP", "198.51.100.77"),
    ("X-Forwarded-Port", "7777"),
    ("Forwarded", "for=198.51.100.77;host=canary77zz.example;proto=https"),
    ("X-Country", "canary77zz"),
    ("Referer", "https://www.example.com/search?q=canary77zz"),
    ("Referer", "https://search.example/?q=a&b=canary77zz"),
    ("User-Agent", "<script>canary77zz</script>"),
    ("Cookie", "_ga=canary77zz"),
    ("X-Request-Id", "canary77zz"),
    ("Origin", "https://canary77zz.example"),
]


@pytest.mark.parametrize(("name", "value"), FORMS)
async def test_a_trusted_front_passes_no_poison(tmp_path: Path, name: str, value: str) -> None:
    async with proxied(tmp_path, {"p": reflecting("text/html")}) as site:  # type: ignore[dict-item]
        await site.ask("/p", f"{name}: {value}")
        later = await site.ask("/p")
        for canary in (b"canary77zz", b"198.51.100.77", b"7777"):
            assert canary not in later.text


async def test_ordinary_visitors_still_share(tmp_path: Path) -> None:
    chrome = (
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0", "Accept: text/html,*/*;q=0.8",
        "Accept-Language: en-US,en;q=0.9", 'Sec-CH-UA: "Chromium";v="140"', "DNT: 1",
        "Sec-CH-UA-Mobile: ?0", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none", "Priority: u=0",
        "Upgrade-Insecure-Requests: 1", "Referer: https://www.example.com/",
        "Accept-Encoding: gzip",
    )  # fmt: skip
    cloudflare = (
        "CF-Ray: 8f1-FRA", "CF-Connecting-IP: 198.51.100.9", "X-Forwarded-For: 198.51.100.9",
        "CF-IPCountry: DE", 'CF-Visitor: {"scheme":"https"}', "CDN-Loop: cloudflare; loops=1",
        "X-Forwarded-Proto: https", "X-Request-Id: 4711",
    )  # fmt: skip
    page = reply(b"<!doctype html><title>x</title><p>same for all", FOR_ALL[0])
    async with proxied(tmp_path, {"": page}) as site:
        for number in range(3):
            await site.ask("/", *chrome, *(line + str(number) for line in cloudflare[:1]))
        assert len(site.asked) == 1
        for _ in range(3):
            await site.ask("/", *chrome, *cloudflare)
        assert len(site.asked) == 2  # another scheme


async def test_fields_that_frameworks_obey_never_reach_the_origin(tmp_path: Path) -> None:
    """Not even where nothing is cached: the audience was judged by the URL."""
    names = (
        "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Port",
        "X-Forwarded-Server", "X-Original-Host", "Forwarded", "X-Forwarded-Scheme",
        "Front-End-Https", "X-Url-Scheme", "SCRIPT_NAME", "PATH_INFO", "X_Original_URL", "Proxy",
        "X-Script-Name", "X-Envoy-Original-Path",
    )  # fmt: skip
    async with proxied(tmp_path, {"p": reflecting("text/html")}) as site:  # type: ignore[dict-item]
        for method in ("GET", "POST"):
            await site.ask("/p", *(f"{name}: /patients/1" for name in names), method=method)
        for exchange in site.asked:
            got = {name.strip().lower().replace(b"_", b"-") for name, _ in exchange.headers}
            assert not got & {name.lower().replace("_", "-").encode() for name in names}
