"""A block that is patched from one that is known is the block that is compiled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
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
    last_page,
)
from proxy.html.block_compile import BlockReading, block_of
from proxy.html.block_memory import Block, BlockMemory, KnownBlock
from proxy.html.block_patch import PageOfSite, patched
from proxy.html.blocks import compile_by_blocks
from proxy.html.page_cut import cut_at
from proxy.html.source import read_source
from proxy.html.tool_signs import tool_signs
from tests.html.pipeline import BOUNDARY, URL, UTF8
from tests.html.words import NASTY, PLAIN, WORDS

_OTHER_URL = "https://www.example.com/elsewhere/"
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
                "#pixel-box",
                "img[src*='/pixel-made/']",
                "div.pixel-live[data-x='on']",
            ),
        ),
        Vendor("video", "Video", Category.FUNCTIONAL, hosts=("video.test",)),
    ]
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few bytes, in pages of a few."""
    monkeypatch.setattr(block_ends, "LEAST_BYTES", 24)
    monkeypatch.setattr(block_ends, "_ONE_OF", 1)
    monkeypatch.setattr(last_page, "_HEAD", 8)
    monkeypatch.setattr(blocks, "_LEAST_PAGE", 0)
    monkeypatch.setattr(block_runs, "_LEAST_BLOCKS", 2)


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What is not known of a page, and is cut into blocks anew."""
    found: list[bytes] = []

    def counted(begin: int, ends: list[int], *arguments: object) -> object:
        found.append(arguments[0].body[begin : ends[-1]])  # type: ignore[attr-defined]
        return cut_at(begin, ends, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks, "cut_at", counted)
    yield found


def _fresh() -> Boundary:
    return Boundary(own=BOUNDARY.own, index=_INDEX, amend_policy=BOUNDARY.amend_policy)


def _compiled(body: bytes, url: str, boundary: Boundary, memory: BlockMemory | None) -> Page | str:
    try:
        if memory is None:
            return compile_page(body, UTF8, url, boundary)
        page = compile_by_blocks(body, UTF8, url, boundary, memory)
    except UndecodableError as error:
        return str(error)
    assert page.tools in {None, tool_signs(body)}
    return page


_SITES = tuple("".join(f"<p>{name} {n} is the site's</p>\n" for n in range(6)) for name in "abc")


def _page(own: str, other: str = "") -> bytes:
    before, between, behind = _SITES
    return (
        f"<!doctype html><html lang=en><head><title>Site</title></head><body>{before}<p>own</p>\n"
        f"{own}\n<p>end</p>\n{between}{other}\n{behind}</body></html>"
    ).encode()


def _quirky(own: str) -> bytes:
    """The same on a page without a doctype."""
    return _page(own).partition(b">")[2]


_MEMORY, _SHARED = BlockMemory(2**20), _fresh()


@st.composite
def _pages(draw: st.DrawFn) -> list[bytes]:
    """Pages that have the same pieces, with other words in them."""
    own, other = (
        "\n".join(draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=2))) for _ in range(2)
    )
    pages: list[bytes] = []
    words = st.sampled_from(NASTY) | WORDS | st.sampled_from(_WORDS_OF_NOTE)
    at_most_one = draw(st.booleans())
    last = [draw(words) for _ in range((own + other).count("{w}"))]
    for _ in range(4):
        change = draw(st.integers(0, max(0, len(last) - 1)))
        last = [
            draw(words) if number == change or not at_most_one else word
            for number, word in enumerate(last)
        ]
        left = iter(last)
        pages.append(_page(*(_with_words(piece, left) for piece in (own, other))))
    return [pages[0], pages[0], *pages]


_WORDS_OF_NOTE = (
    "pixel-post", "pixel-box", "/pixel-made/x", "consent-probe", "consent-end1", "onx=own",
    "data-bg=", "data-consent-link", "__NEXT_DATA__", "/body", "/assets/a.js", "/collect/",
)  # fmt: skip


def _with_words(piece: str, words: Iterator[str]) -> str:
    first, *parts = piece.replace("{{", "{").replace("}}", "}").split("{w}")
    return first + "".join(next(words) + part for part in parts)


_NOT_COMPARED = {"asked", "zones", "pattern"}


def _patched_alike(
    known: KnownBlock, at: int, page: PageOfSite, memory: BlockMemory
) -> KnownBlock | None:
    """What is patched; and that a compiler says the same of it, if it says anything."""
    found = patched(known, at, page, memory)
    if found is None:
        return None
    block, key = found.block, found.key
    reading = BlockReading(page.url, page.boundary, key.way)
    source, span = read_source(page.body, UTF8), (at, at + len(block.text))
    made = block_of(source, span, key.around, reading, is_last=key.is_last).found
    if isinstance(made, Block):
        for one in fields(Block):
            if one.name not in _NOT_COMPARED:
                assert getattr(block, one.name) == getattr(made, one.name), one.name
    return found


@settings(suppress_health_check=list(HealthCheck))
@given(pages=_pages(), url=st.sampled_from((URL, _OTHER_URL)))
def test_what_is_patched_is_what_is_compiled(pages: list[bytes], url: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(last_page, "patched", _patched_alike)
        for body in pages:
            assert _compiled(body, url, _SHARED, _MEMORY) == _compiled(body, url, _fresh(), None)


_PATCHED = {
    "a text": "<p>Hello {w}</p>",
    "a comment": "<p>a</p><!-- made in {w} ms -->",
    "a token": "<form action=/buy><input type=hidden name=t value='{w}'></form>",
    "a nonce": "<script nonce='{w}'>own()</script>",
    "a query of a vendor's": "<img src='//pixel.test/i?r={w}'>",
    "an own script": "<script src='/assets/{w}.js'></script>",
    "an own image, and its text": "<img src=\"/media/{w}.jpg\" alt='{w}'>",
    "an own style": "<link rel=stylesheet href='/{w}.css'>",
    "beside what is closed": "<p>{w}</p><script src=//pixel.test/x></script><p>{w}</p>",
    "beside an inline script": "<p>{w}</p><script>function f(){} pixelq(f())</script>",
    "beside a framework's comment": "<p>{w}<!-- -->2</p>",
    "beside a <noscript>": "<p>{w}</p><noscript><img src=//pixel.test/x></noscript>",
}
_COMPILED = {
    "an image of another": "<img src='//{w}.test/x.jpg'>",
    "an own image in a place": "<img src='/pixel-made/{w}.jpg'>",
    "a relative address": "<img src='{w}.jpg'>",
    "a frame": "<iframe src='/{w}'></iframe>",
    "a hint": "<link rel=preload href='/{w}.css' as=style>",
    "a script's text": "<script>var a='{w}'</script>",
    "beside a framework's mark": "<p data-reactroot {w}>",
    "a tag": "<{w}></{w}>",
    "an attribute": "<p {w}=1></p>",
    "what is read twice": "<p>{w}</p><noscript><p><img src=//pixel.test/a></p></noscript>",
    "a title": "<title>{w}</title>",
    "more than words": "<p>{w}<b>{w}</b><i>x</i{w}></p>",
}


@pytest.mark.parametrize(
    ("own", "is_patched"),
    [
        *(pytest.param(own, True, id=name) for name, own in _PATCHED.items()),
        *(pytest.param(own, False, id=name) for name, own in _COMPILED.items()),
    ],
)
def test_table(own: str, is_patched: bool, cuts: list[bytes]) -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for word in ("one", "one", "two", "three4"):
        cuts.clear()
        body = _page(own.replace("{w}", word))
        found = _compiled(body, URL, boundary, memory)
        assert found == _compiled(body, URL, _fresh(), None)
    assert bool(cuts) != is_patched


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("<img src='/{w}.gif'>", ("a", "/pixel.test/i")),
        ("<img src='/{w}/i.gif'>", ("a", "pixel-made")),
        ("<script src='/{w}/i.js'></script>", ("a", "/www.example.com")),
        ("<p id='{w}'>x</p>", ("a", "pixel-box")),
        ("<p id='{w}'>x</p>", ("a", "yc-o")),
        ("<p id='{w}'>x</p>", ("a", "__NEXT_DATA__")),
        ("<p>x {w}</p><script>function own(){return 1} pixelq(1)</script>", ("a", "onclick=own")),
        ("<p onclick='a({w})'>{w}</p><script>function own(){} pixelq(1)</script>", ("a", "own()")),
        ("<p title='a' {w}'b'>x</p>", ("data-a=", "data-bg=")),
        ("<p>data-bg{w}//pixel.test/</p><p data-bg='//pixel.test/'>x</p>", ("a", "=")),
        ("<script data-a='{w}'>own()</script><script>function own(){} pixelq(1)</script>",
         ("a", "b")),
        ("<script src='/{w}.js'></script><script>function own(){return 1} pixelq(1)</script>",
         ("a", "own")),
        ("<!--{w}--><p>x</p>", ("a", "--a")),
        ("<!-- {w}><img src=//pixel.test/x> --><p>x</p>", ("--a", "--")),
        ("<!--{w}><img src=//pixel.test/x> --><p>x</p>", ("-a", "-")),
        ("<p>x {w}</p>", ("a", "Cookiebot.renew")),
        ("<p id='termly-{w}'>x</p>", ("a", "cky-b")),
        ("<!--{w}><img src=//pixel.test/x>-->", ("a", "")),
        ("<!--{w}-><img src=//pixel.test/x>-->", ("a", "")),
        ("<!-- a-{w}-><img src=//pixel.test/x>-->", ("a", "")),
        ("<!-- a-{w}-!><img src=//pixel.test/x>-->", ("a", "")),
        ("<svg><use href='{w}#a'/></svg>", ("/icons", "//pixel.test/x")),
        ("<svg><feImage href='/{w}'></feImage></svg>", ("icons", "/pixel.test/x")),
        ("<svg><linearGradient href='/{w}'/></svg>", ("icons", "/pixel.test/x")),
        ("<p title=pixel-made>x</p><img src='/pixel&#45;{w}/x.jpg'>", ("own", "made")),
        ("<p title=pixel-box>x</p><p id='{w}'>x</p>", ("own", "Pixel-Box")),
        ("<div data-x='{w}' title='<' class=pixel-live></div>", ("off", "on")),
        ("<p onclick=a()>a {w}'b</p><p>own()</p>'<script>function own(){} pixelq(1)</script>",
         ("z", "onx=")),
        ("<p>&{w};</p>", ("lt", "gt")),
        *(
            (f"<svg><{tag} href='/{{w}}#x' /></svg>", ("a", "/pixel.test/i"))
            for tag in ("use", "feImage", "pattern", "image", "link", "script", "base")
        ),
        ("<svg><source srcset='/{w}'/><input src='/{w}'/></svg>", ("a", "/pixel.test/i")),
        ("<img src='//pixel.test/i?{w}'>", ("v=1", "w=300")),
        ("<img src='//pixel.test/i?a&amp;{w}&#x26;h=20'>", ("v=30", "w=30")),
        ("<img alt=x src='//nobody.test/x?{w}'>", ("a", "w=100")),
        ("<div data-iframe='//video.test/x'>&#{w};</div>", ("65", "32")),
        ("<div data-iframe='//video.test/x'>&{w};</div>", ("amp", "nbsp")),
        ("<p>{w}</p><div data-consent-declaration></div>", ("a", "bcd")),
        ("<!{w}a><img src=//pixel.test/x>-->", ("--", "-x")),
        ("<a href=x {w}'//pixel.test/x'>y</a>", ("title=", "ping=")),
        ("<p id='yc&#45;{w}'>x</p>", ("xx", "o")),
        ("<p data-src='{w}'>x</p>", ("/own", "//pixel.test/x")),
        ("<link rel=stylesheet href=\"data:text/css,/*?*/@import '{w}'\">", ("/a", "//pixel.test")),
        ("<meta name=x http-equiv=refresh content='0; {w}'>", ("url=/a", "url=//pixel.test/x")),
        ("<img src='//pixel.test/x?r={w}&amp;b={w}'>", ("a", "a,w_100,h_50")),
    ],
)  # fmt: skip
def test_words_of_note(own: str, words: tuple[str, str]) -> None:
    for (first, second), page in product((words, words[::-1]), (_page, _quirky)):
        boundary, memory = _fresh(), BlockMemory(2**20)
        for word in (first, first, second, first):
            body = page(own.replace("{w}", word))
            found = _compiled(body, URL, boundary, memory)
            assert found == _compiled(body, URL, _fresh(), None)


@pytest.mark.parametrize("behind", [0, 4000, 4096, 5000])
def test_the_foot_is_looked_for_in_the_last_bytes(behind: int) -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for word in ("a", "a", "bcd", "e" * 100, "a"):
        body = _page("<p>x</p>") + f"<!-- {'x ' * (behind // 2)}{word} -->".encode()
        found = _compiled(body, URL, boundary, memory)
        assert found == _compiled(body, URL, _fresh(), None)


def test_an_address_is_one_of_the_page_that_has_it() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    own = "<p>{w}</p><iframe src='e'></iframe><iframe src=//video.test/e></iframe>"
    for url in (URL, URL, _OTHER_URL, "https://www.example.com/a/b/c", URL):
        for word in ("one", "two"):
            body = _page(own.replace("{w}", word))
            found = _compiled(body, url, boundary, memory)
            assert found == _compiled(body, url, _fresh(), None)


def test_a_page_ends_elsewhere() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    first = _page("<p>Hello one</p>")
    for end in block_ends.block_ends(first):
        second = first[:end].replace(b"one", b"three").replace(b"own", b"owned")
        for body in (first, first, second, second + b"and <p>more</p>", second):
            found = _compiled(body, URL, boundary, memory)
            assert found == _compiled(body, URL, _fresh(), None)


def test_a_block_ends_where_a_tag_begins() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    body = _page("<p>its own</p>")
    for _ in range(2):
        compile_by_blocks(body, UTF8, URL, boundary, memory)
    (known,) = [one for one in memory._after.values() if b"its own" in one.block.text]
    start, end = body.index(known.block.text), body.index(known.block.text) + len(known.block.text)
    new = body[start:end].replace(b"its", b"another")
    for behind, is_patched in ((body[end:], True), (b"and <p>more</p>", False), (b"", False)):
        page = PageOfSite(body[:start] + new + behind, URL, boundary, "utf-8")
        assert (patched(known, start, page, memory) is not None) == is_patched


def test_the_places_of_our_own_markup_move() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for word in ("a", "a", "bcd", "e", "fghi"):
        body = _page("<p>x</p>").replace(b"<html", b"<!--%b--><html" % word.encode())
        body = body.replace(b"</head>", b"</head><!--%b-->" % word.encode())
        found = _compiled(body, URL, boundary, memory)
        assert found == _compiled(body, URL, _fresh(), None)


def test_more_stands_behind_the_last_block() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for word in ("a", "a", "bcd", "e"):
        body = _page("<p>x</p>") + f"<!-- {word} -->".encode()
        for page in (body, body + b"<img src=//pixel.test/x>"):
            found = _compiled(page, URL, boundary, memory)
            assert found == _compiled(page, URL, _fresh(), None)


def test_what_is_known_ends_where_a_tag_begins() -> None:
    script = b"<script>function own(){return 1} pixelq(1)</script>\n"
    first = _page("<p>x</p>").replace(b"</body>", script + b"</body>")
    for end in block_ends.block_ends(first)[:-1]:
        boundary, memory = _fresh(), BlockMemory(2**20)
        second = first[:end] + b"onx=own " + first[end:]
        for body in (first, first, second, first, second, second):
            found = _compiled(body, URL, boundary, memory)
            assert found == _compiled(body, URL, _fresh(), None)


def test_what_is_patched_is_not_kept() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for word in ("one", "one", "two", "three", "four"):
        compile_by_blocks(_page(f"<p>Hello {word}</p>"), UTF8, URL, boundary, memory)
    size = memory._size
    for number in range(100):
        compile_by_blocks(_page(f"<p>Hello {number}</p>"), UTF8, URL, boundary, memory)
    assert memory._size == size


def test_what_cannot_be_patched_is_not_tried_for_ever(
    monkeypatch: pytest.MonkeyPatch, cuts: list[bytes]
) -> None:
    tried: list[int] = []

    def counted(*arguments: object) -> object:
        tried.append(1)
        return patched(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(last_page, "patched", counted)
    boundary, memory = _fresh(), BlockMemory(2**20)
    for number in range(30):
        compile_by_blocks(_page(f"<style>{number}</style>"), UTF8, URL, boundary, memory)
    assert 0 < len(tried) < 20
