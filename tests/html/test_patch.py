"""Pages that differ by words: compiled by likeness, or not at all, but never differently."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent_rules.categories import Category
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor
from proxy.html import Boundary, Page, UndecodableError, compile_page, render
from proxy.html.gates import Gate
from proxy.html.patch import PageTemplate
from proxy.html.tool_signs import tool_signs
from tests.html.fragments import page
from tests.html.pipeline import BOUNDARY, URL, UTF8, compiled
from tests.html.words import NASTY, PLAIN, WORDS

WORD = re.compile(rb"[A-Za-z0-9_+/=.:%,~-]+")


def same(found: Page, expected: Page, before: Page) -> None:
    """`found` is `expected`; only which functions of a closed script others use is `before`'s."""
    ours, theirs, was = map(_apart, (found, expected, before))
    assert ours[0] == theirs[0]
    assert [(gate.needs, gate.code, gate.embed) for gate in ours[1]] == [
        (gate.needs, gate.code, gate.embed) for gate in theirs[1]
    ]
    assert [(gate.closed, gate.names) for gate in ours[1]] == [
        (gate.closed, gate.names) for gate in was[1]
    ]
    assert replace(found, gates=()) == replace(expected, gates=(), passing=True)
    assert found.tools in {None, tool_signs(found.body)}


def _apart(page: Page) -> tuple[list[Gate], list[Gate]]:
    """The gates of a page, those of classic inline scripts apart."""
    codes = {gate.code for gate in page.gates if gate.code[1]}
    of_code = [gate for gate in page.gates if gate.code[1]]
    rest = [g for g in page.gates if not g.code[1] and (g.start, g.end) not in codes]
    return rest, of_code


SHELL = "<!doctype html><html lang=en><head><meta charset=utf-8></head><body>{}</body></html>"


