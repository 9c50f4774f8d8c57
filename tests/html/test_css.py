"""Two ways to a style sheet's URLs: the quick one misses nothing that the tokenizer finds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    ],
)
def test_table(css: str, urls: list[str]) -> None:
    found = css_urls(css)
    assert [one.url for one in found] == urls
    for one in found:
        assert css[one.start : one.end].strip("\"'") == css[one.start : one.end]


def test_relative_urls_count_where_the_base_is_anothers() -> None:
    assert [one.url for one in css_urls("a{b:url(x.png)}", relative=True)] == ["x.png"]


_PIECES = st.sampled_from(
    ["url(", "URL(", "@import ", "'", '"', "//h/x", "x.png", ")", "(", "/*", "*/", ";", "{", "}",
     "\\", "\\f101", "\n", " ", "a", "-", "data:,", "\\27", "\\\n", "é"]
)  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(st.lists(_PIECES, max_size=16).map("".join))
def test_the_quick_way_finds_at_least_what_the_tokenizer_finds(css: str) -> None:
    quick = {(one.start, one.url) for one in searched_urls(css, css.lower())}
    assert {(one.start, one.url) for one in tokenized_urls(css)} <= quick


@settings(max_examples=500, deadline=None)
@given(st.lists(_PIECES | st.sampled_from(["\\75rl(", "image-set("]), max_size=16).map("".join))
def test_spans_lie_within_the_text(css: str) -> None:
    for one in css_urls(css, relative=True):
        assert 0 <= one.start <= one.end <= len(css)


def test_hostile_texts_take_no_time() -> None:
    for piece in ("/**/", "@import/**//**/", "url(", "url('", "\\", "image-set(", "image-set('"):
        css_urls(piece * 3000 + "//h/")
