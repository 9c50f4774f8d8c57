"""Links to the preferences of other consent tools, found in a page's bytes."""

from __future__ import annotations

import pytest

from proxy.banner.consent_tools import _MARKS, tools_linked

MARKS = [(tool, mark) for tool, marks in _MARKS.items() for mark in marks]


@pytest.mark.parametrize(("tool", "mark"), MARKS, ids=[mark for _, mark in MARKS])
def test_each_mark_is_found(tool: str, mark: str) -> None:
    page = b"<p>" * 500 + b'<a class="' + mark.encode() + b'">Cookies</a>' + b"</p>" * 500
    assert f"link:{tool}" in tools_linked(page)


def test_several_marks() -> None:
    assert tools_linked(b"x.termly-cky-banner") == {"link:termly", "link:cookieyes"}
    assert tools_linked(b"optanon-OneTrust.truste") == {"link:onetrust", "link:trustarc"}
    assert tools_linked(b"Cookiebot._sp_.") == {"link:cookiebot", "link:sourcepoint"}


def test_a_page_without_links() -> None:
    assert tools_linked(b"<p>cookies and consent</p>" * 1000) == frozenset()
