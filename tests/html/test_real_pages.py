"""Real pages, where a folder of them is at hand: PAGES_DIR=... pytest tests/html/test_pages.py"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.vendor_index import VendorIndex
from proxy.html import Boundary, compile_page, render
from proxy.html.gates import Gate
from proxy.html.incremental import IncrementalCompiler
from proxy.html.resource import Kind
from tests.html.oracle import asked_hosts
from tests.html.pipeline import URL, UTF8

_FOLDER = os.environ.get("PAGES_DIR", "")
_PAGES = sorted(Path(_FOLDER).glob("*.html")) if _FOLDER else []
_INDEX = VendorIndex(catalogue().values())
_BOUNDARY = Boundary(own=HostSet(["www.example.com"]), index=_INDEX)

pytestmark = pytest.mark.skipif(not _PAGES, reason="PAGES_DIR names no folder of .html files")


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.name)
def test_no_vendor_is_asked(path: Path) -> None:
    body = path.read_bytes()
    page = compile_page(body, UTF8, URL, _BOUNDARY)
    assert render(page, frozenset(), everything=True) == body
    closed = render(page, frozenset())
    position = 0
    kept = []
    for gate in page.gates:
        if gate.start >= position:
            kept += [body[position : gate.start], gate.closed]
            position = gate.end
    assert closed == b"".join((*kept, body[position:]))
    text = closed.decode("utf-8", "replace")
    for scripting in (False, True):
        assert asked_hosts(text, URL, scripting=scripting) <= {"www.example.com"}


def _needs(gate: Gate) -> frozenset[str]:
    # Of a part nobody knows whom the rest asks at the host of a hint: there it stays closed.
    return frozenset() if gate.kind is Kind.HINT else gate.needs


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.name)
def test_in_pieces_it_is_the_same(path: Path) -> None:
    body = path.read_bytes()
    pieces = IncrementalCompiler(UTF8, URL, _BOUNDARY, 5_000_000)
    parts = []
    for at in range(0, len(body), 50_000):
        pieces.add(body[at : at + 50_000])
        parts.append(pieces.take())
    parts.append(pieces.take(last=True))
    found = []
    shift = 0
    for part in parts:
        if part is not None:
            found += [(g.start + shift, g.end + shift, _needs(g)) for g in part.page.gates]
            shift += len(part.page.body)
    whole = compile_page(body, UTF8, URL, _BOUNDARY)
    assert found == [(gate.start, gate.end, _needs(gate)) for gate in whole.gates]
    assert shift == len(body)


def test_speed() -> None:
    """The bound is loose, because other work shares the machine; the figure is printed."""
    bodies = [path.read_bytes() for path in _PAGES]

    def work() -> float:
        start = time.process_time()
        for body in bodies:
            compile_page(body, UTF8, URL, _BOUNDARY)
        return time.process_time() - start

    milliseconds = min(work() for _ in range(4)) * 1000 / sum(map(len, bodies)) * 102_400
    print(f"compile: {milliseconds:.2f} ms per 100 KB")
    assert milliseconds < 6
