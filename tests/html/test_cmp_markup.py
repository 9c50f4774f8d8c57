"""Scripts that pages hold back for other consent tools: on when allowed, else never run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.html import compile_page
from proxy.html.owners import Owner
from proxy.html.render import render
from tests.html.catalogue_boundary import BOUNDARY, URL
from tests.html.pipeline import owners


def _cases() -> list[tuple[str, frozenset[Owner], str, str, str]]:
    table = (Path(__file__).parent / "cmp_markup.txt").read_text(encoding="utf-8")
    cases = []
    for block in re.split(r"^=== ", table, flags=re.MULTILINE)[1:]:
        head, page, *rest = block.rstrip().split("\n")
        name, _, opened = head.partition(" | ")
        on, off = ([*rest, "", ""])[:2]
        cases.append((name, owners(*opened.split()), page, on, off))
    return cases


@pytest.mark.parametrize(("name", "is_open", "script", "on", "off"), _cases())
def test_marked_scripts(
    name: str, is_open: frozenset[Owner], script: str, on: str, off: str
) -> None:
    # With bytes that are not ASCII and line ends of both kinds before it: places must be right.
    before, after = "<!doctype html><title>é</title>\r\n<p>ü\n", "<p>after</p>\r\n"
    body = f"{before}{script}{after}".encode()
    page = compile_page(body, "text/html; charset=utf-8", URL, BOUNDARY)
    assert render(page, is_open).decode() == f"{before}{on}{after}", name
    assert render(page, frozenset()).decode() == f"{before}{off}{after}", name
    assert render(page, frozenset(), everything=True) == body, name
