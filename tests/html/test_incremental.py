"""A page in pieces is gated as the whole page is, wherever its bytes are cut on their way."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from proxy.html import UndecodableError, render
from proxy.html.incremental import CompiledChunk, IncrementalCompiler
from proxy.html.owners import Owner
from proxy.html.text_only import TextOnlyWriter
from tests.html.chunks import PADDING, assert_asks_no_one, closed, long_page
from tests.html.oracle import asked_hosts
from tests.html.pipeline import BOUNDARY, URL, UTF8, compiled
from tests.html.properties import OWN

pytestmark = pytest.mark.slow

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
_fuzz = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
_LIMIT = 1_000_000


def in_pieces(
    body: bytes, cuts: list[int], *, limit: int = _LIMIT, content_type: str = UTF8
) -> list[CompiledChunk]:
    """The pieces of a page that comes in parts, each of them taken at once."""
    pieces = IncrementalCompiler(content_type, URL, BOUNDARY, limit)
    found = []
    at = 0
    for cut in (*sorted(cuts), len(body)):
        pieces.add(body[at:cut])
        at = cut
        piece = pieces.take(last=False)
        if piece is not None:
            found.append(piece)
    last = pieces.take(last=True)
    assert last is not None
    return [*found, last]


cuts = st.lists(st.integers(1445, 2600), max_size=6)


def gates(pieces: list[CompiledChunk]) -> list[tuple[int, int, frozenset[Owner]]]:
    found, shift = [], 0
    for piece in pieces:
        found += [(g.start + shift, g.end + shift, g.needs) for g in piece.page.gates]
        shift += len(piece.page.body)
    return found


@_fuzz
@given(long_page(), cuts)
def test_all_open_is_the_origins_page(body: bytes, at: list[int]) -> None:
    pieces = in_pieces(body, at)
    assume(not any(piece.stripped for piece in pieces))
    opened = b"".join(render(p.page, frozenset(), everything=True) for p in pieces)
    assert opened == body


@_fuzz
@given(long_page(), cuts)
def test_what_the_whole_page_closes_is_closed(body: bytes, at: list[int]) -> None:
    pieces = in_pieces(body, at)
    assume(not any(piece.stripped for piece in pieces))
    # Where a <base> comes late, what stood in styles before it went by the page's own address.
    assume(b"<base" not in body or b"<base" in pieces[0].page.body)
    found = gates(pieces)
    for gate in compiled(body).gates:
        assert any(
            start <= gate.start and gate.end <= end and needs >= gate.needs
            for start, end, needs in found
        ), (gate, found, [p.page.body for p in pieces])


_START = b"<!doctype html><html lang=en><head><title>t</title></head><body>"
_PIXEL = b"<img src=//pixel.test/a>"


@pytest.mark.parametrize(
    "text",
    [
        b"x<p>a</p>|" + _PIXEL + b"|<p>" + _PIXEL,
        b"x<p><b>a</p>|<p>b|" + _PIXEL + b"</b>",
        # A table that is open though it is not around what comes.
        b"x<table><div>|<tr><td background=//pixel.test/a>|" + _PIXEL,
        b"x<table><tr><td><table><b>|<td background=//pixel.test/a>|" + _PIXEL,
        b"x<table>|<tr>|<td background=//pixel.test/a>|</table>|<td background=//pixel.test/a>",
        b"x<table><caption>|<td background=//pixel.test/a>",
        # What only looks like a place between tags.
        b"x<script>a='>|'</script><script>'<!--'|;pixelq(1)</script>|" + _PIXEL,
        b"x<img alt='>|' src=//pixel.test/a>|<p title='<script>|'>" + _PIXEL,
        b"x<!-- >|" + _PIXEL + b"|-->" + _PIXEL,
        b"x<style>a>b{}|a{background:url(//pixel.test/a)}</style>",
        b"x<textarea>|</textarea>|" + _PIXEL + b"<title>|</title>" + _PIXEL,
        b"x<plaintext>|" + _PIXEL,
        # What later bytes, or another kind of browser, read in another way.
        b"x<svg>|<style>|a{fill:url(//pixel.test/a)}</style>|</svg><svg><title>|" + _PIXEL,
        b"x<select>|<style>" + _PIXEL + b"|</style></select>|" + _PIXEL,
        b"x<noscript>|<table>|</noscript><td background=//pixel.test/a>|" + _PIXEL,
        b"x<noscript>|" + _PIXEL + b"|</noscript>|" + _PIXEL,
        b"x<noscript><textarea></noscript>|" + _PIXEL + b"</textarea>" + _PIXEL,
        b"x<template>|<base href=//evil.test/>|</template><img src=a.png>",
        b"x<form><table><tr><td></form>|<form action=//pixel.test/a>",
        b"x<a href=/><table><tr><td>|<a ping=//pixel.test/a>|</table>" + _PIXEL,
        b"</body>|<!-- -->|</html>|" + _PIXEL,
        b"x</body>|"
        + _PIXEL
        + b"|<body background=//pixel.test/a>|<html style='a:url(//pixel.test)'>",
        b"x" + b"<div>" * 900 + b"|" + _PIXEL + b"|" + b"</div>" * 900,
        b"x<p>a < b > c & d|e\r\nf|" + _PIXEL,
        # What a page has of the name that we look for.
        b"<!--consent-probe--><consent-probe></consent-probe><p title='<b> |"
        b"<textarea>'>" + _PIXEL + b"</textarea>",
    ],
)
def test_places_to_cut(text: bytes) -> None:
    body = _START + PADDING + text.replace(b"|", b"")
    at = len(_START + PADDING)
    marks = [at := at + len(part) for part in text.split(b"|")]
    for cuts_at in (marks, [], *([mark] for mark in marks)):
        pieces = in_pieces(body, cuts_at)
        assert closed(pieces) == render(compiled(body), frozenset())


@pytest.mark.parametrize(
    ("start", "text"),
    [
        # A form within one that has not ended is none; told from a piece alone, it might be.
        (
            _START,
            b"x<form action=/a>|<form action=//pixel.test/a>|</form><form action=//pixel.test>",
        ),
        # A <frameset> counts where no <body> and nothing visible was there.
        (b"", b"<p>|<frameset><frame src=//pixel.test/a>"),
        (b"", b"<p></p>" + _PIXEL + b"|<frameset><frame src=//pixel.test/a>"),
        (b"", b"<p></p>" + _PIXEL + b"|x<frameset><frame src=//pixel.test/a>"),
        (_START, b"<p></p>" + _PIXEL + b"|<frameset><frame src=//pixel.test/a>"),
        (b"", b"<p><base href=//pixel.test/>" + _PIXEL + b"|x|<img src=a.png>"),
    ],
)
def test_closed_though_not_alike(start: bytes, text: bytes) -> None:
    body = start + PADDING + text.replace(b"|", b"")
    at = len(start + PADDING)
    marks = [at := at + len(part) for part in text.split(b"|")]
    for cuts_at in (marks, *([mark] for mark in marks)):
        gated = closed(in_pieces(body, cuts_at)).decode()
        for scripting in (False, True):
            assert asked_hosts(gated, URL, scripting=scripting) <= OWN


def test_a_base_that_comes_late() -> None:
    early = _START + b"x" + PADDING
    for base, kept in ((b"<base href=/sub/>", True), (b"<base href=//evil.test/>", False)):
        body = early + base + b"<p>text<img src=own.png><script src=a.js></script>"
        pieces = in_pieces(body, [len(early)])
        assert pieces[0].page.body == early
        assert pieces[1].stripped is not kept
        assert (base in closed(pieces)) is kept
        assert b"text" in closed(pieces)
        # One in the head is the page's; later ones count for nothing.
        body = body.replace(b"<title>", b"<base href=/other/><title>")
        pieces = in_pieces(body, [len(early) + 20])
        assert not pieces[-1].stripped


def test_a_base_counts_for_styles_that_come_later() -> None:
    early = _START.replace(b"<title>", b"<base href=//pixel.test/><title>") + b"x" + PADDING
    body = early + b"<style>a{background:url(a.png)}</style><p style='background:url(b.png)'>"
    pieces = IncrementalCompiler(UTF8, URL, BOUNDARY, _LIMIT)
    pieces.add(early)
    first = pieces.take()
    pieces.add(body[len(early) :])
    last = pieces.take(last=True)
    assert first is not None
    assert last is not None
    assert b".png" not in closed([first, last])


def test_pieces_say_what_belongs_where() -> None:
    early = _START.replace(b"<title>", b"<meta charset=utf-8><title>") + b"x" + PADDING
    body = early + b"<p>y<meta name=page-audience content=patient></body></html>"
    pieces = IncrementalCompiler("text/html", URL, BOUNDARY, _LIMIT)
    pieces.add(early)
    first = pieces.take()
    pieces.add(body[len(early) :])
    last = pieces.take(last=True)
    assert first is not None
    assert last is not None
    assert first.page.body == early
    assert early[: first.page.head_at].endswith(b"<head>")
    assert early[: first.body_at].endswith(b"<body>")
    assert (first.page.language, first.page.label) == ("en", "utf-8")
    assert first.page.is_document
    assert first.page.foot_at is None
    assert first.page.marks == ()
    assert last.page.marks == ("patient",)
    assert last.page.head_at is None
    # Within a paragraph that nothing ends, the foot goes behind everything.
    assert last.page.foot_at == len(last.page.body)
    closing = body[len(early) :].replace(b"</body>", b"</p></body>")
    pieces = IncrementalCompiler("text/html", URL, BOUNDARY, _LIMIT)
    pieces.add(early)
    pieces.take()
    pieces.add(closing)
    last = pieces.take(last=True)
    assert last is not None
    assert closing[last.page.foot_at :] == b"</body></html>"


def test_a_page_without_a_charset_waits() -> None:
    body = _START + b"x" + PADDING + b"\xe9<p>"
    pieces = IncrementalCompiler("text/html", URL, BOUNDARY, _LIMIT)
    pieces.add(body)
    assert pieces.take() is None
    assert pieces.take(last=True) is not None
    # Past the limit it must go on: the charset it is read in is named, so that nobody guesses.
    pieces = IncrementalCompiler("text/html", URL, BOUNDARY, len(body) - 1)
    pieces.add(body)
    first = pieces.take()
    assert first is not None
    assert first.page.label == "windows-1252"
    pieces.add(b"\x1b$" + _PIXEL + b"text")
    last = pieces.take(last=True)
    assert last is not None
    assert closed([last]) == b'\x1b$<img src="">text'


@pytest.mark.parametrize("charset", ["utf-16le", "iso-2022-jp"])
def test_charsets_in_which_tags_look_different(charset: str) -> None:
    text = (_START + b"x" + PADDING).decode() + "<p>日本" + _PIXEL.decode() + "<p>語"
    body = text.encode(charset)
    content_type = f"text/html; charset={charset}"
    pieces = in_pieces(body, [5000, 5001, 5002], content_type=content_type)
    expected = render(compiled(text.encode()), frozenset())
    assert closed(pieces) == expected
    assert all(piece.page.transcoded for piece in pieces)
    with pytest.raises(UndecodableError):
        in_pieces(text.encode(), [], content_type="text/html; charset=hz-gb-2312")


def test_an_element_that_never_ends() -> None:
    early = _START + b"x" + PADDING
    rest = b"<svg><text>" + b"word <tspan>more</tspan> " * 500 + _PIXEL
    pieces = IncrementalCompiler(UTF8, URL, BOUNDARY, 4000)
    found = []
    for at in range(0, len(early + rest), 500):
        pieces.add((early + rest)[at : at + 500])
        found.append(pieces.take())
        assert pieces.held < 4600
    found.append(pieces.take(last=True))
    stripped = b"".join(piece.page.body for piece in found if piece and piece.stripped)
    assert stripped == b"word more " * 500 + b"<img>"


@_fuzz
@given(long_page(), cuts, st.integers(0, 400))
def test_a_stripped_rest_asks_no_one(body: bytes, at: list[int], limit: int) -> None:
    assert_asks_no_one(body, in_pieces(body, at, limit=1445 + limit))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a<p class=x style='background:url(//e)'>b", 'a<p class="x">b'),
        ("<script>a</scripty></script >b<SCRIPT>x", "b"),
        ("<img src=/own.png alt='a\"b'><img src=//e/x alt=c>",
         '<img src="/own.png" alt="a&quot;b"><img alt="c">'),
        ("<a href=javascript:x>l</a><a HREF=' /y'>m", '<a>l</a><a href=" /y">m'),
        ("<a href='java&#10;script:x'><a href='&#106;avascript:x'>", "<a><a>"),
        ("1 < 2 <3 <!-- <b> --> <!--> x <?y?> </ z> <base href=//e><svg><td>t",
         "1 &lt; 2 &lt;3   x   <td>t"),
        ("a<b", "a&lt;b"),
        ("<iframe src=//e>z</iframe><object data=//e>o</object>", "o"),
        ("<p title='>' onclick=x ping=//e id=i>", '<p title="&gt;" id="i">'),
    ],
)  # fmt: skip
def test_stripped(text: str, expected: str) -> None:
    data = text.encode()
    for size in (1, 2, 3, 7, len(data)):
        stripper = TextOnlyWriter(lambda url: not url.startswith("//"))
        parts = [stripper.feed(data[at : at + size]) for at in range(0, len(data), size)]
        assert b"".join([*parts, stripper.feed(b"", last=True)]).decode() == expected


@_fuzz
@given(long_page(), cuts)
def test_a_browser_asks_no_one_else(body: bytes, at: list[int]) -> None:
    assert_asks_no_one(body, in_pieces(body, at))
