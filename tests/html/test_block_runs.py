"""A run of blocks is what one block of all their bytes would be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from consent_rules.catalogue.load import catalogue
from consent_rules.matching.vendor_index import VendorIndex
from proxy.html import Boundary, Page, block_ends, block_runs, blocks, compile_page, last_page
from proxy.html.block_compile import BlockReading, block_of
from proxy.html.block_memory import Block, BlockMemory, KnownBlock, NoBlock, Site
from proxy.html.block_runs import run_of
from proxy.html.blocks import compile_by_blocks
from proxy.html.page_cut import blocks_in, cut_at
from proxy.html.page_signs import signs_of, way_of
from proxy.html.source import UndecodableError, read_source
from proxy.html.tool_signs import tool_signs
from tests.html.fragments import Written, page
from tests.html.pipeline import BOUNDARY, URL, UTF8

_INDEX = VendorIndex(catalogue().values())


def _fresh() -> Boundary:
    return Boundary(own=BOUNDARY.own, index=_INDEX, amend_policy=BOUNDARY.amend_policy)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few bytes, in pages of a few."""
    monkeypatch.setattr(block_ends, "LEAST_BYTES", 8)
    monkeypatch.setattr(block_ends, "_ONE_OF", 1)
    monkeypatch.setattr(last_page, "_HEAD", 8)
    monkeypatch.setattr(blocks, "_LEAST_PAGE", 0)
    monkeypatch.setattr(block_runs, "_LEAST_BLOCKS", 3)


_OF_PARTS = {
    "asked", "zones", "parts", "pattern", "is_balanced", "is_counted", "tags", "formatting",
}  # fmt: skip
_PLAIN = "".join(f"<p>{word} and more</p>\n" for word in ("one", "two", "three"))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(written=st.lists(page(), min_size=1, max_size=4), data=st.data())
def test_a_run_is_the_block_of_its_bytes(written: list[Written], data: st.DataObject) -> None:
    first = written[0]
    plain = _PLAIN.encode(first.codec)
    body = plain + b"".join(one.body + plain for one in written if one.codec == first.codec)
    try:
        source = read_source(body, first.content_type)
    except UndecodableError:
        assume(False)
    assume(source.body is body)
    boundary, memory = _fresh(), BlockMemory(2**20)
    site = Site(boundary.identity, "https://www.example.com", source.charset)
    way = way_of(body, [(0, signs_of(body, _INDEX))], _INDEX)
    reading = BlockReading(URL, boundary, way)
    cut = cut_at(0, block_ends.block_ends(body), source, site, memory)
    cut = cut._replace(seen=[True] * len(cut.seen))  # no block is of several pieces
    placed = blocks_in(cut, None, reading, memory)
    assume(not isinstance(placed, NoBlock) and len(placed) > 1)
    assert not isinstance(placed, NoBlock)
    begin = data.draw(st.integers(0, len(placed) - 2))
    end = data.draw(st.integers(begin + 2, len(placed)))
    parts = placed[begin:end]
    run = run_of([KnownBlock(one.key, one.block) for one in parts])
    span, around = (parts[0].start, parts[-1].end), parts[0].key.around
    made = block_of(source, span, around, reading, is_last=end == len(placed)).found
    assume(isinstance(made, Block))
    assert isinstance(made, Block)
    for one in fields(Block):
        if one.name not in _OF_PARTS:
            ours, expected = getattr(run.block, one.name), getattr(made, one.name)
            if one.name in {"marks", "frames"}:
                ours = tuple(dict.fromkeys(ours))
            assert ours == expected, one.name
    # Those that are open around a block are counted with it.
    assert run.block.tags >= made.tags
    assert run.block.formatting >= made.formatting
    assert made.is_balanced or not run.block.is_balanced
    assert run.key.is_last == (end == len(placed))


_PARTS = tuple(
    f"<div><p>{name} {n}</p><img src=//pixel.test/{name}{n}></div>\n"
    for name in "abc"
    for n in range(6)
)


def _page(*parts: str) -> bytes:
    return f"<!doctype html><html lang=en><body>{''.join(parts)}</body></html>".encode()