@st.composite
def two_pages(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A page, and the same with other words in the places that were made for them."""
    pieces = draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=4))
    text = "".join(pieces)
    if draw(st.booleans()):
        text = SHELL.replace("{}", text)
    parts = text.replace("{{", "{").replace("}}", "}").split("{w}")
    kept = [draw(WORDS) for _ in parts[1:]]
    other = [draw(WORDS) if draw(st.integers(0, 2)) else word for word in kept]
    old, new = (
        parts[0] + "".join(word + part for word, part in zip(words, parts[1:], strict=True))
        for words in (kept, other)
    )
    return old.encode(), new.encode()


def changed(draw: st.DrawFn, old: bytes, words: st.SearchStrategy[str]) -> bytes:
    spans = [match.span() for match in WORD.finditer(old)]
    if not spans:
        return old + b"x"
    new = old
    for start, end in sorted(draw(st.sets(st.sampled_from(spans), max_size=4)), reverse=True):
        new = new[:start] + draw(words).encode() + new[end:]
    return new


def check(old: bytes, new: bytes, content_type: str = UTF8) -> Page | None:
    try:
        alike = PageTemplate(compiled(old, content_type), content_type, URL, BOUNDARY)
    except UndecodableError:
        return None
    found = alike.patch(new)
    if found is not None:
        if found is alike.page:
            return None
        same(found, compiled(new, content_type), alike.page)
        assert alike.patch(new) == found, "the second time, from what was learnt"
    return found


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(pages=two_pages())
def test_what_is_alike_is_compiled_as_ever(pages: tuple[bytes, bytes]) -> None:
    check(*pages)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), written=page())
def test_what_is_nasty_is_compiled_as_ever(data: st.DataObject, written: object) -> None:
    body, content_type = written.body, written.content_type  # type: ignore[attr-defined]
    new = data.draw(st.composite(changed)(body, st.sampled_from(NASTY)))
    check(body, new, content_type)


OLD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<meta name="csrf-token" content="{token}"><script nonce="{nonce}" src="/app.js?v={nonce}"></script>
<script nonce="{nonce}" src="https://pixel.test/p.js"></script></head><body>
<form action="/buy?t={token}"><input type="hidden" name="t" value="{token}"></form>
<script nonce="{nonce}">window.state={{"request":"{token}","at":{time}}}</script>
<p>It is {time} o'clock.</p><img src="https://pixel.test/i?r={token}" width="1">
<iframe src="https://video.test/embed/1" width="560" height="315"></iframe>
<!-- rendered in {time} ms by web-{time} --></body></html>"""


def test_a_nonce_of_a_closed_script_is_no_part_of_what_stays_of_it() -> None:
    page = "<script nonce='{}'>function own(){{}} pixelq(1)</script><script>own()</script>"
    old, new = (page.format(nonce).encode() for nonce in ("a", "bcd"))
    found = check(old, new)
    assert found is not None
    assert render(found, frozenset()) == (
        b"<script nonce='bcd'>function own(){}</script><script>own()</script>"
    )


def test_tokens_and_times_are_alike() -> None:
    old = OLD.format(token="Zm9v-YmFy_0=", nonce="abc", time="12").encode()
    alike = PageTemplate(compiled(old), UTF8, URL, BOUNDARY)
    for number in range(20):
        token = f"{number * 7919:x}-T_{'k' * number}"
        new = OLD.format(token=token, nonce=f"n{number:05}", time=str(number)).encode()
        found = alike.patch(new)
        assert found is not None, number
        assert found.passing
        same(found, compiled(new), alike.page)
    assert alike.misses == 0
    assert alike.patch(old) is alike.page


@pytest.mark.parametrize("comment", ["<!--{}-->", "<!--{} -->", "<!-- {}-->", "<!--a-{}-b-->"])
def test_the_hyphens_of_a_comment_are_no_part_of_the_word(comment: str) -> None:
    rest = "<script src=//pixel.test/x></script>"
    old, new = (f"{comment.format(word)}{rest}".encode() for word in ("17ab", "9cd03"))
    assert check(old, new) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<p>abc</p>", "<p>abc</p><img src=//pixel.test/x>"),
        ("<p>abc</p>", "<p>ab</p>c"),
        ("<img src='//own.test/x'>", "<img src='//pixel.test/x'>"),
        ("<meta name=page-audience content='all'>", "<meta name=page-audience content='patient'>"),
        ("<script>a='x'</script>", "<script>a='pixelq(1)'</script>"),
        ("<script>var a=1</script>", "<script>var pixelq=1</script>"),
        ("<p>a</p>" * 60, "<p>b</p>" * 60),
        (
            "<a data-consent-link href='/.consent/preferences#a'>y</a>",
            "<a data-consent-link href='/.consent/preferences#b'>y</a>",
        ),
        (
            "<script>var own='a'; pixelq(1)</script><script>f(own)</script>",
            "<script>var own='b'; pixelq(1)</script><script>f(own)</script>",
        ),
        ("<img src='//pixel.test/x?a'>", "<img src='//pixel.test/x?w=100'>"),
        (
            "<noscript><img src=//pixel.test/x><!--x--></noscript>",
            "<noscript><img src=//pixel.test/x><!--a-b--></noscript>",
        ),
        (
            "<script src=//pixel.test/x></script><script>f('no-flick', 'opacity:0')</script>",
            "<script src=//pixel.test/x></script><script>f('no-flicker', 'opacity:0')</script>",
        ),
        ("<!--a-->", "<!--a----><!-->"),
        ("<abc>", "<img>"),
        ("<img src='//a@own.test/'>", "<img src='//a@pixel.test/'>"),
        ("<!-- a><img src=//pixel.test/x> -->", "<!-- a--><img src=//pixel.test/x> -->"),
        ("<!--a--><img src=//pixel.test/x> -->", "<!--a><img src=//pixel.test/x> -->"),
        *(
            (
                f"<!--{first}><img src=//pixel.test/x> -->",
                f"<!--{second}><img src=//pixel.test/x> -->",
            )
            for one, other in (
                (" --a", " --"),
                (" -a-", " --"),
                ("a-b-", "a--"),
                ("-a", "-"),
                ("a", ""),
                ("-a-b", "--b"),
                (" --a!", " --!"),
            )
            for first, second in ((one, other), (other, one))
        ),
        (
            "<script>'<!-- <script> --a>'</script><img title='</script><img src=//pixel.test/x>'>",
            "<script>'<!-- <script> -->'</script><img title='</script><img src=//pixel.test/x>'>",
        ),
        ("<!--a><img src=//pixel.test/x>-->", "<!--><img src=//pixel.test/x>-->"),
        ("<!--a-><img src=//pixel.test/x>-->", "<!---><img src=//pixel.test/x>-->"),
        ("<!-- a-b-><img src=//pixel.test/x>-->", "<!-- a--><img src=//pixel.test/x>-->"),
        (
            "<noscript><p title='</noscript><img src=//own.test/x>'></noscript>",
            "<noscript><p title='</noscript><img src=//pixel.test/x>'></noscript>",
        ),
        ("<base href='/a'><p>b</p>", "<base href='/a'><p>c</p>"),
        ("<svg><a href='/x?a'></a></svg>", "<svg><a href='/x?b'></a></svg>"),
        ("<a href='b'>c</a>", "<a href='javascript:1'>c</a>"),
        ("<p>&lt</p>", "<p>&gt</p>"),
        # A placeholder shows it: somebody else's, otherwise.
        (
            "<iframe src='//video.test/e' title='For Ann'></iframe>",
            "<iframe src='//video.test/e' title='For Eve'></iframe>",
        ),
        (
            "<img src='//pixel.test/i.jpg' alt='For Ann'>",
            "<img src='//pixel.test/i.jpg' alt='For Eve'>",
        ),
        (
            "<img title='For Ann' src='//nobody.test/i.jpg'>",
            "<img title='For Eve' src='//nobody.test/i.jpg'>",
        ),
        (
            "<svg><image href='//pixel.test/i.jpg'><title>For Ann</title></image></svg>",
            "<svg><image href='//pixel.test/i.jpg'><title>For Eve</title></image></svg>",
        ),
        # What all of a page is read by.
        ("<p id='b'>a</p>", "<p id='__NEXT_DATA__'>a</p>"),
        ("<p id='__NEXT_DATA__'>a</p>", "<p id='b'>a</p>"),
        ("<script>var a='b'</script>", "<script>var a='__remixContext'</script>"),
        (
            "<style id='b'>body{opacity:0}</style>",
            "<style id='async-hide'>body{opacity:0}</style>",
        ),
        (
            "<a data-consent-link href='/.consent/preferences'>y</a>",
            "<a data-consent-link href='/.consent/elsewhere'>y</a>",
        ),
    ],
)
def test_more_than_words_is_compiled_anew(old: str, new: str) -> None:
    alike = PageTemplate(compiled(old.encode()), UTF8, URL, BOUNDARY)
    assert alike.patch(new.encode()) is None
    assert alike.misses == 1


