"""Two ways to a style sheet's URLs: the quick one misses nothing that the tokenizer finds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.html import css as css_module
from proxy.html.css import css_urls, searched_urls, tokenized_urls


@pytest.mark.parametrize(
    ("css", "urls"),
    [
        ("a{b:url(//h/x)}", ["//h/x"]),
        ("a{b:url( '//h/x' )}", ["//h/x"]),
        ('a{b:URL("https:\\2f\\2fh/x")}', ["https://h/x"]),
        ("a{b:\\75 rl(//h/x)}", ["//h/x"]),
        ("a{b:u\\52 l(//h/x)}", ["//h/x"]),
        ("@import '//h/x';", ["//h/x"]),
        ("@import/**/'//h/x';", ["//h/x"]),
        ("@\\69mport '//h/x';", ["//h/x"]),
        ("@import 'data:text/css,\\d800 ';", ["data:text/css,\ufffd"]),
        # `image-set(var(--x))` takes such a string for an address, and URLs drop tabs.
        ("a{--x:'\t//h/x'}", ["\t//h/x"]),
        ("a{--x:'/\t/h/x'}", ["/\t/h/x"]),
        ('a{--x:"ht\ttp://h/x"}', ["ht\ttp://h/x"]),
        # The digits of an escape may be capital letters.
        ("a{b:ur\\6C(//h/x)}", ["//h/x"]),
        ("a{b:ur\\00006C(//h/x)}", ["//h/x"]),
        ("@i\\6Dport '//h/x';", ["//h/x"]),
        ("@\\49\\4D\\50\\4F\\52\\54 '//h/x';", ["//h/x"]),
        ("a{b:image\\2Dset('//h/x' 1x)}", ["//h/x"]),
        ("a{b:i\\6D age-set('//h/x' 1x)}", ["//h/x"]),
        ("a{b:image-set('//h/x' 1x, \"//h/y\" 2x)}", ["//h/x", "//h/y"]),
        ("a{b:image-set(image('//h/x'), '//h/y')}", ["//h/x", "//h/y"]),
        ("a{b:-webkit-image-set(url(//h/x) 1x)}", ["//h/x"]),
        ("a{b:image\\2d set('//h/x' 1x)}", ["//h/x"]),
        ("a{content:'/*'} b{c:url(//h/x)}", ["//h/x"]),
        ('\\75 rl(x);a{b:url(a"b)} c{d:url(//h/x)} e{f:"}', ["//h/x"]),
        ("\\75 rl(x); /* url(//h/x) */", []),
        ("a{b:url('//h/\\\n.x')}", ["//h/.x"]),
        ("a{b:url('//h/x\n'); c:url(//h/y)}", ["//h/x", "//h/y"]),
        ("a{b:url('/\t/h/x')}", ["/\t/h/x"]),
        ("a{b:url('ht\ttp:h')}", ["ht\ttp:h"]),
        ("a{b:url(x.png)}", []),
        ("a{b:url(#f)}", []),
        (".icon{content:'\\f101'} a{b:url(//h/x)}", ["//h/x"]),
        ("a{b:url(//h/x", ["//h/x"]),
        ("a{b:url('//h/x", ["//h/x"]),
        ("a{b:url(/*//h/x*/)}", ["/*//h/x*/"]),
        # Six digits are a whole escape, and a blank behind it may be a line break of two.
        ("a{b:i\\00006dage-set('//h/x' 1x)}", ["//h/x"]),
        ("a{b:ima\\000067e-set('//h/x' 1x)}", ["//h/x"]),
        ("a{b:image\\2d\r\nset('//h/x' 1x)}", ["//h/x"]),
        ("a{b:\\000075\r\n\\000072\r\n\\00006c\r\n(//h/x)}", ["//h/x"]),
        ("@\\000069\r\n\\00006d\r\nport '//h/x';", ["//h/x"]),
        ("a{b:url('//h/\\\r\nx')}", ["//h/x"]),
        ("a{b:\u00b2image('//h/x')}", ["//h/x"]),
        # Functions that take strings, plainly written: no other string counts.
        ("a{b:image('//h/x')} c{d:'//h/y'}", ["//h/x"]),
        ("a{b:src('//h/x') '//h/z'} c{d:'//h/y'}", ["//h/x"]),
        ("a{b:image-set(calc(1px) '//h/x') '//h/z'}", ["//h/x"]),
        ("a{b:image-set('//h/x'} c{d:'//h/y'}", ["//h/x", "//h/y"]),
        ("a{b:image-set('a)' 1x, '//h/x' 2x)} c{d:'//h/y'}", ["//h/x"]),
        # Names that only end like one, and escapes that are no part of one.
        ("a{filter:progid:DXImageTransform.Microsoft.BasicImage('//h/x')}", []),
        ("a{b:background-src('//h/x')}", []),
        ("p::first\\-letter{b:'//h/x'}", []),
        (".sm\\:flex\\(1\\){b:url(//h/x)} /* '//h/y' */", ["//h/x"]),
        ('.i::before{content:"\\4d"} a{b:url(//h/x)}', ["//h/x"]),
    ],
)
def test_table(css: str, urls: list[str]) -> None:
    found = css_urls(css)
    assert [one.url for one in found] == urls
    for one in found:
        assert css[one.start : one.end].strip("\"'") == css[one.start : one.end]


def test_relative_urls_count_where_the_base_is_anothers() -> None:
    assert [one.url for one in css_urls("a{b:url(x.png)}", relative=True)] == ["x.png"]


@pytest.mark.parametrize(
    "css",
    [
        "a{filter:progid:DXImageTransform.Microsoft.BasicImage(grayscale=1);b:url(//h/x)}",
        'a{b:url(//h/x)} .i::before{content:"\\4d"}',
        "a{b:url(//h/x)} p::first\\-letter{color:red} .sm\\:hover\\:x:not(.y){color:red}",
        "a{b:url(//h/x)} @media print{.w-1\\/2\\.5{width:50%}}",
        "a{b:url(//h/x)} b{c:-webkit-image-set(url(/y) 1x, '/z' 2x)}",
    ],
)
def test_what_real_style_sheets_have_is_not_read_by_the_tokenizer(
    css: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for what stands in a function's parentheses: it costs a hundred times as much."""
    read = 0
    real = css_module._TOKEN

    class Counting:
        def finditer(self, text: str, start: int) -> Iterator[re.Match[str]]:
            nonlocal read
            for match in real.finditer(text, start):
                read = max(read, match.end() - start)
                yield match

    monkeypatch.setattr(css_module, "_TOKEN", Counting())
    found = css_urls(css + ".b{color:(red)}" * 50)
    assert [one.url for one in found] == ["//h/x"]
    assert read <= len("-webkit-image-set(url(/y) 1x, '/z' 2x)")


