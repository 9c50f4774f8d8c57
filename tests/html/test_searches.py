"""What is found by an automaton in a page's bytes, against the long way: a search for each."""

from __future__ import annotations

import re
from importlib import import_module
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.html import parse_cost
from proxy.html.attribute_selectors import BY_ATTRIBUTE, selector_by_attribute
from proxy.html.deferred import deferring_names
from proxy.html.inline_remnants import code_of
from proxy.html.parse_cost import CostlyPageError, check_cost
from proxy.html.preload_scanner import repeated_attributes
from proxy.html.resource import Reading, ResourceKind
from proxy.html.scan import _is_plainly_drawn, scan, tags_of_note
from proxy.html.source import read_source
from proxy.html.tree import parse

_STEADY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _texts(*parts: str, most: int = 24) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), max_size=most).map("".join)


_NAMES = (
    "formaction", "ping", "attributionsrc", "background", "manifest", "referrerpolicy", "style",
    "fill", "filter", "mask", "clip-path", "cursor", "stroke", "marker-start", "marker-mid",
    "marker-end", "id", "form",
)  # fmt: skip
_VALUES = (
    "='url(//a.test/x)'", "=url(//a.test/x)", "\n = '--x: //a.test'", "='&#121;c'", "=yc-x",
    "\f=\t\"--x:'http:'\"", "='--x:\\\\5c'", "=''", "=", "='&lpar;'", "", "=x", "='&#40;'",
)  # fmt: skip
_MARKUP = (
    "<a ", "<p/", "<svg><path ", "</style", "<p <style", "<p </", ">", "/", " ", "\n", "\0", "x",
    "'", '"', "<!--", "-->", "</svg>", "<style>", "<textarea>", "</textarea>",
)  # fmt: skip


@_STEADY
@given(_texts(*_MARKUP, *_NAMES, *map(str.upper, _NAMES), *_VALUES))
def test_no_attribute_is_left_out_of_the_selector(text: str) -> None:
    document = parse(text, scripting=False)
    narrow = document.select(selector_by_attribute(text.lower().encode("latin-1")))
    assert narrow == document.select(BY_ATTRIBUTE)


@_STEADY
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("<a ", "<a/", "<a title=''", "<svg><path ", "<p </", "<a X")),
            st.sampled_from((*_NAMES, *map(str.title, _NAMES))),
            st.sampled_from(_VALUES),
            st.sampled_from((">", "/>", " >", " style='('>")),
        ),
        max_size=6,
    )
)
def test_no_attribute_of_a_tag_is_left_out_of_the_selector(tags: list[tuple[str, ...]]) -> None:
    text = "".join("".join(parts) for parts in tags)
    document = parse(text, scripting=False)
    narrow = document.select(selector_by_attribute(text.lower().encode("latin-1")))
    assert narrow == document.select(BY_ATTRIBUTE)


@pytest.mark.parametrize(
    "text",
    [
        "<p style=\"--x:'HTTP:a.test/x'\">",
        "<p style=\"--x:'ht&Tab;tps:a.test/x'\">",
        "<p style='--x:\"\\2f /a.test\"'>",
        "<p>?-1src=x&-9-src=y</p><img -9-src=//a.test/x><i -src=//a.test/y --src=//a.test/z>",
        "<i 1src=//a.test/x><i -0-9src=//a.test/x><i _-src=//a.test/x>",
    ],
)
def test_what_is_selected_is_all_that_asks_for_something(text: str) -> None:
    source = read_source(text.encode(), "text/html; charset=utf-8")
    found = [(one.attribute, one.urls) for one in scan(source).resources]
    with patch.object(import_module("proxy.html.scan"), "_by_attribute", lambda _: "*"):
        assert found == [(one.attribute, one.urls) for one in scan(source).resources]
    assert found


_DATA = re.compile(rb"data-[a-z0-9_-]+")
_SOURCE = re.compile(rb"src(?<=[a-z0-9_-]src)(?:set|-_)?(?=[\s/]*=)")
_BEFORE = re.compile(rb"[a-z0-9_-]+\Z")


@_STEADY
@given(
    _texts("data-", "src", "srcset", "set", "=", " ", "/", "lazy-", "-_", "x", "'", "d", "da", "s")
)
def test_every_name_that_may_defer_is_found(text: str) -> None:
    lowered = text.encode()
    expected = {*_DATA.findall(lowered)}
    for source in _SOURCE.finditer(lowered):
        name = _BEFORE.search(lowered, max(0, source.start() - 80), source.end())
        assert name is not None
        expected.add(name[0])
    assert deferring_names(lowered) == {name.decode() for name in expected}


