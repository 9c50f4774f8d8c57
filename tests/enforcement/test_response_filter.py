"""Every kind of response x audience x mode x choice x method: what its head must be.

The origin's head is the same in all rows: it sets a vendor's cookie and its own, names a vendor and
a stranger in Link, and reports network errors. Each row says what policy of ours goes with it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.enforcement.csp import CSP, CSP_REPORT_ONLY, OWN_REPLY_POLICY
from proxy.http.fetch_metadata import EMBEDDED_DESTINATIONS
from tests.support.forwarding import Visit
from tests.support.handshake import HANDSHAKE
from tests.support.one_connection import connected
from tests.support.site import HOST, PAGE, Answer, Proxied, Reply, parse, proxied, reply
from tests.support.waiting import PATIENCE

GA = "<https://www.google-analytics.com/a.js>; rel=preload; as=script"
THEIRS = (
    "Set-Cookie: _ga=1; Path=/",
    "Set-Cookie: mine=1",
    f"Link: {GA}",
    "Link: <https://nobody-knows.example>; rel=preconnect",
    'NEL: {"report_to":"a","max_age":1}',
)
FRESH = "Cache-Control: public, max-age=600"
XHTML = b'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body/></html>'
LONG = PAGE.replace(b"<p>Fin", b"<p>" + b"x" * 300_000)


FRAMING = f"Referer: http://{HOST}/"


@dataclass(frozen=True)
class Row:
    """A kind of response. `policy` is that of marketing pages: "open" for what the visitor allowed,
    "closed" for no third party, "" for none; `observed` the one where they are observed, which
    only reports when it begins with "reports".
    """

    body: bytes = b"body"
    type: str = ""
    status: str = "200 OK"
    dest: str = ""
    asks: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    policy: str = "closed"
    observed: str = "closed"
    caching: str = "private, max-age=600"
    methods: tuple[str, ...] = ("GET", "HEAD", "POST")

    @property
    def fields(self) -> tuple[str, ...]:
        """A frame is that of a marketing page: patient pages send no referrer."""
        return (*self.asks, FRAMING) if self.dest in EMBEDDED_DESTINATIONS else self.asks


PAGES: dict[str, str] = {
    "policy": "open",
    "observed": "reports open",
    "caching": "private, no-cache",
}
ROWS = {
    "page": Row(PAGE, "text/html", dest="document", **PAGES),  # type: ignore[arg-type]
    "page in a frame": Row(PAGE, "text/html", dest="iframe", **PAGES),  # type: ignore[arg-type]
    "page, no fetch metadata": Row(PAGE, "text/html", **PAGES),  # type: ignore[arg-type]
    "page without a type": Row(PAGE, dest="document", **PAGES),  # type: ignore[arg-type]
    "error page": Row(PAGE, "text/html", "404 No", "document", **PAGES),  # type: ignore[arg-type]
    "streamed page": Row(LONG, "text/html", dest="document", **PAGES),  # type: ignore[arg-type]
    "page that cannot be gated": Row(
        b"no gzip", "text/html", dest="document", says=("Content-Encoding: gzip",),
        observed="reports closed", caching="private, no-cache", methods=("GET", "POST"),
    ),
    "XML document": Row(
        XHTML, "application/xhtml+xml", dest="document", policy="open", observed="reports open",
        caching="no-store", methods=("GET", "HEAD"),
    ),
    "SVG document": Row(
        b"<svg/>", "image/svg+xml", dest="iframe", policy="open", observed="reports open",
        caching="no-store", methods=("GET", "HEAD"),
    ),
    "SVG image": Row(b"<svg/>", "image/svg+xml", dest="image"),
    "XML data": Row(b"<a/>", "text/xml", dest="empty"),
    "service worker": Row(
        b"1", "text/javascript", dest="serviceworker", asks=("Service-Worker: script",),
        caching="private, no-cache", methods=("GET",),
    ),
    "service worker, no fetch metadata": Row(
        b"1", "text/javascript", asks=("Service-Worker: script",),
        caching="private, no-cache", methods=("GET",),
    ),
    "worker": Row(b"1", "text/javascript", dest="worker"),
    "shared worker": Row(b"1", "text/javascript", dest="sharedworker"),
    "script": Row(b"1", "text/javascript", dest="script"),
    "script, no fetch metadata": Row(b"1", "text/javascript"),
    "style": Row(b"a{}", "text/css", dest="style"),
    "text": Row(b"User-agent: *", "text/plain", dest="iframe"),
    "JSON": Row(b"{}", "application/json", dest="document"),
    "PDF": Row(b"%PDF", "application/pdf", dest="object"),
    "image": Row(b"GIF89a", "image/gif", dest="image"),
    "text without a type": Row(b"plain", dest="document", methods=("GET", "POST")),
    "part": Row(b"od", "text/css", "206 Partial Content", says=("Content-Range: bytes 1-2/4",)),
    "part of a page": Row(b"od", "text/html", "206 Partial Content", "document"),
    "redirect": Row(b"", "text/plain", "302 Found", "document", says=("Location: /next",)),
    "404 text": Row(b"no", "text/plain", "404 Not Found", "iframe"),
    "no content": Row(b"", "", "204 No Content", "empty"),
    "not modified": Row(b"", "", "304 Not Modified", "image", methods=("GET", "HEAD")),
}  # fmt: skip


def origin_reply(row: Row) -> bytes:
    typed = (f"Content-Type: {row.type}",) if row.type else ()
    more = (*typed, *row.says, *THEIRS, FRESH)
    return reply(row.body, *more, status=row.status, html=False)


def our_policies(answer: Answer) -> list[str]:
    """Our policies of a response, in the words of the table."""
    return [
        start + ("open" if "google-analytics" in value else "closed")
        for name, start in ((CSP, ""), (CSP_REPORT_ONLY, "reports "))
        for value in answer.all(name)
        if "/.consent/report" in value
    ]


def outside(answer: Answer) -> dict[str, list[str]]:
    """What of a head reaches out or keeps something in the browser."""
    named = ("Set-Cookie", "Link", "NEL", "Referrer-Policy")
    return {name: answer.all(name) for name in named if answer.all(name)}


OWN_COOKIE = ["mine=1"]
CLOSED: dict[str, list[str]] = {"Set-Cookie": OWN_COOKIE}
PATIENT = {**CLOSED, "Referrer-Policy": ["no-referrer"]}
OPEN = {"Set-Cookie": ["_ga=1; Path=/", "mine=1"], "Link": [GA]}
UNTOUCHED = {
    "Set-Cookie": ["_ga=1; Path=/", "mine=1"],
    "Link": [GA, "<https://nobody-knows.example>; rel=preconnect"],
    "NEL": ['{"report_to":"a","max_age":1}'],
}


def uncached(text: str) -> str:
    return text.replace("[proxy]\n", "[proxy]\ncache_bytes = 0\n", 1)


@pytest.mark.parametrize("kind", ROWS)
async def test_enforced(tmp_path: Path, kind: str) -> None:
    row = ROWS[kind]
    said = origin_reply(row)
    marked = said.replace(b"\r\n", b"\r\nX-Page-Audience: patient\r\n", 1)
    pages: dict[str, Reply] = {"x": said, "patients/x": said, "marked": marked}
    async with proxied(tmp_path, pages, change=uncached) as site:
        everything = site.cookie("analytics", "advertising", "social", "functional")
        for method in row.methods:
            for path, cookie, policy, head in (
                ("/x", "", "closed", CLOSED),
                ("/x", everything, row.policy, OPEN),
                ("/patients/x", everything, "closed", PATIENT),
                ("/marked", everything, "closed", PATIENT),
            ):
                answer = await site.ask(
                    path, *row.fields, method=method, cookie=cookie, dest=row.dest
                )
                case = (kind, method, path, bool(cookie))
                assert our_policies(answer) == [policy], case
                assert outside(answer) == head, case
                caching = answer.one("Cache-Control")
                assert caching == row.caching, case


@pytest.mark.parametrize("kind", ROWS)
async def test_observed(tmp_path: Path, kind: str) -> None:
    row = ROWS[kind]
    pages: dict[str, Reply] = {"x": origin_reply(row), "patients/x": origin_reply(row)}
    async with proxied(tmp_path, pages, mode="observe", change=uncached) as site:
        everything = site.cookie("analytics", "advertising", "social", "functional")
        for method in row.methods:
            answer = await site.ask(
                "/x", *row.fields, method=method, cookie=everything, dest=row.dest
            )
            assert our_policies(answer) == [row.observed], (kind, method)
            assert outside(answer) == UNTOUCHED, (kind, method)
            # Patient pages are held to the decision whatever the mode.
            answer = await site.ask(
                "/patients/x", *row.fields, method=method, cookie=everything, dest=row.dest
            )
            assert our_policies(answer) == ["closed"], (kind, method)
            assert outside(answer) == PATIENT, (kind, method)


def without_patients(text: str) -> str:
    start, end = text.index("[[site.page]]"), text.index("\n[[tag]]")
    return text[:start] + text[end:]


@pytest.mark.parametrize("kind", [kind for kind in ROWS if "worker" in kind])
async def test_workers_where_there_are_no_patient_pages(tmp_path: Path, kind: str) -> None:
    """There a worker may reach what the page that starts it may."""
    row = ROWS[kind]
    pages: dict[str, Reply] = {"x": origin_reply(row)}
    async with proxied(tmp_path, pages, change=without_patients) as site:
        for cookie, policy in (("", "closed"), (site.cookie("analytics"), "open")):
            answer = await site.ask("/x", *row.fields, cookie=cookie, dest=row.dest)
            assert our_policies(answer) == [policy]
            assert answer.one("Cache-Control").startswith("private")
    async with proxied(tmp_path, pages, change=without_patients, mode="observe") as site:
        answer = await site.ask("/x", *row.fields, cookie=site.cookie("analytics"), dest=row.dest)
        assert our_policies(answer) == ["reports open"]


STORABLE = {
    "page": ("document", PAGE, "text/html", "open"),
    "script": ("script", b"1", "text/javascript", "closed"),
    "worker": ("worker", b"1", "text/javascript", "closed"),
    "SVG image": ("image", b"<svg/>", "image/svg+xml", "closed"),
    "SVG document": ("document", b"<svg/>", "image/svg+xml", "open"),
    "text": ("iframe", b"text", "text/plain", "closed"),
    "404": ("image", b"no", "text/plain", "closed"),
}


@pytest.mark.parametrize("linked", [False, True], ids=["plain", "with links"])
@pytest.mark.parametrize("kind", STORABLE)
async def test_stored_and_on_the_fast_path(tmp_path: Path, kind: str, linked: bool) -> None:
    dest, body, content_type, policy = STORABLE[kind]
    status = "404 Not Found" if kind == "404" else "200 OK"
    links = [line for line in THEIRS if line.startswith("Link")] if linked else []
    said = reply(body, f"Content-Type: {content_type}", FRESH, *links, status=status, html=False)
    async with proxied(tmp_path, {"x": said}) as site, connected(site) as kept:
        for cookie, expected, link in (
            ("", "closed", []),
            (site.cookie("analytics"), policy, [GA] if linked else []),
        ):
            headers = [
                FRAMING,
                f"Sec-Fetch-Dest: {dest}",
                *([f"Cookie: {cookie}"] if cookie else []),
            ]
            found = [await kept.ask("/x", *headers) for _ in range(4)]
            for answer in found:
                assert our_policies(answer) == [expected]
                assert answer.all("Link") == link
                if policy == "closed" and not linked:  # the same for all: any cache may store it
                    assert answer.one("Cache-Control") == "public, max-age=600"
                    assert "Cookie" not in answer.one("Vary")
        assert len(site.asked) == 1


async def switches(visit: Visit) -> None:
    lines = ["HTTP/1.1 101 Switching", "Connection: Upgrade", "Upgrade: websocket", *THEIRS]
    await visit.send("\r\n".join(lines).encode() + b"\r\n\r\n")
    await visit.reader.read()


async def hints(visit: Visit) -> None:
    lines = ["HTTP/1.1 103 Early Hints", "Link: </own.css>; rel=preload", *THEIRS]
    await visit.send("\r\n".join(lines).encode() + b"\r\n\r\n" + reply(PAGE))


async def first_head(site: Proxied, path: str, *headers: str) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1 << 22)
    try:
        writer.write("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {HOST}", *headers]).encode())
        writer.write(b"\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            return parse(await reader.readuntil(b"\r\n\r\n"), "HEAD")
    finally:
        writer.close()


@pytest.mark.parametrize("mode", ["enforce", "observe"])
async def test_101_and_103(tmp_path: Path, mode: str) -> None:
    pages: dict[str, Reply] = {
        "ws": switches, "patients/ws": switches, "hints": hints, "patients/hints": hints,
    }  # fmt: skip
    async with proxied(tmp_path, pages, mode=mode) as site:
        cookie = f"Cookie: {site.cookie('analytics')}"
        for path, headers, head in (
            ("/ws", (), CLOSED if mode == "enforce" else UNTOUCHED),
            ("/ws", (cookie,), OPEN if mode == "enforce" else UNTOUCHED),
            ("/patients/ws", (cookie,), PATIENT),
        ):
            answer = await first_head(site, path, *HANDSHAKE, *headers)
            assert answer.status == 101
            assert our_policies(answer) == []
            assert outside(answer) == head, (path, headers)
        for path in ("/hints", "/patients/hints"):
            answer = await first_head(site, path, cookie)
            assert answer.status == 103
            assert outside(answer) == {"Link": ["</own.css>; rel=preload"]}


OWN = {
    "state": ("GET", "/.consent/state", 200),
    "keys": ("GET", "/.consent/jwks.json", 200),
    "gpc": ("GET", "/.well-known/gpc.json", 200),
    "declaration": ("GET", "/.consent/declaration", 200),
    "declaration as JSON": ("GET", "/.consent/declaration.json", 200),
    "preferences": ("GET", "/.consent/preferences", 200),
    "choice by GET": ("GET", "/.consent/choice", 303),
    "choice from elsewhere": ("POST", "/.consent/choice", 403),
    "report": ("POST", "/.consent/report", 204),
    "unknown": ("GET", "/.consent/nothing", 404),
    "wrong method": ("POST", "/.consent/state", 405),
    "click identifier": ("GET", "/patients/x?gclid=1", 302),
    "unknown host": ("GET", "http://elsewhere.example/", 421),
    "bad request": ("GET", "/#x", 400),
}


@pytest.mark.parametrize("case", OWN)
async def test_what_the_proxy_answers_itself(tmp_path: Path, case: str) -> None:
    method, path, status = OWN[case]
    async with proxied(tmp_path) as site:
        answer = await site.ask(path, method=method)
        assert answer.status == status
        policies = answer.all(CSP)
        assert policies, answer.headers
        for policy in policies:
            assert policy.startswith("default-src 'none'")
            assert "frame-ancestors 'none'" in policy
        if case in {"state", "keys", "gpc", "declaration as JSON", "report"}:
            assert policies == [OWN_REPLY_POLICY]


async def test_a_choice_that_cannot_be_read_has_a_policy(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        answer = await site.ask(
            "/.consent/choice",
            "Sec-Fetch-Site: same-origin",
            "Content-Type: application/x-www-form-urlencoded",
            method="POST",
            body=b"action=nonsense",
        )
        (policy,) = answer.all(CSP)
        assert answer.status == 400
        # A page of ours with a style of its own, which runs nothing.
        assert policy == OWN_REPLY_POLICY.replace(
            "'none';", "'none'; style-src 'unsafe-inline'; img-src data:; font-src data:;", 1
        )


async def test_what_leads_to_the_closed_has_a_policy(tmp_path: Path) -> None:
    away = reply(b"", "Location: https://nobody-knows.example/", status="302 Found", html=False)
    async with proxied(tmp_path, {"x": away}) as site:
        for dest in ("image", "script", "empty", ""):
            answer = await site.ask("/x", dest=dest)
            assert (answer.status, answer.all("Location")) == (204, [])
            assert answer.all(CSP) == [OWN_REPLY_POLICY]
        answer = await site.ask("/x", "Accept: text/html,application/xhtml+xml", dest="")
        assert answer.status == 302
