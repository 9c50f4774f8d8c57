"""An origin with pages of every kind that a cache and a gate treat differently."""

from __future__ import annotations

import gzip
import re
import time
from dataclasses import dataclass

from tests.support.forwarding import Exchange, Visit
from tests.support.site import PAGE, reply

PAGES = (
    "/fresh", "/fresh", "/fresh", "/asks", "/asks", "/never", "/quiet", "/vary", "/vary",
    "/language", "/changing", "/changing", "/private", "/sloppy", "/sloppy", "/marked", "/meta",
    "/patients/*", "/coded", "/based", "/sets", "/ranged", "/ranged", "/style.css",
)  # fmt: skip
PUBLIC = "Cache-Control: public, max-age=600"
LINKS = {
    "google-analytics": "<https://www.google-analytics.com/x.js>; rel=preload",
    "meta-pixel": "<https://connect.facebook.net/en_US/fbevents.js>; rel=preload",
}
STYLE = b"".join(b".rule-%04d{color:#000}\n" % n for n in range(120))
TAG = '"asks-1"'
_CHANGES_A_SECOND = 3
_VERSION = re.compile(rb"<!--version (\d+)-->")
_UNMARKED = PAGE.replace(b' lang="en"', b"")  # the banner speaks the visitor's language


@dataclass(frozen=True)
class Served:
    """What the origin has for somebody, before anything is gated."""

    body: bytes
    headers: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()
    set_cookies: tuple[str, ...] = ()


def version_in(text: bytes) -> int:
    """The version of a page that changes; 0 for others."""
    found = _VERSION.search(text)
    return int(found[1]) if found else 0


def served(
    path: str,
    *,
    version: int = 0,
    session: str = "nobody",
    cart: str = "nobody",
    flavour: str = "",
    language: str = "",
) -> Served:
    """The answer to one visitor. What it depends on stands in it."""
    said = {
        "/vary": f"flavour {flavour}",
        "/language": f"language {language}",
        "/private": f"{session} {cart}",
        "/sloppy": f"{session} {cart}",
        "/sets": f"{session} {cart}",
    }.get(path, "")
    body = _UNMARKED.replace(b"Hello", f"Hello {path} {said}".encode())
    match path:
        case "/asks":
            return Served(body, ("Cache-Control: no-cache", f"ETag: {TAG}"))
        case "/never":
            return Served(body, ("Cache-Control: no-store",))
        case "/quiet":
            return Served(body)
        case "/vary":
            return Served(body, (PUBLIC, "Vary: X-Flavour"))
        case "/language":
            return Served(body, (PUBLIC, "Vary: Accept-Language"))
        case "/changing":
            body = body.replace(b"<p>", b"<!--version %d--><p>" % version)
            return Served(body, ("Cache-Control: public, max-age=1",))
        case "/private":
            return Served(body, ("Cache-Control: private, max-age=600",))
        case "/marked":
            return Served(body, (PUBLIC, "X-Page-Audience: patient"), marked=("patient",))
        case "/meta":
            mark = b'<meta name="page-audience" content="patient"><title>'
            return Served(body.replace(b"<title>", mark), (PUBLIC,))
        case "/based":
            return Served(body.replace(b"<title>", b'<base href="/elsewhere/"><title>'), (PUBLIC,))
        case "/sets":
            cookies = (f"sid={session}-{cart}; HttpOnly", "_ga=GA1.2.3; Path=/", "_fbp=fb.2")
            return Served(body, ("Cache-Control: public, max-age=600",), set_cookies=cookies)
    return Served(body, (PUBLIC,))


def version_now() -> int:
    return int(time.time() * _CHANGES_A_SECOND)


async def serve(visit: Visit) -> None:
    """One connection of the proxy's."""
    while True:
        exchange = await visit.request()
        answer = _answer(exchange)
        if exchange.line.startswith(b"HEAD "):
            answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        await visit.send(answer)


def _answer(exchange: Exchange) -> bytes:
    path = exchange.line.split()[1].decode()
    if path == "/style.css":
        links = [f"Link: {link}" for link in LINKS.values()]
        return reply(STYLE, PUBLIC, "Content-Type: text/css", *links, html=False)
    if path == "/asks" and TAG.encode() in exchange.values(b"if-none-match"):
        return reply(b"", f"ETag: {TAG}", status="304 Not Modified")
    cookies = dict(
        pair.strip().split("=", 1)
        for value in exchange.values(b"cookie")
        for pair in value.decode().split(";")
    )
    found = served(
        path,
        version=version_now(),
        session=cookies.get("session", "nobody"),
        cart=cookies.get("cart", "nobody"),
        flavour=_one(exchange, b"x-flavour"),
        language=_one(exchange, b"accept-language"),
    )
    headers = (*found.headers, *(f"Set-Cookie: {value}" for value in found.set_cookies))
    wanted = exchange.values(b"range")
    if path == "/ranged" and wanted:
        first, last = map(int, wanted[0].removeprefix(b"bytes=").split(b"-"))
        size = f"Content-Range: bytes {first}-{last}/{len(found.body)}"
        return reply(found.body[first : last + 1], *headers, size, status="206 Partial Content")
    if path == "/coded":
        return reply(gzip.compress(found.body), *headers, "Content-Encoding: gzip")
    return reply(found.body, *headers)


def _one(exchange: Exchange, name: bytes) -> str:
    return b", ".join(exchange.values(name)).decode()
