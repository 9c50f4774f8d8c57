"""A page that is compiled block by block is the page that is compiled as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from importlib import import_module
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.categories import Category
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor
from proxy.html import (
    Boundary,
    Page,
    UndecodableError,
    block_ends,
    block_runs,
    blocks,
    compile_page,
    frameworks,
    last_page,
    page_cut,
    parse_cost,
)
from proxy.html.block_compile import block_of
from proxy.html.block_ends import surroundings_behind
from proxy.html.block_memory import Block, BlockMemory, NoBlock
from proxy.html.blocks import compile_by_blocks
from proxy.html.page_cut import cut_at
from proxy.html.tool_signs import tool_signs
from tests.html.fragments import Written, page
from tests.html.pipeline import BOUNDARY, URL, UTF8, owners

_OTHER_URL = "https://www.example.com/elsewhere"
_PLAIN = tuple(f"<p>{word} and more of it</p>\n" for word in ("one", "two", "three", "four"))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few bytes, in pages of a few: as many ends as there may be."""
    monkeypatch.setattr(block_ends, "LEAST_BYTES", 8)
    monkeypatch.setattr(block_ends, "_ONE_OF", 1)
    monkeypatch.setattr(last_page, "_HEAD", 8)
    monkeypatch.setattr(blocks, "_LEAST_PAGE", 0)
    monkeypatch.setattr(block_runs, "_LEAST_BLOCKS", 2)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The pages that are compiled as a whole."""
    found: list[bytes] = []

    def compiled(body: bytes, *arguments: object, **known: object) -> Page:
        found.append(body)
        return compile_page(body, *arguments, **known)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks, "compile_page", compiled)
    yield found


_INDEX = VendorIndex(
    [
        Vendor(
            "pixel",
            "Pixel",
            Category.ADVERTISING,
            hosts=("pixel.test", "*.pixel.test"),
            paths=("/collect/*",),
            inline=("pixelq(",),
            places=(
                ".pixel-post",
                "html:has(script[src*='pixel.test']) #pixel-box",
                "p + .pixel-first",
                "into:pixelq.into(",
            ),
        ),
        Vendor("video", "Video", Category.FUNCTIONAL, hosts=("video.test",)),
    ]
)


def _fresh() -> Boundary:
    return Boundary(own=BOUNDARY.own, index=_INDEX, amend_policy=BOUNDARY.amend_policy)


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
        if one.compare:
            assert getattr(found, one.name) == getattr(expected, one.name), one.name
    assert found.tools in {None, tool_signs(found.body)}


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
    for each in (body, body, body, body, changed, changed, body):
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
    "one name, and what is not behind it": (
        "<script>function track2(){pixelq(1)}</script>",
        "<p onclick=track2>x</p>\n<p>y</p>\n<p>z</p>\n<p onclick=(1)>z</p>",
    ),
    "a place of which another block has the word": (
        "<p>pixel-post</p>",
        "<div class='pi&#120;el-post'></div>",
    ),
    "a script that is held back": (
        "<script :src=//pixel.test/t.js></script>",
        "<p data-x=1>y</p>",
    ),
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
    "a table in a form that the tree has elsewhere": (
        "<form><p>a</p><table><div><p>b</p>",
        "<td background=//pixel.test/b></table></form>",
    ),
    "an element of the name of our own": (
        "<form><i></i><!--consent-probe--><table><tr>",
        "<td background=//pixel.test/b></table>",
    ),
    "a drawing that is looked at for another one": (
        "<svg/><p>x</p>",
        "<svg><p>a</svg><form action=//pixel.test/f><p>x</p></form>",
    ),
    "a text in a drawing, and a section elsewhere": (
        "<script>//<![CDATA[\n//]]></script>",
        "<svg><title>a &gt; b &lt; c</title></svg>\n<p>x</p>\n"
        "<iframe srcdoc='<svg><desc><![CDATA[x><img src=//pixel.test/n>]]></desc></svg>'></iframe>",
    ),
    "many names of attributes": (
        f"<i {' '.join(f'data-{n}-src=x' for n in range(40))}></i>",
        f"<i {' '.join(f'data-{n}-src=x' for n in range(40, 80))}></i>"
        "<svg><set from=//pixel.test/x /></svg>",
    ),
    "an element of the foot's name": ("<consent-slot></consent-slot><p>x</p>", "<p>y</p>"),
    "frames of two readings": (
        "<noscript><!-- </noscript><iframe src=/a></iframe> --></noscript><p>x</p>",
        "<iframe src=/b></iframe>",
    ),
    "a place by what stands elsewhere": (
        "<script src=//pixel.test/t.js></script>",
        "<div id=pixel-box></div>",
    ),
    "a place by what stands beside it": (
        "<p>x</p>",
        "<div class=pixel-first></div>",
    ),
    "a script that fills an element": (
        "<div id=filled></div>",
        "<script>pixelq.into('#filled')</script>",
    ),
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


@pytest.mark.parametrize(
    "body",
    [
        # An end tag that was ignored, and a later form: the outer one is never ended.
        "<p>x</p><form><table><tr><td></form><form></table><p>x</p>{}</form><p>y</p>",
        # To a search of all bytes a <noscript> without anything in it.
        "<p>x</p><!-- <noscript> --></noscript><p>x</p>{}<a ping=//pixel.test/p>a</a>",
        # Where its body begins is not agreed, that it is a document is.
        "<title>x</title>{}<noscript><body a></noscript><body b><p>x</p>",
    ],
)
def test_pages_without_an_end(body: str) -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    filler = "".join(f"<link rel=author href=/{n}>\n" for n in range(8))
    for number in range(4):
        page = body.format(filler) + f"<p>{number}</p>"
        written = Written(page.encode(), UTF8, "utf-8")
        expected = _compiled(written, URL, _fresh(), None)
        _assert_same(_compiled(written, URL, boundary, memory), expected)


_OWN = "".join(f"<p>{n} of the page's own</p>\n" for n in range(4))


def _pages_with(*parts: str, known: str = "") -> list[bytes]:
    """Pages that differ in one place: what all have there, three times, then what each has."""
    before, behind, last = ("".join(f"<p>{name} {n}</p>\n" for n in range(16)) for name in "abc")
    after = f"<p>end</p>{known}{behind}</b>{last}"
    return [
        f"<!doctype html><body><header>{before}</header>\n{own}\n{after}".encode()
        for own in (_OWN, _OWN, _OWN, *parts)
    ]


_KNOWN = "<iframe src=//video.test/1></iframe><form action=//pixel.test/f></form>"


_INSTEAD = {
    "an element that is left open": f"{_OWN}<div><p>x</p>",
    "an element that is ended": f"{_OWN}</header><p>x</p>",
    "a form that is left open": f"<form action=//pixel.test/f><p>x</p>{_OWN}",
    "formatting that is left open": f"{_OWN}<b>x",
    "a table that is left open": f"{_OWN}<table><tr><td>",
    "a comment that is left open": f"{_OWN}<!-- ",
    "a script that is left open": f"{_OWN}<script>pixelq(1)",
    "a frame of a vendor": f"<iframe src=//video.test/1></iframe>{_OWN}",
    "a framework's mark": f"<div data-reactroot></div>{_OWN}",
    "a framework's comment": f"<p>a <!-- -->2</p>{_OWN}<iframe src=//video.test/1></iframe>",
    "a second reading": f"<noscript><p><img src=//pixel.test/a></p></noscript>{_OWN}",
    "a plain <noscript>": f"<NOSCRIPT><IMG src=//pixel.test/a></NOSCRIPT>{_OWN}",
    "a place of content": f"<div class=pixel-post></div>{_OWN}",
    "a place by what stands beside it": f"<p>x</p><div class=pixel-first></div>{_OWN}",
    "a base": f"<base href=//nobody.test>{_OWN}",
    "nothing": "",
    "what stood elsewhere": "<p>b 3</p>\n<p>b 4</p>\n<p>b 5</p>\n",
    "less": _OWN[: len(_OWN) // 2],
}


@pytest.mark.parametrize("own", [pytest.param(own, id=name) for name, own in _INSTEAD.items()])
def test_what_follows_is_not_what_followed(own: str) -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for body in (*_pages_with(own, _OWN, own, _OWN, known=_KNOWN), *_pages_with(own)):
        written = Written(body, UTF8, "utf-8")
        expected = _compiled(written, URL, _fresh(), None)
        _assert_same(_compiled(written, URL, boundary, memory), expected)


def test_a_page_ends_elsewhere() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    (whole, *_) = _pages_with()
    ends = block_ends.block_ends(whole)
    for end in (*ends, *reversed(ends)):
        for body in (whole, whole[:end], whole[:end], whole + b"<p>more</p>"):
            written = Written(body, UTF8, "utf-8")
            expected = _compiled(written, URL, _fresh(), None)
            _assert_same(_compiled(written, URL, boundary, memory), expected)


def test_what_is_new_goes_on_in_what_is_known(whole: list[bytes]) -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    *first, page = _pages_with(f"{_OWN}<b>x")
    for body in first:
        compile_by_blocks(body, UTF8, URL, boundary, memory)
    whole.clear()
    _assert_same(
        compile_by_blocks(page, UTF8, URL, boundary, memory),
        compile_page(page, UTF8, URL, _fresh()),
    )
    assert not whole


@pytest.mark.parametrize(
    "known",
    [
        "<p>nothing of note</p>",
        "<NoScript><IMG src=//pixel.test/a></NoScript>\n<p>x</p>",
        "<noscript><p><img src=//pixel.test/a></p></noscript>\n<p>x</p>",
        "<div data-reactroot></div>\n<p>x</p>",
        "<div class=pixel-post></div>\n<p>x</p>",
    ],
)
def test_known_blocks_are_not_hashed(known: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []

    def counted(begin: int, ends: list[int], *arguments: object) -> page_cut.Cut:
        looked_at.append(ends[-1] - begin)
        return cut_at(begin, ends, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks, "cut_at", counted)
    boundary, memory = _fresh(), BlockMemory(2**20)
    for body in _pages_with(*(f"<p>{'so ' * n}new</p>{_OWN}" for n in range(3)), known=known):
        looked_at.clear()
        compile_by_blocks(body, UTF8, URL, boundary, memory)
    assert 0 < sum(looked_at) < 100


@pytest.mark.parametrize(
    ("name", "modules", "most", "part"),
    [
        ("MAX_NESTED", "compile blocks", 5, "<iframe srcdoc='<img src=//pixel.test/n>'></iframe>"),
        ("MAX_DRAWINGS_BY_SELECT", "scan blocks", 5, "<svg></svg>"),
        ("MAX_REOPENED", "parse_cost", 50, "<!-- <b> --><p>x</p>"),
    ],
)
def test_bounds_are_those_of_the_page(
    name: str, modules: str, most: int, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parse_cost, "_SMALL", 0)
    for module in modules.split():
        monkeypatch.setattr(import_module(f"proxy.html.{module}"), name, most)
    boundary, memory = _fresh(), BlockMemory(2**20)
    few, many = ("".join(f"{part}<p>{n}</p>\n" for n in range(count)) for count in (3, 40))
    for body in _pages_with(few, few, many, many, known=f"{few}<select></select>"):
        written = Written(body, UTF8, "utf-8")
        expected = _compiled(written, URL, _fresh(), None)
        _assert_same(_compiled(written, URL, boundary, memory), expected)


def test_no_sign_stands_across_the_end_of_a_block() -> None:
    body = _page(_ACROSS["a vendor's script"], 1)
    assert all(body[end : end + 1] == b"<" for end in block_ends.block_ends(body)[:-1])
    assert not any(b"<" in mark[1:] for mark in frameworks._MARKS)


def test_only_what_is_new_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[tuple[int, int]] = []

    def counted(*arguments: object, is_last: bool) -> object:
        compiled.append(arguments[1])  # type: ignore[arg-type]
        return block_of(*arguments, is_last=is_last)  # type: ignore[arg-type]

    monkeypatch.setattr(page_cut, "block_of", counted)
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
    (body,) = set(_pages_with(known="<iframe src=collect/x></iframe><iframe src=/own></iframe>"))
    for url in (URL, URL, "https://www.example.com/other", "https://www.example.com/", URL):
        found = compile_by_blocks(body, UTF8, url, boundary, memory)
        _assert_same(found, compile_page(body, UTF8, url, _fresh()))
    assert found.frames == ("/dir/collect/x", "/own")


def test_absolute_addresses_are_those_of_one_origin() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    body = _page(("<iframe src=//video.test/1></iframe>", "<iframe src=/collect/x></iframe>"), 1)
    for origin in ("https://www.example.com", "http://www.example.com", "https://cdn.example.com"):
        for _ in range(2):
            found = compile_by_blocks(body, UTF8, f"{origin}/x", boundary, memory)
            _assert_same(found, compile_page(body, UTF8, f"{origin}/x", _fresh()))


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
        ("<form><p>a</p><table><div><p>b</p>", None),
        ("<form><table><tr><td></form><form></table><p>x</p>", None),
        ("<form><p>x</p></form><form><p>y</p>", "body form"),
        ("<form><i></i><!--consent-probe--><table><tr>", None),
        (f"<!doctype {'x' * 4000}><p>x</p><p>y</p>", None),
        (f"<x-{'y' * 4000}><p>x</p>", None),
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
        memory.keep((number,), NoBlock.GOES_ON)
    assert sum(memory.get((number,)) is not None for number in range(10_000)) <= 1000
    assert memory.get((9_999,)) is NoBlock.GOES_ON


def _held(memory: BlockMemory) -> list[Block]:
    held = {id(one): one for one in (*memory._new.values(), *memory._old.values())}
    return [one for one in held.values() if isinstance(one, Block)]


def test_what_blocks_hold_is_counted() -> None:
    boundary, memory = _fresh(), BlockMemory(100_000)
    shared = f"<p>{'x' * 8_000}</p>"
    for number in range(50):
        frame = f"<iframe src=//video.test/1 width={number}{'1' * 7_000}></iframe>"
        compile_by_blocks(_page((frame, shared), number), UTF8, URL, boundary, memory)
    embeds = [gate.embed for one in _held(memory) for gate in one.gates if gate.embed is not None]
    assert 0 < sum(len(one.width) for one in embeds) <= 100_000


def test_what_blocks_were_asked_is_counted() -> None:
    boundary, memory = _fresh(), BlockMemory(100_000)
    for number in range(50):
        calls = "".join(f"function own{number}of{n}(){{pixelq({n})}}" for n in range(20))
        parts = f"<script>{calls}</script>", "<p onclick=go()>x</p>"
        compile_by_blocks(_page(parts, number), UTF8, URL, boundary, memory)
    assert 0 < sum(len(one.asked) for one in _held(memory)) <= 1000


def test_what_is_asked_for_stays() -> None:
    memory = BlockMemory(100_000)
    memory.keep(("often",), NoBlock.UNSUITED)
    for number in range(10_000):
        memory.keep((number,), NoBlock.GOES_ON)
        assert memory.get(("often",)) is NoBlock.UNSUITED


@pytest.mark.parametrize("answers", [(True,), (True, False), (False, True, True)])
def test_hashes_that_collide_make_no_other_page(
    answers: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken for seen decides whether blocks are worthwhile, never what one of them is."""
    alike = cycle(answers)
    monkeypatch.setattr(BlockMemory, "seen", lambda _, __, hashes: [next(alike) for _ in hashes])
    boundary, memory = _fresh(), BlockMemory(2**20)
    for parts in _ACROSS.values():
        for number in range(3):
            body = _page(parts, number)
            found = compile_by_blocks(body, UTF8, URL, boundary, memory)
            _assert_same(found, compile_page(body, UTF8, URL, _fresh()))
