"""Whole pages: the one with every kind of tag, or a folder of saved ones (PAGES_DIR=folder)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.vendor_index import VendorIndex
from proxy.html import Boundary, compile_page, render
from proxy.html.gates import Gate
from proxy.html.incremental import IncrementalCompiler
from proxy.html.owners import Owner
from proxy.html.resource import ResourceKind
from tests.html.oracle import asked_hosts
from tests.html.pipeline import URL, UTF8

_FOLDER = Path(os.environ.get("PAGES_DIR") or Path(__file__).parents[2] / "e2e/tricks")
_PAGES = sorted(_FOLDER.glob("*.html"))
_INDEX = VendorIndex(catalogue().values())
_BOUNDARY = Boundary(own=HostSet(["www.example.com"]), index=_INDEX)

if not _PAGES:
    raise FileNotFoundError(f"{_FOLDER} holds no .html files")


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


def _needs(gate: Gate) -> frozenset[Owner]:
    # Of a part nobody knows whom the rest asks at the host of a hint: there it stays closed.
    return frozenset() if gate.kind is ResourceKind.HINT else gate.needs


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
