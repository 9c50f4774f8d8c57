"""What hides a page until a vendor's script shows it again is closed with that script."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from e2e.proxied import serving
from tests.support.site import reply


def _snippets() -> list[tuple[str, str]]:
    blocks = Path(__file__).with_name("hiders.txt").read_text("utf-8").split("=== ")[1:]
    found = []
    for block in blocks:
        name, _, markup = block.partition("\n")
        found.append((name, markup))
    return found


SHOWN = """() => [document.documentElement, document.body, document.querySelector('h1')]
  .every(e => { const s = getComputedStyle(e);
    return s.opacity > 0.9 && s.visibility === 'visible' && s.display !== 'none' })"""


@pytest.mark.parametrize(("name", "markup"), _snippets(), ids=[name for name, _ in _snippets()])
def test_the_page_is_shown_soon_after_it_has_loaded(
    tmp_path: Path, context: BrowserContext, name: str, markup: str
) -> None:
    page = f"<!doctype html><html><head><title>x</title>{markup}</head><body><h1>Hello</h1></body>"
    with serving(tmp_path, {"": reply(page.encode())}) as site:
        tab = context.new_page()
        tab.goto(f"http://www.example.com:{site.port}/")
        tab.wait_for_timeout(200)
        assert tab.evaluate(SHOWN)
