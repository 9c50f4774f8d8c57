"""Pages that differ by words: compiled by likeness, or not at all, but never differently."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.html import Page, UndecodableError, render
from proxy.html.gates import Gate
from proxy.html.patch import PageTemplate
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


def test_a_charset_may_be_pushed_out_of_where_browsers_look() -> None:
    """Within the first kilobyte the word is Shift_JIS; behind it is windows-1252."""
    rest = "--><meta charset=shift_jis><title>x</title><img alt='\x83\\' src=//pixel.test/x>"
    old, new = (f"<!--{'x ' * 480}{word}{rest}".encode("latin-1") for word in ("a", "b" * 90))
    assert check(old, new, "text/html") is None


def test_what_a_page_has_is_what_likeness_knows() -> None:
    """Whoever gives Page another field says here that likeness knows what becomes of it."""
    assert {one.name for one in fields(Page)} == {
        "body", "gates", "owners", "head_at", "foot_at", "is_document", "has_base", "language",
        "marks", "label", "wire", "transcoded", "passing",
        "frames", "declaration_at", "preferences_links", "hydration", "vendors",
    }  # fmt: skip
