"""What is remembered of plain tags is what reading in full finds, wherever the next one is.

In full: the same pages, compiled where no tag counts as plainly written.
"""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.html import Boundary, Page, UndecodableError, compile_page, plain_tags
from proxy.html.plain_tags import starts_of
from proxy.html.tree import parse
from tests.html.fragments import Written, page
from tests.html.pipeline import BOUNDARY, UTF8

_URLS = ("https://www.example.com/dir/page", "https://www.example.com/x", "http://cdn.example.com/")


def _fresh() -> Boundary:
    return Boundary(own=BOUNDARY.own, index=BOUNDARY.index, amend_policy=BOUNDARY.amend_policy)


_KNOWING = _fresh()
"""Of all examples: what one of them left behind must be true of the next."""
_NEVER = re.compile(r"(?!)")


def _compiled(written: Written, url: str, boundary: Boundary) -> Page | str:
    try:
        return compile_page(written.body, written.content_type, url, boundary)
    except UndecodableError as error:
        return str(error)


def _in_full(written: Written, url: str) -> Page | str:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plain_tags, "_PLAIN", _NEVER)
        patched.setattr(plain_tags, "_KNOWN", {})
        return _compiled(written, url, _fresh())


def _assert_same(written: Written, url: str) -> None:
    expected = _in_full(written, url)
    for _ in range(2):  # the second time it is known
        found = _compiled(written, url, _KNOWING)
        if isinstance(found, str) or isinstance(expected, str):
            assert found == expected
            continue
        for one in fields(Page):
            assert getattr(found, one.name) == getattr(expected, one.name), one.name


# A site's own tags, each in many places: the same text again and again is the point.
_TAGS = (
    '<img src="/logo.png" alt="Clinic" width="120" height="40">',
    '<img src="//nobody.test/photo-640x480.jpg" alt="caf\u00e9 &amp;" data-src="//nobody.test/2">',
    "<img src=x.png srcset='//pixel.test/a 1x' onerror=go() loading=lazy>",
    "<img src='../up.gif' hidden><img alt data-lazy-src=/own.png>",
    '<script src="https://pixel.test/t.js" async></script>',
    "<script src=/app.js></script>",
    '<script data-src="//pixel.test/l.js" type="text/plain" data-category="analytics"></script>',
    "<script type=module src=//nobody.test/m.js>",
    "<script>own()</script><script>pixelq(1)</script><script nonce=x>",
    '<link rel="stylesheet" href="//nobody.test/a.css"><link rel=icon href=/f.ico>',
    '<link rel="preconnect" href="https://pixel.test"><link rel=canonical href=//pixel.test/>',
    "<source srcset='//nobody.test/1.webp 1x, /2.webp 2x' type=image/webp>",
    '<iframe src="https://video.test/e/1" title="A film" width=560 height=315></iframe>',
    '<iframe src="/frame" sandbox></iframe><iframe data-src="//video.test/2"></iframe>',
    '<iframe srcdoc="<img src=//pixel.test/>"></iframe><video poster=//nobody.test/p src=/v>',
    "<form action=//pixel.test/f><input type=image src=//nobody.test/i.png></form>",
    '<form action="/search" method="get"><input src=//pixel.test/i name=q></form>',
    "<img style='background:url(//pixel.test/b)' src=/x referrerpolicy=unsafe-url id=yc-a>",
    "<image src=//pixel.test/p><input src=/collect/x>",
    "<img src=/a.png alt src=//pixel.test/b><script src=/a.js SRC='//pixel.test/b.js'></script>",
    "<link rel=icon href=/f.ico rel=stylesheet><img id=a src='x y=z' ID=b>",
    "<source srcset=/1 srcset=//pixel.test/><svg><image href=/x href=//pixel.test/></svg>",
    "<input src=/a src=//pixel.test/i><base href=/x href=//pixel.test/>",
    "<img src=//pixel.test/1 width=1 height=1><img src=//nobody.test/2 style=display:none>",
)  # fmt: skip
_AROUND = (
    "", "<p>text\n", "\n\n  ", "<noscript>", "</noscript>", "<svg>", "</svg>", "<select>",
    "</select>", "<template>", "</template>", "<table><tr>", "</table>", "<!--", "-->",
    "<base href=//nobody.test/b/>", "<div data-x-src=1>", "<title>", "</title>", "<a href=/>",
    "</a>", "<textarea>", "</textarea>", "<math><mtext>", "<![CDATA[", "<svg><desc>", "<p title='",
    "'>", "\r\n", "<iframe>", "</script>", "<body>", "<script>__next_f.push(1)</script>",
)  # fmt: skip
_SITES = st.lists(
    st.one_of(st.sampled_from(_TAGS), st.sampled_from(_TAGS), st.sampled_from(_AROUND)),
    min_size=1,
    max_size=16,
).map("".join)
_CHARSETS = st.sampled_from((UTF8, "text/html; charset=windows-1252", "text/html; charset=gbk"))


