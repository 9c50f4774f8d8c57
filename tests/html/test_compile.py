"""Every kind of resource: the page as it comes, and with all vendors closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.html import render
from tests.html.pipeline import closed, compiled

_FILE = Path(__file__).with_name("cases.txt")


def _cases() -> list[tuple[str, str, str]]:
    """Blocks of `=== name`, the page, `---`, the page when closed (or `the same`, or `nothing`)."""
    cases = []
    for block in _FILE.read_text("utf-8").split("=== ")[1:]:
        name, _, rest = block.partition("\n")
        page, _, wanted = rest.rstrip("\n").partition("\n---\n")
        cases.append((name, page, {"the same": page, "nothing": ""}.get(wanted, wanted)))
    return cases


@pytest.mark.parametrize(
    ("page", "wanted"), [c[1:] for c in _cases()], ids=[c[0] for c in _cases()]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_case(page: str, wanted: str, newline: str) -> None:
    body = page.replace("\n", newline).encode()
    assert closed(body).decode() == wanted.replace("\n", newline)
    assert render(compiled(body), frozenset(), everything=True) == body
