"""What the origin says of its own bytes is said of them only, by every kind of response."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.http.representation import DIGESTS, OF_BYTES
from tests.support.site import PAGE, Answer, Proxied, proxied, reply

DESCRIBES = (
    'ETag: "origin"',
    "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT",
    "Accept-Ranges: bytes",
    "Content-MD5: AAAA",
    "Digest: sha-256=AAAA",
    "Content-Digest: sha-256=:AAAA:",
    "Repr-Digest: sha-256=:AAAA:",
    "Unencoded-Digest: sha-256=:AAAA:",
    'Use-As-Dictionary: match="/*"',
)
XHTML = (
    b'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title>'
    b'<script src="https://nobody-knows.example/x.js"/></head><body/></html>'
)
LONG = PAGE.replace(b"<p>Fin", b"<p>" + b"x" * 300_000)
WORKER = "Service-Worker: script"

REWRITTEN = {
    "a page": ("text/html", PAGE, ()),
    "a page without a type": ("", PAGE, ()),
    "a large page": ("text/html", LONG, ()),
    "an XML document": ("application/xhtml+xml", XHTML, ()),
    "a service worker": ("text/javascript", b"self.x = 1", (WORKER,)),
    "a service worker, no fetch metadata": ("text/javascript", b"self.x = 1", (WORKER,)),
}


async def ask(site: Proxied, case: str, *, method: str = "GET") -> Answer:
    headers = REWRITTEN[case][2]
    if "no fetch metadata" in case:
        return await site.ask("/x", *headers, dest="", method=method)
    dest = "serviceworker" if headers else "document"
    return await site.ask("/x", *headers, dest=dest, method=method)


@pytest.mark.parametrize("cached", [False, True], ids=["not cached", "cached"])
@pytest.mark.parametrize("case", REWRITTEN)
async def test_what_is_rewritten_keeps_nothing_of_it(
    tmp_path: Path, case: str, cached: bool
) -> None:
    kind, body, _ = REWRITTEN[case]
    typed = (f"Content-Type: {kind}",) if kind else ()
    more = ("Cache-Control: max-age=600",) if cached else ()
    page = reply(body, *typed, *more, *DESCRIBES, html=False)
    async with proxied(tmp_path, {"x": page}) as site:
        for _ in range(3):
            answer = await ask(site, case)
            assert answer.status == 200
            assert answer.text != body
            for name in OF_BYTES:
                ours = name in {"ETag", "Content-Length", "Content-Encoding"}
                assert ours or answer.all(name) == [], name
            assert answer.all("ETag") != ['"origin"']


async def test_what_passes_as_it_is_keeps_it(tmp_path: Path) -> None:
    page = reply(b"a{}", "Content-Type: text/css", *DESCRIBES, html=False)
    async with proxied(tmp_path, {"x": page}) as site:
        answer = await site.ask("/x", dest="style")
        for name in (*DIGESTS, "ETag", "Last-Modified", "Accept-Ranges"):
            assert len(answer.all(name)) == 1, name
