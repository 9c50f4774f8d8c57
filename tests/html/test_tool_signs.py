"""What a page says of consent tools, found in its bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.html import block_ends, patch
from proxy.html.tool_signs import (
    _IN_LINKS,
    _USES,
    LINK_ALONE,
    has_tool_signs,
    signs_of_all,
    tool_signs,
)

_SIGNS = [*_IN_LINKS, *_USES]
_PLAIN = b"<p>cookies and consent</p>" * 500


def _links(page: bytes) -> set[str]:
    return {tool.removeprefix(LINK_ALONE) for tool in tool_signs(page).linked}


@pytest.mark.parametrize(("mark", "tool"), _IN_LINKS, ids=[mark.decode() for mark, _ in _IN_LINKS])
def test_each_mark_of_a_link_is_found(mark: bytes, tool: str) -> None:
    assert tool in _links(_PLAIN + b'<a class="' + mark + b'">Cookies</a>' + _PLAIN)


@pytest.mark.parametrize(("use", "tool"), _USES, ids=[use.decode() for use, _ in _USES])
def test_each_use_in_code_is_found(use: bytes, tool: str) -> None:
    assert tool_signs(_PLAIN + b"<script>window." + use + b"</script>" + _PLAIN).named == {tool}


def test_several_marks() -> None:
    assert _links(b"x.termly-cky-banner") == {"termly", "cookieyes"}
    assert _links(b"optanon-OneTrust.truste") == {"onetrust", "trustarc"}
    assert _links(b"Cookiebot._sp_.") == {"cookiebot", "sourcepoint"}


def test_a_page_that_says_nothing() -> None:
    assert tool_signs(_PLAIN) == (frozenset(), frozenset())
    assert not has_tool_signs(_PLAIN)


@given(parts=st.lists(st.sampled_from([sign for sign, _ in _SIGNS]) | st.just(b"(."), max_size=6))
def test_a_page_says_what_its_parts_say(parts: list[bytes]) -> None:
    blocks = [b"<p>" + part for part in parts]
    assert signs_of_all(map(tool_signs, blocks)) == tool_signs(b"".join(blocks))


def test_no_sign_stands_across_the_end_of_a_block() -> None:
    assert not any(b"<" in sign for sign, _ in _SIGNS)
    page = _PLAIN * 4
    assert all(page[end : end + 1] == b"<" for end in block_ends.block_ends(page)[:-1])


def test_what_is_searched_beside_a_changed_word_is_longer_than_any_sign() -> None:
    assert max(len(sign) for sign, _ in _SIGNS) < patch._AROUND
