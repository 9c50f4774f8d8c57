"""No kind of page costs more than in proportion to its length."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.html import UndecodableError, compile_page
from proxy.html.incremental import IncrementalCompiler
from proxy.html.parse_cost import MAX_ROOT_TAGS, CostlyPageError, may_format
from tests.html.costs import KINDS, is_too_much, measure
from tests.html.pipeline import BOUNDARY, URL, UTF8, compiled

_SIZE = 150_000
_TRIES = 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_of_each_kind(kind: str) -> None:
    cost = measure(kind, _SIZE)
    assert not is_too_much(cost, _SIZE), cost


_OF = {
    "resources": "manyhosts",
    "bytes of text": "utf8",
    "depth": "deepdiv",
    "attributes of a tag": "attrs",
    "inline scripts": "scripts",
    "names that scripts declare": "inlinemany",
    "style sheets": "styles",
    "style attributes": "styleattrs",
    "pages within attributes": "srcdoc-big",
}
"""What a page may have n of, and a kind of page that has."""


@pytest.mark.parametrize("what", _OF)
def test_eight_times_as_much_costs_eight_times_as_much(what: str) -> None:
    """With the square it would be 64 times. The bound stands between: what else runs on the machine
    takes from the caches and from a core, and of some tries the least counts.
    """
    small = large = float("inf")
    for _ in range(_TRIES):
        small = min(small, measure(_OF[what], _SIZE // 4).seconds)
        large = min(large, measure(_OF[what], 2 * _SIZE).seconds)
        if large < 24 * small + 0.1:
            return
    pytest.fail(f"{small} and {large} seconds")


@pytest.mark.parametrize(
    ("page", "refused"),
    [
        ("<body>" * MAX_ROOT_TAGS, ""),
        ("<body>" * (MAX_ROOT_TAGS + 1), "tags <html> and <body>"),
        ("<html" + "".join(f" a{i}" for i in range(4000)) + "><p>x", ""),
        ("<html" + "".join(f' a{i}=">"' for i in range(4001)) + ">", "attributes of"),
        ("<font color=1><p>" * 2000, "formatting elements"),
        ("<b>x</b><p>" * 5000, ""),
        ("<a href=x>x</a><p>" * 5000, ""),
        ("<b><i><u>" * 10 + "<p>x" * 4000, ""),
        ("<select></select>" + "<svg></svg>" * 2001, "drawings"),
        ("<svg></svg>" * 3000, ""),
    ],
)
def test_what_is_refused_before_it_is_parsed(page: str, refused: str) -> None:
    body = page.encode()
    if not refused:
        compiled(body)
        return
    with pytest.raises(CostlyPageError, match=refused):
        compiled(body)


@pytest.mark.parametrize("is_last", [True, False])
def test_a_part_of_a_page_is_refused_too(is_last: bool) -> None:
    pieces = IncrementalCompiler(UTF8, URL, BOUNDARY, 1_000_000)
    pieces.add(b"<!doctype html><p>" + b"<html a=1>" * 400)
    with pytest.raises(UndecodableError):
        pieces.take(last=is_last)


def test_behind_a_first_part_only_its_text_goes_on() -> None:
    pieces = IncrementalCompiler(UTF8, URL, BOUNDARY, 1_000_000)
    pieces.add(b"<!doctype html><html><body><p>" + b"first</p><p>" * 400)
    assert pieces.take() is not None
    pieces.add(b"<body a=1>" * 400 + b"<img src=//pixel.test/p>second")
    rest = pieces.take(last=True)
    assert rest is not None and rest.stripped
    assert b"second" in rest.page.body and b"pixel" not in rest.page.body


def test_pages_within_attributes_are_bounded() -> None:
    page = b"<iframe srcdoc='<p>x'></iframe>" * 600 + b"<p>y"
    found = compile_page(page, UTF8, URL, BOUNDARY)
    assert len([gate for gate in found.gates if gate.needs]) == 100


_NAMES = ("b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u")
_FORMATTING = re.compile(rf"<(?:{'|'.join(_NAMES)})(?=[\s/>])".encode())


@given(
    pieces=st.lists(
        st.sampled_from(
            (*(f"<{name}" for name in _NAMES),
             ">", "/", " ", "\t", "\n", "\v", "\f", "\r", "<", "<img", "x", "</b>", "<span>")
        ),
        max_size=20,
    )
)  # fmt: skip
def test_no_formatting_element_is_left_out_of_the_first_count(pieces: list[str]) -> None:
    page = "".join(pieces).encode()
    assert may_format(page) >= len(_FORMATTING.findall(page))