_PIECES = st.sampled_from(
    ["url(", "URL(", "@import ", "'", '"', "//h/x", "x.png", ")", "(", "/*", "*/", ";", "{", "}",
     "\\", "\\f101", "\n", " ", "a", "-", "data:,", "\\27", "\\\n", "é"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=16).map("".join))
def test_the_quick_way_finds_at_least_what_the_tokenizer_finds(css: str) -> None:
    quick = {(one.start, one.url) for one in searched_urls(css, css.lower())}
    assert {(one.start, one.url) for one in tokenized_urls(css)} <= quick


_SPELLINGS = st.sampled_from(
    ["image-set(", "image(", "src(", "Basicimage(", "-webkit-image-set(", "\\75rl(", "\\000075rl(",
     "u\\72 l(", "i\\00006dage(", "ima\\000067e-set(", "image\\-set(", "\\s\\72\r\nc(",
     "s\\000072c(", "@\\69mport ", "@im\\70\\06f\\72 t", "\\4d", "\\-", "\\g", "u",
     "rl(", "image", "\u00b2", "@"]
)  # fmt: skip


@settings(max_examples=700, deadline=None)
@given(st.lists(_PIECES | _SPELLINGS, max_size=12).map("".join))
def test_nothing_is_missed_that_the_tokenizer_finds(css: str) -> None:
    """In whole, whatever way it takes."""
    found = {(one.start, one.end, one.url) for one in css_urls(css, relative=True)}
    whole = {(one.start, one.end, one.url) for one in tokenized_urls(css)}
    assert whole <= found


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES | _SPELLINGS, max_size=16).map("".join))
def test_spans_lie_within_the_text(css: str) -> None:
    for one in css_urls(css, relative=True):
        assert 0 <= one.start <= one.end <= len(css)


def test_hostile_texts_take_no_time() -> None:
    for piece in (
        "/**/",
        "@import/**//**/",
        "url(",
        "url('",
        "\\",
        "image-set(",
        "image-set('",
        "image('",
        "image-set(url(",
        "\\75",
        '"\\4d"',
        "@\\69",
        "\\-",
        "u\\72l",
    ):
        css_urls(piece * 3000 + "//h/")
