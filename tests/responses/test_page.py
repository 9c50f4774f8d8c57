"""Pages on their way to a visitor, through real sockets."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard

from proxy.html import Page
from proxy.rendering.variants import Variant, write_variant
from proxy.responses import page as page_reply
from proxy.review.preview import preview_request, rewrite_page
from tests.support.forwarding import Visit
from tests.support.policies import locked
from tests.support.site import BANNER, PAGE, Answer, Reply, proxied, reply

pytestmark = pytest.mark.slow

OPEN = {"google-analytics", "meta-pixel", "youtube", "hotjar"}


# --- Gates


@pytest.mark.parametrize(
    ("allowed", "headers", "shown"),
    [
        (None, [], set()),
        ((), [], set()),
        (("analytics",), [], {"google-analytics"}),
        (("analytics", "advertising"), [], {"google-analytics", "meta-pixel"}),
        (("analytics", "advertising"), ["Sec-GPC: 1"], {"google-analytics"}),
        (("functional", "session_replay"), [], {"youtube", "hotjar"}),
        (None, ["X-Country: US"], {"google-analytics", "meta-pixel", "youtube"}),
        (None, ["X-Country: US", "Sec-GPC: 1"], {"google-analytics", "youtube"}),
        (None, ["X-Country: DE"], set()),
    ],
)
async def test_what_a_visitor_gets(
    tmp_path: Path, allowed: tuple[str, ...] | None, headers: list[str], shown: set[str]
) -> None:
    async with proxied(tmp_path) as site:
        cookie = "" if allowed is None else site.cookie(*allowed)
        answer = await site.ask("/", *headers, cookie=cookie)
        assert answer.status == 200
        assert answer.shows() == shown
        assert (BANNER in answer.text) is (allowed is None)
        assert b'<script src="/site.js"></script>' in answer.text
        for vendor, host in (
            ("google-analytics", "google-analytics.com"),
            ("hotjar", "hotjar.com"),
            ("youtube", "youtube.com"),
        ):
            assert (host in answer.policy) is (vendor in shown)
        assert "nobody-knows" not in answer.policy


@pytest.mark.parametrize(
    "cookie",
    ["consent=x", "consent={}", "__Host-consent={good}", "consent={portal}", "Consent={good}"],
)
async def test_a_cookie_that_proves_nothing(tmp_path: Path, cookie: str) -> None:
    async with proxied(tmp_path) as site:
        good, portal = (
            site.cookie("analytics", site=name).removeprefix("consent=")
            for name in ("www", "portal")
        )
        text = cookie.replace("{good}", good).replace("{portal}", portal)
        answer = await site.ask("/", cookie=text)
        assert answer.shows() == set()
        assert BANNER in answer.text


async def test_two_cookies(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        good = site.cookie("analytics")
        for cookie in (f"{good}; consent=x", f"consent=x; {good}"):
            assert (await site.ask("/", cookie=cookie)).shows() == {"google-analytics"}


async def test_cookies_in_two_headers(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        good = site.cookie("analytics")
        answer = await site.ask("/", "Cookie: a=1; _fbp=1", f"Cookie: {good}; _ga=1")
        assert answer.shows() == {"google-analytics"}
        sent = b"; ".join(site.asked[-1].values(b"cookie"))
        assert b"a=1" in sent
        assert b"_ga=1" in sent
        assert b"_fbp" not in sent


# --- Patient pages


@pytest.mark.parametrize(
    ("path", "cookie", "header", "meta"),
    [
        ("/patients/pay", "", "", ""),
        ("/Patients/pay", "", "", ""),
        ("/%70atients/pay", "", "", ""),
        ("//patients/pay", "", "", ""),
        ("/x/../patients/pay", "", "", ""),
        ("/patients;x=1/pay", "", "", ""),
        ("/\\patients/pay", "", "", ""),
        ("/patients", "", "", ""),
        ("/page", "session=1", "", ""),
        ("/page", "", "X-Page-Audience: patient", ""),
        ("/page", "", "x-page-audience: marketing, Patient", ""),
        ("/page", "", "", '<meta name="page-audience" content="patient">'),
        ("/page", "", "X-Page-Audience: marketing", "<meta content=PATIENT name=Page-Audience>"),
        ("/patients/pay", "", "X-Page-Audience: marketing", ""),
    ],
)
async def test_patient_pages(
    tmp_path: Path, path: str, cookie: str, header: str, meta: str
) -> None:
    page = reply(PAGE.replace(b"<title>", meta.encode() + b"<title>"), *filter(None, [header]))
    everything = ("analytics", "advertising", "functional", "session_replay", "social")
    async with proxied(tmp_path, {path.removeprefix("/"): page}) as site:
        full = "; ".join(filter(None, [site.cookie(*everything), cookie]))
        answer = await site.ask(path, cookie=full)
        assert answer.status == 200
        assert answer.shows() == set()
        assert locked(answer.policy)
        assert answer.one("Referrer-Policy") == "no-referrer"
        assert BANNER not in answer.text


async def test_a_mark_on_an_answer_that_is_no_page(tmp_path: Path) -> None:
    pdf = reply(
        b"%PDF", "Content-Type: application/pdf", "X-Page-Audience: patient",
        "Set-Cookie: _ga=1", "Link: <https://www.google-analytics.com/a.js>; rel=preload",
        html=False,
    )  # fmt: skip
    async with proxied(tmp_path, {"pdf": pdf}) as site:
        answer = await site.ask("/pdf", cookie=site.cookie("analytics"))
        assert answer.one("Referrer-Policy") == "no-referrer"
        assert answer.all("Set-Cookie") == []
        assert answer.all("Link") == []


# --- Content codings


def _zstd(body: bytes) -> bytes:
    one = zstandard.ZstdCompressor().compressobj()
    return one.compress(body) + one.flush()


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("br", brotli.compress),
    ("zstd", _zstd),
    ("deflate", zlib.compress),
    ("deflate", lambda body: zlib.compress(body, wbits=-15)),
    ("gzip, br", lambda body: brotli.compress(gzip.compress(body))),
    ("identity", bytes),
]


@pytest.mark.parametrize("accept", ["", "gzip", "gzip, deflate, br", "gzip, deflate, br, zstd"])
async def test_codings(tmp_path: Path, accept: str) -> None:
    pages: dict[str, Reply] = {
        f"p{n}": reply(encode(PAGE), f"Content-Encoding: {coding}")
        for n, (coding, encode) in enumerate(CODINGS)
    }
    async with proxied(tmp_path, pages) as site:
        plain = (await site.ask("/")).text
        headers = [f"Accept-Encoding: {accept}"] if accept else []
        for path in pages:
            answer = await site.ask(f"/{path}", *headers)
            assert answer.text == plain
            wanted = {"": "", "gzip": "gzip"}.get(accept, "zstd" if "zstd" in accept else "br")
            assert answer.one("Content-Encoding") == wanted
            assert "Accept-Encoding" in answer.one("Vary")
        asked = site.asked[-1].values(b"accept-encoding")
        assert asked == [b"identity"] or b"zstd" not in asked[0] or "zstd" in accept


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (PAGE, ["Content-Encoding: gzip"]),
        (gzip.compress(PAGE)[:-20], ["Content-Encoding: gzip"]),
        (_zstd(PAGE)[:-4], ["Content-Encoding: zstd"]),
        (brotli.compress(PAGE)[:-4], ["Content-Encoding: br"]),
        ("ünreadable".encode("utf-16-le")[:-1], ["Content-Type: text/html; charset=utf-16le"]),
        (PAGE, ["Content-Type: text/html; charset=hz-gb-2312"]),
    ],
    ids=[
        "gzip that is none", "gzip cut", "zstd cut", "br cut", "half a character",
        "refused charset",
    ],
)  # fmt: skip
async def test_what_cannot_be_gated_is_locked(
    tmp_path: Path, body: bytes, headers: list[str]
) -> None:
    typed = any(header.startswith("Content-Type") for header in headers)
    page = reply(
        body, *headers, 'ETag: "x"', "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
        "Cache-Control: public, max-age=60", html=not typed,
    )  # fmt: skip
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page", cookie=site.cookie("analytics"))
        assert answer.status == 200
        assert answer.body == body
        assert locked(answer.policy)
        assert answer.one("ETag") == ""
        assert answer.one("Last-Modified") == ""
        assert answer.one("Cache-Control") == "private, no-cache"
        for header in headers:
            name, _, value = header.partition(": ")
            assert answer.one(name) == value


async def test_an_unknown_coding_is_none(tmp_path: Path) -> None:
    page = reply(PAGE, "Content-Encoding: compress")
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page")
        assert answer.one("Content-Encoding") == ""
        assert b"fbevents.js" not in answer.body
        assert b"/site.js" in answer.body


async def test_a_page_that_breaks_off_never_looks_complete(tmp_path: Path) -> None:
    async def short(visit: Visit) -> None:
        await visit.send(reply(PAGE, f"Content-Length: {len(PAGE) + 100}"))
        visit.writer.close()

    async def chunked(visit: Visit) -> None:
        head = reply(b"", "Transfer-Encoding: chunked")
        await visit.send(head + b"%x\r\n%s\r\n" % (len(PAGE), PAGE))
        visit.writer.close()

    async with proxied(tmp_path, {"short": short, "chunked": chunked}) as site:
        for path in ("/short", "/chunked"):
            answer = await site.ask(path)
            assert answer.status == 502
            assert b"Hello" not in answer.body


async def test_a_page_that_stalls_is_gated_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.responses.page_reader._READ_SECONDS", 0.3)

    async def stalling(visit: Visit) -> None:
        await visit.send(reply(b"", f"Content-Length: {len(PAGE)}") + PAGE[:100])
        await asyncio.sleep(0.8)
        await visit.send(PAGE[100:])

    async with proxied(tmp_path, {"page": stalling}) as site:
        answer = await site.ask("/page")
        assert b"Fin" in answer.body
        assert answer.shows() == set()
        assert BANNER in answer.body


# --- Charsets and types


@pytest.mark.parametrize(
    ("content_type", "start", "charset"),
    [
        ("text/html", b"", ""),
        ("text/html", b"<meta charset=utf-8>", "utf-8"),
        ("text/html", b'<meta charset="ISO-8859-1">', "iso-8859-1"),
        ("text/html; charset=Shift_JIS", b"<meta charset=utf-8>", "Shift_JIS"),
        ("text/html;", b"<meta charset=utf-8>", "utf-8"),
        ("TEXT/HTML", b"<meta charset=utf-8>", "utf-8"),
    ],
)
async def test_the_charset_is_named(
    tmp_path: Path, content_type: str, start: bytes, charset: str
) -> None:
    body = b"<!doctype html><head>" + start + b"<title>x</title></head><body>x</body>"
    page = reply(body, f"Content-Type: {content_type}", html=False)
    async with proxied(tmp_path, {"page": page}) as site:
        given = (await site.ask("/page")).one("Content-Type")
        assert given.partition(";")[0].lower() == "text/html"
        assert given.partition("charset=")[2].lower() == charset.lower()


async def test_utf_16(tmp_path: Path) -> None:
    body = "\ufeff<!doctype html><script src=https://www.google-analytics.com/a.js></script>é"
    async with proxied(tmp_path, {"page": reply(body.encode("utf-16-le"))}) as site:
        answer = await site.ask("/page")
        assert answer.one("Content-Type") == "text/html; charset=utf-16le"
        text = answer.text.decode("utf-16-le")
        assert "é" in text
        assert "google-analytics" not in text


@pytest.mark.parametrize("types", [[], ["unknown/unknown"], ["application/json", "text/html"]])
@pytest.mark.parametrize(
    "start", [b"<!DOCTYPE html>", b" \n<html>", b"<script>1</script>", b"<!-- x --><x>", b"<BODY>"]
)
async def test_what_browsers_take_for_html(tmp_path: Path, types: list[str], start: bytes) -> None:
    body = start + b'<script src="https://www.google-analytics.com/analytics.js"></script>'
    page = reply(body, *(f"Content-Type: {one}" for one in types), html=False)
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page")
        assert answer.shows() == set()
        assert answer.all("Content-Type")[-1].startswith("text/html")


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize(
    ("types", "sent"),
    [
        (["text/html, text/plain"], "text/plain"),
        (["text/html", "image/gif"], "image/gif"),
        (["text/plain, text/html; charset=utf-8"], "text/html; charset=utf-8"),
        (["text/html; charset=utf-8", "text/html"], "text/html; charset=utf-8"),
    ],
)
async def test_of_several_types_one_is_sent(
    tmp_path: Path, types: list[str], sent: str, cached: bool
) -> None:
    """WebKit shows as a page what begins with text/html, others what ends with it."""
    says = [f"Content-Type: {one}" for one in types]
    page = reply(PAGE, *says, "Cache-Control: public, max-age=60", html=False)

    def change(text: str) -> str:
        return text if cached else text.replace("[proxy]\n", "[proxy]\ncache_bytes = 0\n", 1)

    async with proxied(tmp_path, {"page": page}, change=change) as site:
        for _ in range(2):
            answer = await site.ask("/page")
            assert answer.all("Content-Type") == [sent]
            assert answer.all("X-Content-Type-Options") == ["nosniff"]
            assert not sent.startswith("text/html") or answer.shows() == set()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("text/html; charset=utf-8; charset=utf-7", "text/html; charset=utf-8"),
        ("text/html charset=gbk; charset=utf-8", "text/html; charset=utf-8"),
        ("text/html (x); charset=utf-8", "text/html; charset=utf-8"),
        ('text/html; x="; charset=gbk"; charset=utf-8', "text/html; charset=utf-8"),
        ("text/html; charset='utf-8'", "text/html; charset=utf-8"),
        ('text/html;charset="UTF-8"', 'text/html;charset="UTF-8"'),
        ("text/html; version=1", "text/html; charset=utf-8"),
    ],
)
async def test_the_type_of_a_page_is_plain(tmp_path: Path, given: str, sent: str) -> None:
    """What is not plain, engines read differently: a page must be decoded as it was gated."""
    page = reply(b"<meta charset=utf-8>" + PAGE, f"Content-Type: {given}", html=False)
    async with proxied(tmp_path, {"page": page}) as site:
        assert (await site.ask("/page")).one("Content-Type") == sent


@pytest.mark.parametrize(
    "body", [b"\x89PNG\r\n", b"{}", b"", b"<?xml version='1.0'?><a/>", b"text"]
)
async def test_other_untyped_answers_pass(tmp_path: Path, body: bytes) -> None:
    async with proxied(tmp_path, {"file": reply(body, html=False)}) as site:
        answer = await site.ask("/file")
        assert answer.body == body
        assert answer.all("Content-Type") == []
        assert locked(answer.policy)


@pytest.mark.parametrize(
    "kind",
    ["image/svg+xml", "application/xhtml+xml", "text/xml", "application/rss+xml; charset=utf-8"],
)
async def test_documents_in_xml_are_gated(tmp_path: Path, kind: str) -> None:
    document = b'<x><link rel="preconnect" href="https://pixel.example/"/><y href="/own"/></x>'
    page = reply(document, f"Content-Type: {kind}", 'ETag: "x"', html=False)
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page")
        assert answer.body == b'<x><link/><y href="/own"/></x>'
        assert answer.all("Cache-Control") == ["no-store"]
        assert answer.all("ETag") == []
        assert answer.all("X-DNS-Prefetch-Control") == ["off"]
        assert answer.policy
        for dest in ("image", "empty"):
            answer = await site.ask("/page", dest=dest)
            assert answer.body == document
            assert answer.policy


async def test_a_document_in_xml_that_cannot_be_read_gets_the_strictest_policy(
    tmp_path: Path,
) -> None:
    page = reply(b"<p>\xff</p>", "Content-Type: application/xhtml+xml", html=False)
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page")
        assert answer.body == b"<p>\xff</p>"
        assert locked(answer.all("Content-Security-Policy")[-1])


async def test_a_document_in_xml_may_say_that_it_is_for_patients(tmp_path: Path) -> None:
    document = b'<h:html><h:meta name="page-audience" content="patient"/></h:html>'
    page = reply(document, "Content-Type: application/xhtml+xml", html=False)
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page")
        assert answer.body == document
        assert answer.all("Referrer-Policy") == ["no-referrer"]


@pytest.mark.parametrize(
    ("frame", "is_patient"),
    [
        (b"<iframe src=/patients/pay>", True),
        (b"<iframe src='//www.example.com/Patients/pay?x=1'>", True),
        (b"<object data=patients/pay>", True),
        (b"<iframe src=/blog>", False),
        (b"<a href=/patients/pay>", False),
    ],
)
async def test_a_page_with_a_patient_page_in_a_frame_is_one(
    tmp_path: Path, frame: bytes, is_patient: bool
) -> None:
    async with proxied(tmp_path, {"page": reply(b"<!doctype html><p>x</p>" + frame)}) as site:
        answer = await site.ask("/page")
        assert (answer.all("Referrer-Policy") == ["no-referrer"]) is is_patient


@pytest.mark.parametrize("dest", ["worker", "sharedworker", "serviceworker"])
async def test_workers_get_the_policy(tmp_path: Path, dest: str) -> None:
    script = reply(b"fetch(1)", "Content-Type: text/javascript", html=False)
    async with proxied(tmp_path, {"w.js": script}) as site:
        answer = await site.ask("/w.js", dest=dest)
        assert answer.body == b"fetch(1)"
        assert locked(answer.policy)
        # Run as a worker later, from the browser's cache, it may do no more.
        assert (await site.ask("/w.js", dest="script")).policy == answer.policy


# --- Methods and parts


async def test_head(tmp_path: Path) -> None:
    page = reply(PAGE, 'ETag: "x"', "Set-Cookie: _ga=1", "Cache-Control: public")
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page", method="HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.one("Content-Length") == ""
        assert answer.one("ETag") == ""
        assert answer.one("Cache-Control") == "private, no-cache"
        assert answer.all("Set-Cookie") == []
        assert locked(answer.policy)


async def test_a_part_of_a_page_is_locked(tmp_path: Path) -> None:
    part = reply(PAGE[:50], "Content-Range: bytes 0-49/500", status="206 Partial Content")
    async with proxied(tmp_path, {"page": part}) as site:
        answer = await site.ask(
            "/page", "Range: bytes=0-49", dest="", cookie=site.cookie("analytics")
        )
        assert (answer.status, answer.body) == (206, PAGE[:50])
        assert locked(answer.policy)


@pytest.mark.parametrize("dest", ["document", "iframe", "frame", "object", "embed"])
async def test_a_page_is_never_asked_for_in_part(tmp_path: Path, dest: str) -> None:
    async with proxied(tmp_path) as site:
        await site.ask(
            "/", "Range: bytes=0-9", 'If-Range: "x"', 'If-None-Match: "x"',
            "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT", dest=dest,
        )  # fmt: skip
        for name in (b"range", b"if-range", b"if-none-match", b"if-modified-since"):
            assert site.asked[-1].values(name) == []


async def test_files_keep_their_validators_and_bytes(tmp_path: Path) -> None:
    body = bytes(range(256)) * 50
    asset = reply(
        body, "Content-Type: image/png", 'ETag: "x"', "Cache-Control: public, max-age=9",
        "Accept-Ranges: bytes", html=False,
    )  # fmt: skip
    async with proxied(tmp_path, {"asset": asset}) as site:
        answer = await site.ask("/asset", 'If-None-Match: "y"', "Range: bytes=1-2", dest="image")
        assert answer.body == body
        assert answer.one("ETag") == '"x"'
        assert answer.one("Cache-Control") == "public, max-age=9"
        assert site.asked[-1].values(b"if-none-match") == [b'"y"']
        assert site.asked[-1].values(b"range") == [b"bytes=1-2"]
        gzipped = gzip.compress(body)
        site.pages["/asset"] = reply(
            gzipped, "Content-Type: text/css", "Content-Encoding: gzip", html=False
        )
        assert (await site.ask("/asset", dest="style")).body == gzipped


async def test_not_modified_passes(tmp_path: Path) -> None:
    not_modified = b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'
    async with proxied(tmp_path, {"asset": not_modified}) as site:
        answer = await site.ask("/asset", 'If-None-Match: "x"', dest="image")
        assert (answer.status, answer.body, answer.one("ETag")) == (304, b"", '"x"')


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "403 Forbidden"])
async def test_error_pages_are_gated(tmp_path: Path, status: str) -> None:
    async with proxied(tmp_path, {"page": reply(PAGE, status=status)}) as site:
        answer = await site.ask("/page")
        assert answer.status == int(status[:3])
        assert answer.shows() == set()
        assert answer.one("ETag") == ""


# --- Validators of variants


async def test_a_variant_is_not_modified_for_the_same_state_only(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        states = {
            "undecided": "",
            "refused": site.cookie(),
            "analytics": site.cookie("analytics"),
            "advertising": site.cookie("advertising"),
            "exception": site.cookie(vendors={"youtube": True}),
        }
        tags = {}
        for name, cookie in states.items():
            answer = await site.ask("/", cookie=cookie)
            tags[name] = answer.one("ETag")
            assert answer.one("Cache-Control") == "private, no-cache"
            for varied in ("Cookie", "Sec-GPC", "Accept-Language"):
                assert varied in answer.one("Vary")
        assert len(set(tags.values())) == len(tags)
        for name, tag in tags.items():
            for other, cookie in states.items():
                answer = await site.ask("/", f"If-None-Match: {tag}", cookie=cookie)
                assert answer.status == (304 if name == other else 200)
                assert bool(answer.body) is (name != other)
                assert answer.policy


async def test_the_policy_belongs_to_the_validator(tmp_path: Path) -> None:
    """The same bytes under another policy are another page: not every browser takes the policy
    of a 304 for that of the page that it kept."""
    plain = reply(b"<!doctype html><title>x</title><p>nothing to gate")
    async with proxied(tmp_path, {"page": plain}) as site:
        no, yes = site.cookie(), site.cookie("session_replay")
        first = await site.ask("/page", cookie=no)
        second = await site.ask("/page", cookie=yes)
        assert first.policy != second.policy
        assert first.one("ETag") != second.one("ETag")
        again = await site.ask("/page", f"If-None-Match: {first.one('ETag')}", cookie=yes)
        assert again.status == 200


async def test_codings_have_validators_of_their_own(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        tags = {
            (await site.ask("/", f"Accept-Encoding: {coding}")).one("ETag")
            for coding in ("gzip", "br", "identity")
        }
        assert len(tags) == 3
        assert site.asked[-1].values(b"if-none-match") == []


async def test_our_validators_stay_here(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        tag = (await site.ask("/")).one("ETag")
        answer = await site.ask("/", 'If-None-Match: "a"', f"If-None-Match: W/{tag}", dest="")
        assert site.asked[-1].values(b"if-none-match") == []
        assert answer.status in {200, 304}
        assert (await site.ask("/", f"If-None-Match: {tag}", method="POST")).status == 200


@pytest.mark.parametrize(
    ("given", "sent", "tagged"),
    [
        (["Cache-Control: public, max-age=600"], "private, no-cache", True),
        (["Cache-Control: no-store"], "no-store", False),
        (["Cache-Control: max-age=5", "Cache-Control: No-Store"], "no-store", False),
        ([], "private, no-cache", True),
    ],
)
async def test_no_shared_cache_keeps_a_page(
    tmp_path: Path, given: list[str], sent: str, tagged: bool
) -> None:
    page = reply(
        PAGE, *given, 'ETag: "o"', "Expires: Thu, 01 Jan 2099 00:00:00 GMT", "Age: 5",
        "Vary: X-A, cookie", "Content-MD5: x", "Accept-Ranges: bytes",
    )  # fmt: skip
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page")
        assert answer.one("Cache-Control") == sent
        assert answer.one("ETag").startswith('"cp-') is tagged
        assert answer.one("Vary").lower().count("cookie") == 1
        assert "X-A" in answer.one("Vary")
        for name in ("Expires", "Age", "Content-MD5", "Accept-Ranges"):
            assert answer.all(name) == []


# --- Where the banner goes


@pytest.mark.parametrize(
    ("dest", "body", "banner"),
    [
        ("document", PAGE, True),
        ("", PAGE, True),
        ("empty", PAGE, True),
        ("empty", PAGE.partition(b"<body>")[2], False),
        ("", b"<p>x<script src=https://www.google-analytics.com/analytics.js></script>", False),
        ("iframe", PAGE, False),
        ("frame", PAGE, False),
        ("object", PAGE, False),
    ],
)
async def test_banner(tmp_path: Path, dest: str, body: bytes, banner: bool) -> None:
    async with proxied(tmp_path, {"page": reply(body)}) as site:
        answer = await site.ask("/page", dest=dest)
        assert (BANNER in answer.text) is banner
        assert answer.shows() == set()


async def test_a_closed_embed_leaves_a_placeholder_under_any_prefix(tmp_path: Path) -> None:
    async with proxied(
        tmp_path, change=lambda text: text.replace("[proxy]", '[proxy]\nprefix = "/choices"')
    ) as site:
        answer = await site.ask("/", cookie=site.cookie())
        assert b"value=&#34;vendor:youtube&#34;" in answer.text
        assert b"action=&#34;/choices/choice&#34;" in answer.text
        assert b"/choices/preferences" in answer.text
        assert b"/.consent" not in answer.text
        assert (await site.ask("/choices/preferences")).status == 200
        assert (await site.ask("/choices/state")).status == 200
        assert (await site.ask("/.consent/state")).status == 404
        assert site.asked[-1].line.startswith(b"GET /.consent/state")


# --- Observe mode


async def test_observe_mode_only_reports(tmp_path: Path) -> None:
    headers = ["Link: <https://t.example/x>; rel=preload", "Set-Cookie: _ga=1", 'NEL: {"a":1}']
    page = reply(PAGE, *headers, "Content-Security-Policy: default-src *")
    broken = reply(PAGE, "Content-Encoding: compress")
    private = {"patients/pay": reply(PAGE)}
    async with proxied(
        tmp_path, {"page": page, "broken": broken, **private}, mode="observe"
    ) as site:
        answer = await site.ask("/page", cookie="_ga=1; _fbp=2")
        assert answer.shows() == {*OPEN, "?"}
        assert BANNER not in answer.text
        for header in headers:
            name, _, value = header.partition(": ")
            assert answer.all(name) == [value]
        (theirs,) = answer.all("Content-Security-Policy")
        # The guard of patient pages is in every page of a site that has some.
        assert re.fullmatch(r"default-src \*; script-src \* 'sha256-[^ ]+'", theirs)
        assert locked(answer.one("Content-Security-Policy-Report-Only"))
        assert site.asked[-1].values(b"cookie") == [b"_ga=1; _fbp=2"]
        locked_out = await site.ask("/broken")
        assert locked_out.all("Content-Security-Policy") == []
        patient = await site.ask("/patients/pay")
        assert patient.shows() == set()
        assert locked(patient.policy)


async def test_observe_mode_passes_bytes(tmp_path: Path) -> None:
    """But for the guard of patient pages, which are closed in any mode."""

    def without_patients(text: str) -> str:
        start = text.index("[[site.page]]")
        return text[:start] + text[text.index("[[tag]]") :]

    async with proxied(tmp_path, mode="observe", change=without_patients) as site:
        assert (await site.ask("/")).text == PAGE


# --- Origins' policies, and the same page offline


async def test_the_origins_policy_is_amended_and_stays(tmp_path: Path) -> None:
    page = reply(
        PAGE,
        "Content-Security-Policy: default-src 'self'; report-uri https://t.example/r",
        "Content-Security-Policy-Report-Only: script-src 'nonce-abc'",
    )
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page")
        theirs, ours = answer.all("Content-Security-Policy")
        assert theirs.startswith("default-src 'self'; script-src 'self' 'sha256-")
        assert "t.example" not in theirs
        assert locked(ours)
        assert "'nonce-abc' 'sha256-" in answer.one("Content-Security-Policy-Report-Only")


@pytest.mark.parametrize("accept", [None, "none", "all", "analytics,functional"])
async def test_served_is_rewritten(tmp_path: Path, accept: str | None) -> None:
    async with proxied(tmp_path) as site:
        every = ["functional", "analytics", "session_replay", "advertising", "social"]
        names = {"none": [], "all": every}.get(accept or "", (accept or "").split(","))
        cookie = "" if accept is None else site.cookie(*names)
        served = (await site.ask("/", cookie=cookie)).text
        question = preview_request(
            site.config, "http://www.example.com/", accept=accept, gpc=False, region="",
            today=datetime.datetime.now(datetime.UTC).date(),
        )  # fmt: skip
        assert served == rewrite_page(question, PAGE, "text/html", language="", bare=False)


async def test_upstream_failures(tmp_path: Path) -> None:
    async def nonsense(visit: Visit) -> None:
        await visit.send(b"nonsense\r\n\r\n")

    async def silent(visit: Visit) -> None:
        await asyncio.sleep(3)

    def hurried(text: str) -> str:
        return text.replace("[proxy]", "[proxy]\nupstream_timeout = 0.3")

    async with proxied(tmp_path, {"nonsense": nonsense, "silent": silent}, change=hurried) as site:
        for path, status in (("/nonsense", 502), ("/silent", 504)):
            answer = await site.ask(path, "Accept: text/html")
            assert answer.status == status
            assert answer.one("Cache-Control") == "no-store"
            assert b"127.0.0.1" not in answer.body
        assert (await site.ask("/", host="other.example")).status == 421
        assert (await site.ask("/", host="WWW.Example.COM.:80")).status == 200


async def test_our_own_addresses_are_ours_whatever_the_base(tmp_path: Path) -> None:
    based = PAGE.replace(b"<head>", b'<head><base href="https://cdn.example/">')
    async with proxied(tmp_path, {"": reply(based)}) as site:
        page = (await site.ask("/")).text
        assert b'action="//www.example.com/.consent/choice"' in page
        assert b'data-at="//www.example.com/.consent/"' in page
        assert b'"/.consent' not in page


def _unlike(number: int) -> bytes:
    return PAGE.replace(b"<p>Fin</p>", b"<p>x</p>" * number + b"<p>Fin</p>")


@pytest.mark.parametrize("caching", ["no-store", "private", "no-cache"])
async def test_pages_that_differ_each_time_are_written_once_until_they_come_again(
    tmp_path: Path, caching: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []

    def counted(shown: Page, *arguments: Any) -> Variant:
        written.append(shown.body)
        return write_variant(shown, *arguments)

    monkeypatch.setattr(page_reply, "write_variant", counted)

    async with proxied(tmp_path) as site:

        async def ask(number: int) -> Answer:
            site.pages["/"] = reply(_unlike(number), f"Cache-Control: {caching}")
            answer = await site.ask("/", "Accept-Encoding: gzip", cookie=site.cookie("analytics"))
            assert answer.text.count(b"<p>x</p>") == number
            assert answer.shows() == {"google-analytics"}
            return answer

        heads = [_head(await ask(number)) for number in range(1, 20)]
        assert heads == heads[:1] * len(heads)
        assert written == [*map(_unlike, range(1, 20))]
        # What may be stored is to be sent again.
        last = next(one for one in site.running.pages.values() if one.body == _unlike(19))
        assert last.passing == (caching != "no-cache")
        written.clear()
        repeated = [_head(await ask(number)) for number in (30, 30, 30, 30, 31, 30, 31, 30, 31)]
        assert repeated == heads[:1] * len(repeated)
        # Once as a page that is seen once, and once to be kept.
        assert Counter(written).keys() == {_unlike(30), _unlike(31)}
        assert max(Counter(written).values()) <= 2


def _head(answer: Answer) -> list[tuple[str, str]]:
    own = {"content-length", "date", "etag", "x-request-id"}
    return [one for one in answer.headers if one[0].lower() not in own]
