"""Browsers before 2025 read a <select> otherwise: they leave out drawings and what holds text, and
other tags end it. html5lib, which the oracle goes by, reads it as they do.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.html.oracle import GaveUpError, asked_hosts
from tests.html.pipeline import URL, closed

_HIDING = (
    "<title><p title='</title><script>pixelq(1)</script><img src=//pixel.test/x>'></p></title>"
)
_TABLE = "<table><td>"


@pytest.mark.parametrize(
    "page",
    [
        '<select><svg><script href="/own.png" />pixelq(1)</script>',
        "<select><svg><script />pixelq(1)</script>",
        "<select><svg><script>own()</script><script />pixelq(1)//</script>",
        "<select><math><script>/*<b>*/pixelq(1)/*</b>*/</script>",
        "<select><svg><script><!--\npixelq(1)\n--></script>",
        "<select><svg><foreignObject><input></foreignObject><image src=//pixel.test/a>",
        "<select><math><mi><textarea></textarea></mi><image srcset='//pixel.test/a 1x'>",
        f"<select><svg><foreignObject><input></foreignObject>{_HIDING}",
        f"<select><svg><desc><keygen></desc>{_HIDING}",
        f"{_TABLE}<select><svg><tr>{_HIDING}",
        f"{_TABLE}<select><math><caption>{_HIDING}",
        f"{_TABLE}<select><svg><foreignObject><table><tr><td></foreignObject>{_HIDING}",
    ],
)
def test_what_older_browsers_find_is_closed(page: str) -> None:
    shown = closed(page.encode(), marketing=False).decode()
    assert asked_hosts(shown, URL, scripting=True) <= {"www.example.com"}, shown


@pytest.mark.parametrize(
    "page",
    [
        "<select><svg><script>own()</script></svg></select>",
        "<select><svg><path d=M0/></svg><option>x</select>",
        "<svg><script />own()</svg><select><option>x</select>",
        f"{_TABLE}<select><option>x</select></table><svg><title>x</title></svg>",
    ],
)
def test_what_both_read_alike_stays(page: str) -> None:
    assert closed(page.encode(), marketing=False).decode() == page


_PIECES = (
    "<select>", "</select>", "<option>", "<svg>", "</svg>", "<math>", "</math>", "<foreignObject>",
    "</foreignObject>", "<desc>", "</desc>", "<mi>", "</mi>", "<input>", "<textarea>",
    "</textarea>", "<keygen>", "<title>", "</title>", "<script>", "</script>", "<script />",
    "pixelq(1);", "<script href=/own.png />", "<image src=//pixel.test/i>",
    "<img src=//pixel.test/p>", "<iframe src=//pixel.test/f>", "</iframe>", "<style>", "</style>",
    "@import '//pixel.test/c';", "<p title='", "'>", "<table>", "</table>", "<tr>", "<td>",
    "<caption>", "<!--", "-->", "<div>", "<link rel=stylesheet href=//pixel.test/s.css>", "<xmp>",
    "</xmp>", "<![CDATA[", "]]>", "//",
)  # fmt: skip


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    page=st.tuples(
        st.sampled_from(("<select>", "<select><svg>", "<table><td><select>", "<select><math>")),
        st.lists(st.sampled_from(_PIECES), min_size=1, max_size=9),
    ).map(lambda parts: "<!doctype html><body>" + parts[0] + "".join(parts[1]))
)
def test_older_browsers_ask_no_one_else(page: str) -> None:
    shown = closed(page.encode(), marketing=False).decode()
    try:
        asked = asked_hosts(shown, URL, scripting=True)
    except GaveUpError:
        return
    assert asked <= {"www.example.com"}, shown
