"""What the page pipeline costs without any I/O: compile once a body, render once an outcome.

CPU time of this process, after a warm-up; of several rounds the quickest counts, because what
slows a round is another process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.page import html_page
from consent_rules.catalogue.load import catalogue
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.vendor_index import VendorIndex
from proxy.html import Boundary, UndecodableError, compile_page, render
from proxy.html.tree import parse

_URL = "https://www.example.com/"
_CONTENT_TYPE = "text/html; charset=utf-8"
_KB = 1024
_ROUNDS = 5

# The fixed cost of a call, spread over a small page, says nothing about the cost of a byte.
_WORTH_NAMING = 20 * _KB


@dataclass(frozen=True, slots=True)
class CompileCost:
    """Milliseconds for 100 KB of HTML: over a whole corpus, and for its slowest page.

    `undecodable` pages were left out; the proxy serves such a page with a policy alone.
    """

    corpus: str
    pages: int
    kilobytes: int
    undecodable: int
    parse_ms_per_100_kb: float
    """The parser alone."""
    compile_ms_per_100_kb: float
    render_ms_per_100_kb: float
    slowest_page: str
    slowest_ms_per_100_kb: float


def measure_generated() -> CompileCost:
    """The page that the requests are measured with."""
    return _measure("generated page", {"page.html": html_page()})


def measure_saved(folder: Path) -> CompileCost:
    """Every .html in a folder. Raises FileNotFoundError where there is none."""
    pages = {path.name: path.read_bytes() for path in sorted(folder.glob("*.html"))}
    if not pages:
        raise FileNotFoundError(f"no .html files in {folder}")
    return _measure(folder.name, pages)


def _measure(corpus: str, bodies: Mapping[str, bytes]) -> CompileCost:
    boundary = Boundary(own=HostSet(["www.example.com"]), index=VendorIndex(catalogue().values()))
    compiled = {}
    for name, body in bodies.items():
        try:
            compiled[name] = compile_page(body, _CONTENT_TYPE, _URL, boundary)
        except UndecodableError:
            continue
    bytes_of = {name: len(bodies[name]) for name in compiled}

    def compile_one(name: str) -> None:
        compile_page(bodies[name], _CONTENT_TYPE, _URL, boundary)

    def render_one(name: str) -> None:
        render(compiled[name], frozenset(), head=b"<style></style>", foot=b"<form></form>")

    def parse_one(name: str) -> None:
        parse(texts[name], scripting=False)

    texts = {name: bodies[name].decode("latin-1").replace("\r", "\n") for name in compiled}
    parsing = sum(_quickest(parse_one, name) for name in compiled)
    compiling = {name: _quickest(compile_one, name) for name in compiled}
    rendering = {name: _quickest(render_one, name) for name in compiled}
    total = sum(bytes_of.values())
    each = {name: _per_100_kb(compiling[name], size) for name, size in bytes_of.items()}
    slowest = max(
        (name for name, size in bytes_of.items() if size >= _WORTH_NAMING),
        key=lambda name: each[name],
        default="",
    )
    return CompileCost(
        corpus=corpus,
        pages=len(compiled),
        kilobytes=round(total / _KB),
        undecodable=len(bodies) - len(compiled),
        parse_ms_per_100_kb=_per_100_kb(parsing, total),
        compile_ms_per_100_kb=_per_100_kb(sum(compiling.values()), total),
        render_ms_per_100_kb=_per_100_kb(sum(rendering.values()), total),
        slowest_page=slowest,
        slowest_ms_per_100_kb=each.get(slowest, 0.0),
    )


def _quickest(work: Callable[[str], None], name: str) -> int:
    """Nanoseconds."""
    best = 0
    for _ in range(_ROUNDS):
        start = time.process_time_ns()
        work(name)
        took = time.process_time_ns() - start
        best = min(best, took) if best else took
    return best


def _per_100_kb(nanoseconds: int, size: int) -> float:
    return round(nanoseconds / 1e6 / size * 100 * _KB, 3)