_HANDLER = re.compile(rb"""on[a-z]+\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)


@_STEADY
@given(
    _texts(
        "<script",
        "<SCRIPT",
        "</script",
        "</Script>",
        ">",
        " on",
        "\non",
        "click",
        "=",
        '"',
        "'",
        "javascript:",
        "JavaScript:",
        "java",
        "script:",
        " ",
        "\n",
        "o",
        "n",
        "f()",
        "x",
        " on='f()'",
        " onload=f",
        "\nonX = 'f()'",
    )
)
def test_the_code_of_a_page_is_all_found(text: str) -> None:
    page, lowered = text.encode(), text.lower().encode()
    scripts = [at.start() for at in re.finditer(b"<script", lowered)]
    expected = [page[at : lowered.find(b"</script", at)] for at in scripts]
    for mark in (b" on", b"\non"):
        starts = (at.start() + 1 for at in re.finditer(mark, lowered))
        expected += [found[1] for at in starts if (found := _HANDLER.match(page, at))]
    urls = (at.start() for at in re.finditer(b"javascript:", lowered))
    expected += [page[at:].partition(b">")[0] for at in urls]
    assert code_of(page) == b"\n;".join(expected)


_FORMATTING = re.compile(rb"<(/?)(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])")
_FEW, _MOST = 2, 8


def _open_at_once(lowered: bytes) -> int:
    most = now = 0
    for tag in _FORMATTING.finditer(lowered):
        now = max(0, now - 1) if tag[1] else now + 1
        most = max(most, now)
    return most


@_STEADY
@given(
    _texts(
        "<b>",
        "<b\n>",
        "</b>",
        "</b\n>",
        "<em>",
        "</em>",
        "</em/>",
        "<emx>",
        "</emx>",
        "<i",
        "</i",
        "<strong>",
        "</strong>",
        "<p>",
        "<p>",
        "</p>",
        "<a>",
        ">",
        "</u>",
        "<u>",
        "<u x>",
        "<em></emx>",
        "<p><em></emx><p>",
        "<em></emx>" * 6,
    )
)
def test_what_leaves_formatting_open_is_counted(text: str) -> None:
    lowered = text.encode()
    with (
        patch.object(parse_cost, "_SMALL", 0),
        patch.object(parse_cost, "_FEW", _FEW),
        patch.object(parse_cost, "MAX_REOPENED", _MOST),
    ):
        try:
            check_cost(lowered, ())
        except CostlyPageError:
            assert parse_cost._reopened(lowered) > _MOST
            return
    started = sum(not tag[1] for tag in _FORMATTING.finditer(lowered))
    assert (
        _open_at_once(lowered) <= 2 * _FEW
        or started * lowered.count(b"<") <= _MOST
        or parse_cost._reopened(lowered) <= _MOST
    )


_ENDING_A_DRAWING = re.compile(rb"<(?:img|embed|meta)")


@_STEADY
@given(
    _texts(
        "<svg>",
        "<svg",
        ">",
        "</svg>",
        "</svg",
        "<img>",
        "<embed>",
        "<meta>",
        "<metadata>",
        "<p>",
        "<math>",
        "</math>",
        "<image>",
        "x",
        "<svg><path/></svg>",
        "<svg></svg><img>",
        "<svg><meta></svg>",
        "<svg><embed></svg>",
        "<math><metadata></math>",
        most=5,
    )
)
def test_no_tag_that_ends_a_drawing_is_left_out(text: str) -> None:
    lowered = text.encode()
    for tag in (b"svg", b"math"):
        starts = [at.start() for at in re.finditer(b"<" + tag, lowered)]
        ends = [at.start() for at in re.finditer(b"</" + tag, lowered)]
        expected = len(starts) == len(ends) and all(
            lowered.find(b">", start) < end < after
            and _ENDING_A_DRAWING.search(lowered, start, end) is None
            for start, end, after in zip(starts, ends, [*starts[1:], len(lowered)], strict=False)
        )
        assert _is_plainly_drawn(tags_of_note(lowered), tag) == expected


@_STEADY
@given(
    _texts(
        "<img src=/a src=//b.test/>",
        "<img src=/a alt>",
        "<IMG SRC='/a' src=/b>",
        "<base href=/x>",
        "<base href=/x href=//b.test/>",
        "<svg><image href=/x href=//b.test/></svg>",
        "</noscript>",
        "<svg><script src=/x src=/y></script></svg>",
        "<input src=/a src=/b>",
        "<input type=a>",
        "<script src=/s src=/t></script>",
        "<script>f()</script>",
        "<link rel=icon href=/f rel=x>",
        "<noscript>",
        "<b><image src=/a src=/b></b>",
        "\n",
        "<source srcset=/a srcset>",
        "<a href>",
        "<link rel=icon href=/f href=//b.test>",
        "<video poster=/p poster=/q></video>",
        "<template><img src=/a src=/b></template>",
        "<img\nsrc=/a\nsrc=/b/>",
        "<img src=/a id/src=>",
    )
)
def test_no_repeated_attribute_is_left_out(text: str) -> None:
    source = read_source(text.encode(), "text/html; charset=utf-8")
    for _ in range(2):  # the second time its tags are known
        scanned = scan(source)
        reading = Reading(source, scanned.text, False, False, frozenset())
        expected = [
            one.repeated for tree in scanned.documents for one in repeated_attributes(tree, reading)
        ]
        found = [one for one in scanned.resources if one.kind is ResourceKind.REPEATED]
        assert [one.repeated for one in found] == expected
