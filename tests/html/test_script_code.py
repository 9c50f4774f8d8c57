"""An inline script belongs to a vendor by its code, not by what it names or keeps as data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.html import compile_page, render
from proxy.html.script_code import vendors_of_script
from tests.catalogue.test_golden import _snippets
from tests.html.test_marked import BOUNDARY, URL


def _cases() -> list[tuple[str, str, str]]:
    table = Path(__file__).with_name("scripts.txt").read_text(encoding="utf-8")
    cases = []
    for block in re.split(r"^=== ", table, flags=re.MULTILINE)[1:]:
        head, _, script = block.rstrip().partition("\n")
        name, _, whose = head.partition(" | ")
        cases.append((name, whose, script))
    return cases


@pytest.mark.parametrize(("name", "whose", "script"), _cases(), ids=[c[0] for c in _cases()])
def test_whose_a_script_is(name: str, whose: str, script: str) -> None:
    body = f"<!doctype html><body><p>é</p><script>{script}</script><p>x</p>".encode()
    page = compile_page(body, "text/html; charset=utf-8", URL, BOUNDARY)
    if whose == "site":
        assert render(page, frozenset()) == body
        return
    assert page.vendors, "it is a vendor's"
    assert script.encode() not in render(page, frozenset())


def test_published_snippets_lose_nothing() -> None:
    index = BOUNDARY.index
    for snippet in _snippets():
        text = snippet["text"]
        assert set(vendors_of_script(text, index)) == set(index.vendors_of_text(text)), text