@pytest.fixture
def stretches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many parts each page was found in."""
    found: list[int] = []
    stretches_of = last_page.stretches_of

    def counted(*arguments: object) -> list[last_page.Stretch]:
        stretches = stretches_of(*arguments)  # type: ignore[arg-type]
        found.append(len(stretches))
        return stretches

    monkeypatch.setattr(blocks, "stretches_of", counted)
    yield found


def _compile(body: bytes, boundary: Boundary, memory: BlockMemory) -> Page:
    page = compile_by_blocks(body, UTF8, URL, boundary, memory)
    assert page.tools in {None, tool_signs(body)}
    return page


@pytest.mark.parametrize("new", ["<p>word{n}</p>", "<p>{many}</p><form><p>x</p></form>"])
def test_what_stays_is_found_at_once(new: str, stretches: list[int]) -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for number in range(8):
        own = new.format(n=number, many="new " * number)
        body = _page(*_PARTS[:6], own, *_PARTS[6:])
        assert _compile(body, boundary, memory) == compile_page(body, UTF8, URL, _fresh())
    assert stretches[-1] <= 5 < max(stretches)


_ASKING = (
    "<link rel=preconnect href=https://www.google.com><p>x</p>\n",
    "<script src=https://www.google.com/recaptcha/api.js></script>\n",
    "<img src=https://www.google.com/pagead/1p-user-list/1/>\n",
    "<script src=https://www.google.com/maps/a.js></script>\n",
)


_DECLARING = ("<div data-consent-declaration><p>x</p></div>\n",) * 2


@pytest.mark.parametrize("parts", [_ASKING[:2], _ASKING, _ASKING[::-1], _DECLARING])
def test_what_is_of_all_of_a_page_is_that_of_its_runs(
    parts: tuple[str, ...], stretches: list[int]
) -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for number in range(8):
        body = _page(f"<p>{'new ' * number}</p>", *_PARTS[:3], *parts, *_PARTS[3:])
        assert _compile(body, boundary, memory) == compile_page(body, UTF8, URL, _fresh())
    assert stretches[-1] <= 5


def test_a_run_with_relative_addresses_is_of_one_page() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    body = _page(*_PARTS[:3], "<iframe src='inner'></iframe>\n", *_PARTS[3:])
    for url in (URL,) * 6 + ("https://www.example.com/else/where",) * 6 + (URL,) * 3:
        found = compile_by_blocks(body, UTF8, url, boundary, memory)
        assert found == compile_page(body, UTF8, url, _fresh())


@st.composite
def _visits(draw: st.DrawFn) -> list[bytes]:
    """Pages of a site in an order: each has most of the site's parts."""
    pages: list[bytes] = []
    for _ in range(draw(st.integers(2, 4))):
        begin, end = sorted((draw(st.integers(0, 18)), draw(st.integers(0, 18))))
        new = draw(st.sampled_from(("", "<p>new</p>\n", "<b>x", "<p>one</p></b>", "<noscript><p>")))
        pages += [_page(*_PARTS[:begin], new, *_PARTS[end:])] * draw(st.integers(1, 5))
    return pages + pages[::-1]


_MEMORY, _SHARED = BlockMemory(2**17), _fresh()


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(pages=_visits())
def test_a_run_that_ends_is_taken_apart(pages: list[bytes]) -> None:
    for body in pages:
        assert _compile(body, _SHARED, _MEMORY) == compile_page(body, UTF8, URL, _fresh())


def test_a_run_says_of_consent_tools_what_its_parts_say() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    link = "<p><a class=cky-banner-element>Cookies</a></p>\n"
    for number in range(8):
        page = _page(*_PARTS[:6], link, *_PARTS[6:12], f"<p>{'new ' * number}</p>", *_PARTS[12:])
        assert _compile(page, boundary, memory).tools == tool_signs(page) or not number


def test_a_run_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Block, ...]] = []

    def counted(parts: list[KnownBlock]) -> KnownBlock:
        made.append(tuple(part.block for part in parts))
        return run_of(parts)

    monkeypatch.setattr(block_runs, "run_of", counted)
    boundary, memory = _fresh(), BlockMemory(2**20)
    for number in range(120):
        parts = _PARTS if number % 4 < 2 else _PARTS[9:]
        _compile(_page(*parts), boundary, memory)
        if number == 60:
            first = len(made)
    assert 0 < len(made) == first == len(set(made))
    assert not any(one.parts for blocks in made for one in blocks)


def test_runs_are_counted() -> None:
    boundary, memory = _fresh(), BlockMemory(2**20)
    for _ in range(6):
        _compile(_page(*_PARTS), boundary, memory)
    (run, *_) = memory._runs.values()
    blocks, size = tuple(part.block for part in run.block.parts), memory._size
    memory.keep_run(blocks, run)
    assert memory._size == size + run.block.size
    for _ in range(2**20 // run.block.size):
        memory.keep_run(blocks, run)
        assert memory._size < 2**19