@given(_SITES, _CHARSETS, st.sampled_from(_URLS))
@example("<noscript><div>" + "".join(_TAGS) + "</noscript>" + "".join(_TAGS), UTF8, _URLS[0])
@example("<p><noscript><img title='" + _TAGS[1] + "</noscript>" + _TAGS[1] + "'>", UTF8, _URLS[0])
@example("<base href=//nobody.test/b/>" + "".join(_TAGS), UTF8, _URLS[1])
def test_a_sites_pages_are_the_same_in_full(text: str, content_type: str, url: str) -> None:
    _assert_same(Written(text.encode(), content_type, "utf-8"), url)


@given(page(), st.sampled_from(_URLS))
def test_any_page_is_the_same_in_full(written: Written, url: str) -> None:
    _assert_same(written, url)


_HERE, _THERE = "https://www.example.com/dir/page", "https://www.example.com/collect/page"
_PHOTO = "<img src=//nobody.test/a.jpg alt='A photo'>"
_NAMED = "<img src=//nobody\u00e9.test/a.jpg>"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            (f"<noscript><div></noscript>{_PHOTO}", UTF8, _HERE),
            (f"<noscript><textarea></noscript>{_PHOTO}</textarea>", UTF8, _HERE),
            id="text to browsers without JavaScript",
        ),
        pytest.param(
            ("<img src=x.gif>", UTF8, _HERE), ("<img src=x.gif>", UTF8, _THERE), id="relative"
        ),
        pytest.param(
            (_NAMED, UTF8, _HERE), (_NAMED, "text/html; charset=windows-1252", _HERE), id="charset"
        ),
        pytest.param(
            ("<script nonce=x></script>", UTF8, _HERE),
            ("<script nonce=x>pixelq(1)</script>", UTF8, _HERE),
            id="code behind the tag",
        ),
        pytest.param(
            ("<div data-src=//nobody.test/e>text</div>", UTF8, _HERE),
            ("<div data-src=//nobody.test/e></div>", UTF8, _HERE),
            id="what stands in an element",
        ),
        pytest.param(
            (_PHOTO, UTF8, _HERE), (f'<p title="{_PHOTO}">', UTF8, _HERE), id="no tag at all"
        ),
    ],
)
def test_what_a_page_leaves_behind_is_true_of_the_next(
    first: tuple[str, str, str], second: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_tags, "_KNOWN", {})
    boundary = _fresh()
    for text, content_type, url in (first, second):
        written = Written(text.encode(), content_type, "utf-8")
        found = _compiled(written, url, boundary)
        expected = _in_full(written, url)
        assert isinstance(found, Page) and isinstance(expected, Page)
        assert found.gates == expected.gates


def test_a_tag_is_remembered_with_all_that_it_was_found_to_be() -> None:
    """Else the properties above would hold of nothing."""
    boundary = Boundary(own=BOUNDARY.own, index=BOUNDARY.index)
    body = "".join((_TAGS[0], _TAGS[1], _TAGS[4], _TAGS[9], _TAGS[12])).encode()
    compile_page(body, UTF8, _URLS[0], boundary)
    (known,) = boundary._finished.values()
    kept = {(found.tag, found.attribute) for found in known.values() if found is not None}
    assert kept >= {("img", "src"), ("img", "data-src"), ("script", "src"), ("iframe", "src")}
    assert None in known.values()


@given(st.lists(st.sampled_from(("<img>", "\n", "x", " ", "\n\n", "<p>")), max_size=30))
def test_the_start_of_a_tag_is_known_by_its_line_and_column(parts: list[str]) -> None:
    text = "".join(parts)
    offsets = [found.start() for found in re.finditer("<img", text)]
    starts = starts_of(text, reversed(offsets))
    images = parse(text, scripting=False).select("img")
    assert [starts[one.position] for one in images if one.position] == offsets


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_tags, "_MAX_TAGS", 3)
    monkeypatch.setattr(plain_tags, "_MAX_READINGS", 2)
    monkeypatch.setattr(plain_tags, "_KNOWN", {})
    body = "".join(f"<img src=//nobody.test/{number}>" for number in range(10)).encode()
    for charset in ("utf-8", "gbk", "big5"):
        compile_page(body, f"text/html; charset={charset}", _URLS[0], BOUNDARY)
    assert len(plain_tags._KNOWN) <= 2
    assert all(len(known) <= 3 for known in plain_tags._KNOWN.values())