@pytest.mark.parametrize(
    ("own", "old", "new"),
    [
        ("<p id='a{}'>x</p>", "1", "box"),
        ("<p id='A{}'>x</p>", "1", "Box"),
        ("<p id='&#97;-{}'>x</p>", "1", "box"),
        ("<div data-x='{}' class=a-live>x</div>", "off", "on"),
        (f"<div data-x='{{}}' title='{'x ' * 50}' class=a-live>x</div>", "off", "on"),
        ("<div data-x='{}' title='<' class=a-live>x</div>", "off", "on"),
        ("<div id=a-there></div><script src='/x?{}'></script>", "y", "a.test/sdk"),
        ("<div id='{}'></div><script>fill(document.getElementById('b'))</script>", "c", "b"),
        ("<p id=b></p><p id=c></p><script>a={{el:'{}'}}; if(1<2)fill(a)</script>", "c", "b"),
    ],
)
def test_what_may_be_a_place_is_compiled_anew(own: str, old: str, new: str) -> None:
    places = (
        *("#a-box", "#abox", "div.a-live[data-x='on']", "into:fill("),
        "html:has(script[src*='a.test/sdk']) #a-there",
    )
    vendor = Vendor("a", "A", Category.FUNCTIONAL, hosts=("a.test",), places=places)
    boundary = Boundary(own=BOUNDARY.own, index=VendorIndex([vendor]))
    for first, second in ((old, new), (new, old)):
        was, now = (f"<p>a-box abox</p>{own.format(w)}<p>end".encode() for w in (first, second))
        alike = PageTemplate(compile_page(was, UTF8, URL, boundary), UTF8, URL, boundary)
        assert alike.page.gates != compile_page(now, UTF8, URL, boundary).gates
        assert alike.patch(now) is None
        assert alike.patch(was.replace(b"end", b"the")) is not None


def test_a_charset_may_be_pushed_out_of_where_browsers_look() -> None:
    """Within the first kilobyte the word is Shift_JIS; behind it is windows-1252."""
    rest = "--><meta charset=shift_jis><title>x</title><img alt='\x83\\' src=//pixel.test/x>"
    old, new = (f"<!--{'x ' * 480}{word}{rest}".encode("latin-1") for word in ("a", "b" * 90))
    assert check(old, new, "text/html") is None


def test_a_charset_may_be_pulled_into_where_a_browser_looks() -> None:
    rest = "--><meta charset=iso-2022-jp><title>x</title>"
    old, new = (f"<!--{'x ' * 8160}{word}{rest}".encode() for word in ("a" * 90, "a"))
    assert compiled(old, "text/html").label != compiled(new, "text/html").label
    assert check(old, new, "text/html") is None


def test_what_a_page_has_is_what_likeness_knows() -> None:
    """Whoever gives Page another field says here that likeness knows what becomes of it."""
    assert {one.name for one in fields(Page)} == {
        "body", "gates", "owners", "head_at", "foot_at", "is_document", "has_base", "language",
        "marks", "label", "wire", "transcoded", "passing",
        "frames", "declaration_at", "preferences_links", "hydration", "vendors", "tools",
    }  # fmt: skip
