"""A page that is compiled block by block is the page that is compiled as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.categories import Category
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor
from proxy.html import Boundary, Page, UndecodableError, block_ends, blocks, compile_page
from proxy.html.block_compile import block_of
from proxy.html.block_ends import surroundings_behind
from proxy.html.block_memory import BlockMemory, NoBlock
from proxy.html.blocks import compile_by_blocks
from tests.html.fragments import Written, page
from tests.html.pipeline import BOUNDARY, URL, UTF8, owners

_OTHER_URL = "https://www.example.com/elsewhere"
_PLAIN = tuple(f"<p>{word} and more of it</p>\n" for word in ("one", "two", "three", "four"))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few bytes, in pages of a few: as many ends as there may be."""
    monkeypatch.setattr(block_ends, "LEAST_BYTES", 8)
    monkeypatch.setattr(block_ends, "_ONE_OF", 1)
    monkeypatch.setattr(blocks, "_LEAST_PAGE", 0)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The pages that are compiled as a whole."""
    found: list[bytes] = []

    def compiled(body: bytes, *arguments: object) -> Page:
        found.append(body)
        return compile_page(body, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks, "compile_page", compiled)
    yield found


def _fresh() -> Boundary:
    return Boundary(own=BOUNDARY.own, index=BOUNDARY.index, amend_policy=BOUNDARY.amend_policy)


def _compiled(
    written: Written, url: str, boundary: Boundary, memory: BlockMemory | None
) -> Page | str:
    try:
        if memory is None:
            return compile_page(written.body, written.content_type, url, boundary)
        return compile_by_blocks(written.body, written.content_type, url, boundary, memory)
    except UndecodableError as error:
        return str(error)


def _assert_same(found: Page | str, expected: Page | str) -> None:
    if isinstance(found, str) or isinstance(expected, str):
        assert found == expected
        return
    for one in fields(Page):
        assert getattr(found, one.name) == getattr(expected, one.name), one.name


_SHARED = _fresh()
_MEMORY = BlockMemory(2**20)
"""Of all examples: what one of them left behind must be true of the next."""


@given(
    parts=st.lists(st.tuples(page(), st.sampled_from(_PLAIN)), min_size=1, max_size=5),
    url=st.sampled_from((URL, _OTHER_URL)),
)
def test_any_page(parts: list[tuple[Written, str]], url: str) -> None:
    first = parts[0][0]
    plain = "".join(_PLAIN).encode(first.codec)
    body = plain.join(
        one.body + text.encode(first.codec) for one, text in parts if one.codec == first.codec
    )
    changed = body.replace(b"one", b"another").replace(b"pixel", b"nobody")
    for each in (body, body, changed, changed, body):
        written = replace(first, body=each)
        expected = _compiled(written, url, _fresh(), None)
        _assert_same(_compiled(written, url, _SHARED, _MEMORY), expected)


_ACROSS = {
    "a vendor's script": (
        "<script src=//pixel.test/t.js></script>",
        "<img src=//pixel.test/i>",
    ),
    "a function that another block calls": (
        "<script>function own(){return 1} pixelq(own())</script>",
        "<script>own()</script>",
    ),
    "a property that another block calls": (
        "<script>window.app={};app.go=function(){pixelq(1)}</script>",
        "<p onclick='app.go()'>go</p>",
    ),
    "a hint for a host that the page asks": (
        "<link rel=preconnect href=//nobody.test><link rel=preload as=script href=//pixel.test/x>",
        "<script src=//nobody.test/a.js></script>",
    ),
    "two readings": (
        "<noscript><p><img src=//pixel.test/a></p></noscript>",
        "<object data=//pixel.test/o><p>text</p></object>",
    ),
    "a form around": (
        "<form action=//pixel.test/f><p>field</p>",
        "<input formaction=//pixel.test/g></form>",
    ),
    "elements around": ("<main><section><div><p>x</p>", "<iframe src=//video.test/1></iframe>"),
    "a frame with a placeholder": ("<iframe src=//video.test/1 title=Film></iframe>", "<p>y</p>"),
    "a mark": ("<meta name=page-audience content=patient>", "<p>z</p>"),
    "a declaration": ("<div data-consent-declaration></div>", "<p>z</p>"),
    "an own frame": ("<iframe src=/own></iframe>", "<iframe src=relative></iframe>"),
    "a drawing": ("<svg><title>x</title><image href=//pixel.test/i /></svg>", "<p>y</p>"),
    "a table": ("<table><tr><td><img src=//pixel.test/i></table>", "<p>y</p>"),
    "a style of relative addresses": ("<p style='background:url(x.png)'>", "<p>y</p>"),
    "a nested page": ("<iframe srcdoc='<img src=//pixel.test/n>'></iframe>", "<p>y</p>"),
}
_AS_A_WHOLE = {
    "a base": ("<base href=//nobody.test>", "<img src=x>"),
    "a later root": ("<p>x</p>", "<html background=//pixel.test/b>"),
    "a later body": ("<p>x</p>", "<body background=//pixel.test/b>"),
    "the end of the body, and more": ("<p>x</p>", "</body></html>"),
    "a script that hides the page": (
        "<script>/*anti-flicker*/document.documentElement.style.opacity=0</script>",
        "<script src=//pixel.test/t.js></script>",
    ),
    "a style that hides the page": (
        "<style class=anti-flicker>body{opacity:0!important}</style>",
        "<script src=//pixel.test/t.js></script>",
    ),
    "a marked link": ("<a data-consent-link href=/own>own</a>", "<p>x</p>"),
    "a selected option": ("<select><button><selectedcontent></select>", "<p>x</p>"),
    "formatting left open": ("<div><b>bold<p>more</p></div>", "<p>y</p></b>"),
    "a frameset": ("<frameset>", "<frame src=//pixel.test/f>"),
    "a drawing that a tokenizer reads on": ("<svg><style/></svg>", "<img src=//pixel.test/i>"),
    "a drawing of which a tag ends it": ("<svg><g><p>x</p>", "<p>y</p>"),
}


def _page(parts: tuple[str, str], number: int) -> bytes:
    """A page of a site: what all have around what this one has."""
    own = "".join(f"<p>{number} {n} of the page's own</p>\n" for n in range(4))
    first, second = parts
    plain = "".join(_PLAIN) * 4
    return (
        f"<!doctype html><html lang=en><head><title>Site</title></head><body><header>{plain}"
        f"</header>\n{first}\n{plain}<main>{own}</main>\n{plain}{second}\n{plain}</body></html>"
    ).encode()


@pytest.mark.parametrize(
    ("parts", "by_blocks"),
    [
        *(pytest.param(parts, True, id=name) for name, parts in _ACROSS.items()),
        *(pytest.param(parts, False, id=name) for name, parts in _AS_A_WHOLE.items()),
    ],
)
def test_table(parts: tuple[str, str], by_blocks: bool, whole: list[bytes]) -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for number in range(4):
        body = _page(parts, number)
        written = Written(body, UTF8, "utf-8")
        expected = _compiled(written, URL, _fresh(), None)
        _assert_same(_compiled(written, URL, boundary, memory), expected)
    assert (len(whole) < 4) == by_blocks


def test_only_what_is_new_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[tuple[int, int]] = []

    def counted(*arguments: object, is_last: bool) -> object:
        compiled.append(arguments[1])  # type: ignore[arg-type]
        return block_of(*arguments, is_last=is_last)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks, "block_of", counted)
    boundary, memory = _fresh(), BlockMemory(2**20)
    for number in range(4):
        compiled.clear()
        body = _page(_ACROSS["a vendor's script"], number)
        compile_by_blocks(body, UTF8, URL, boundary, memory)
    new = body.index(b"<main>"), body.index(b"</main>")
    assert all(start <= new[1] and new[0] <= end for start, end in compiled)
    assert 0 < sum(end - start for start, end in compiled) < len(body) / 2


def test_blocks_are_those_of_one_site(whole: list[bytes]) -> None:
    memory = BlockMemory(2**20)
    body = _page(_ACROSS["a vendor's script"], 1)
    for _ in range(2):
        compile_by_blocks(body, UTF8, URL, _fresh(), memory)
    assert len(whole) == 2


def test_relative_addresses_are_those_of_one_page() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    body = _page(("<iframe src=collect/x></iframe>", "<iframe src=/own></iframe>"), 1)
    for url in (URL, URL, "https://www.example.com/other", "https://www.example.com/", URL):
        found = compile_by_blocks(body, UTF8, url, boundary, memory)
        _assert_same(found, compile_page(body, UTF8, url, _fresh()))
    assert found.frames == ("/dir/collect/x", "/own")


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("<p>x<div><p>a</p>", "body div"),
        ("<form><div><p></p>", "body form div"),
        ("<x-y><p></p>", "body x-y"),
        ("<!doctype html><html><head><title>x</title>", "head"),
        ("<!doctype html><html><head><title>x</title></head>", None),
        ("<!--x--> <!doctype html><p>a<table></table><span>b</span>", "body"),
        ("<!--x--><p>a<table></table><span>b</span>", "body p"),
        ("<div>", None),
        ("<div></section>", None),
        ("<p><b>x</p>", None),
        ("<p><b>x", None),
        ("<table><tr><td><p></p>", None),
        ("<table><form></table><p></p>", None),
        ("<form><div></form><p></p>", None),
        ("<html><body><p></p></body>", None),
        ("<script>'<p></p>", None),
        ("<!-- <p></p>", None),
        ("<select><option>x</option>", None),
        ("<head><template><p></p>", None),
        ("<head><noscript><link>", None),
        ("<noscript><p>x</p>", None),
        ("<p>x</p><noscript><div></noscript>", None),
        ("<svg><g></g>", None),
        ("<p>a</p><object><p>b</p>", None),
        ("<a href=x><p>b</p>", None),
        ("<div>" * 80 + "<p>a</p>", None),
    ],
)
def test_where_a_block_may_end(text: str, tags: str | None) -> None:
    found = surroundings_behind(None, text)
    assert (None if found is None else " ".join(found.tags)) == tags


def test_hints_are_for_whom_other_blocks_ask() -> None:
    parts = (
        "<link rel=preconnect href=//shared.test>",
        "<iframe src=//shared.test/maps/x></iframe>",
    )
    vendor = Vendor("maps", "Maps", Category.FUNCTIONAL, paths=("shared.test/maps/*",))
    boundary = Boundary(own=BOUNDARY.own, index=VendorIndex([vendor]))
    memory = BlockMemory(2**20)
    for number in range(4):
        body = _page(parts, number)
        found = compile_by_blocks(body, UTF8, URL, boundary, memory)
        _assert_same(found, compile_page(body, UTF8, URL, boundary))
        assert [gate.needs for gate in found.gates] == [owners("maps")] * len(found.gates)


def test_the_memory_is_bounded() -> None:
    memory = BlockMemory(100_000)
    for number in range(10_000):
        memory.keep(number, NoBlock.GOES_ON)
    assert sum(memory.get(number) is not None for number in range(10_000)) <= 1000
    assert memory.get(9_999) is NoBlock.GOES_ON


def test_what_is_asked_for_stays() -> None:
    memory = BlockMemory(100_000)
    memory.keep("often", NoBlock.UNSUITED)
    for number in range(10_000):
        memory.keep(number, NoBlock.GOES_ON)
        assert memory.get("often") is NoBlock.UNSUITED
