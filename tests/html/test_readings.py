"""Browsers with and without JavaScript read a page differently: what either fetches is closed, and
nothing that one with scripts shows is lost.
"""

from __future__ import annotations

import re
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.html.readings import Readings
from proxy.html.tree import Document, Element, Text, parse, parse_unplaced
from tests.html.oracle import GaveUpError, asked_hosts
from tests.html.pipeline import URL, closed
from tests.html.scanner_oracle import scanned_hosts

_PIECES = (
    "<noscript>", "</noscript>", "<noscript>", "</noscript>", "<iframe src=//video.test/e>",
    "<iframe src=//pixel.test/e width=0 height=0 />", "</iframe>", "<script>", "</script>",
    "<script src=//pixel.test/a.js>", "pixelq(1);", "<style>", "</style>", "own()",
    "@import '//pixel.test/a.css';", "a{b:url(//pixel.test/x)}", "<textarea>", "</textarea>",
    "<title>", "</title>", "<!--", "-->", "<img src=//pixel.test/p>", "<p title='", "'>",
    "<img src='//pixel.test/p", "<p style='a:url(//pixel.test/u);", '<a title="', '">',
    "<svg>", "</svg>", "<style>a{b:&quot;url(//pixel.test/q)}", "<object data=//pixel.test/o>",
    "</object>", "<p>", "<h1>", "</h1>", "<template>", "</template>", "<xmp>", "</xmp>",
    "<link rel=stylesheet href=//pixel.test/s.css>", "<form action=//pixel.test/f>", "</form>",
    "<div style='background:url(//pixel.test/b)'>", "<iframe srcdoc='<img src=//pixel.test/n>'>",
    '<script type=importmap>{"imports":{"a":"//pixel.test/"}}', "<base href=//pixel.test/>",
    "<head>", "<body>", "</body>", "<div data-src=//pixel.test/d>", "<noembed>", "</noembed>",
    "<script>function own(){} pixelq(1)</script>", "<script>function own(){} pixelq(1);",
    "<i onclick=own()>", "<math>", "<table>",
    '<script type=speculationrules>{"prefetch":[{"urls":["//pixel.test/"]}]}', "<noframes>",
    "<script type=text/plain data-category=analytics src=//pixel.test/m.js>", "</noframes>",
)  # fmt: skip
_HIDDEN = frozenset({"script", "style", "noscript", "iframe", "noembed", "noframes", "template"})
_WORD = re.compile(r"w\d+w")


def _words(page: str) -> set[str]:
    """The words that a browser with scripts shows, or has in an element that it may show."""
    document: Document = parse_unplaced(page, scripting=True)
    waiting: list[Document | Element] = [document]
    found: set[str] = set()
    while waiting:
        for node in waiting.pop():
            if isinstance(node, Text):
                found.update(_WORD.findall(node.data))
            elif isinstance(node, Element) and node.tag not in _HIDDEN:
                waiting.append(node)
    return found


_PAGES = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=10).map(
    lambda pieces: (
        "<!doctype html><body><noscript>"
        + "".join(f"{piece} w{number}w " for number, piece in enumerate(pieces))
    )
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(
    page="<!doctype html><body><noscript><script></noscript> w0w "
    "<p title='<script>pixelq(1)</script>"
    "<div style='background:url(//pixel.test/b)'> w1w "
)
@example(
    page="<!doctype html><body><noscript><script></noscript> w0w "
    "<p title='<script>pixelq(1)</script>"
    '<div style=\'--a:"b";background:url(//pixel.test/b)\'> w1w <i title="c">'
)
@given(page=_PAGES)
def test_no_text_is_lost_and_nothing_is_fetched(page: str) -> None:
    shown = closed(page.encode(), marketing=False).decode()
    assert _words(page) <= _words(shown), shown
    for scripting in (False, True):
        try:
            asked = asked_hosts(shown, URL, scripting=scripting)
        except GaveUpError:
            continue
        assert asked <= {"www.example.com"}, shown


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(page=_PAGES, spans=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 40)), max_size=8))
def test_elements_of_one_name_hide_what_all_do(page: str, spans: list[tuple[int, int]]) -> None:
    without, with_scripts = (parse(page, scripting=one) for one in (False, True))
    readings = Readings(without, with_scripts, len(page))
    for start, length in spans:
        for tag in ("script", "iframe", "p", "style", "a:b"):
            for scripting in (False, True):
                hidden = partial(
                    readings.is_hidden_in_other, start, start + length, scripting=scripting
                )
                assert hidden(tag=tag) == hidden(tag="*")


@pytest.mark.parametrize(
    "unclosed",
    [
        '<iframe src="//pixel.test/ns.html" height="0" width="0" />',
        '<iframe src="//video.test/e" height="300" width="300">',
        "<script src=//pixel.test/a.js>",
        "<script>pixelq(1)",
        "<script>function run(){} pixelq(1);",
        '<script type=importmap>{"imports":{"a":"//pixel.test/"}}',
        '<script type=speculationrules>{"prefetch":[{"urls":["//pixel.test/"]}]}',
        "<style>@import '//pixel.test/a.css';",
        "<svg><style>a{b:&quot;url(//pixel.test/q)}",
        "<object data=//pixel.test/o>",
        "<p style='background:url(//pixel.test/b);",
        "<img src='//pixel.test/p",
        "<iframe srcdoc='<img src=//pixel.test/n>",
        "<!--<img src=//pixel.test/p>",
        "<textarea><img src=//pixel.test/p>",
    ],
)
@pytest.mark.parametrize("after", ["", "<script>run()</script>", "<style>a{b:c}</style>'>", "-->"])
def test_what_a_noscript_leaves_unclosed_takes_nothing_along(unclosed: str, after: str) -> None:
    page = (
        f"<!doctype html><body><noscript>{unclosed}</noscript><h1>w1w</h1><p>w2w</p>"
        f"{after}<p>w3w</p><img src=//pixel.test/i>"
    )
    shown = closed(page.encode(), marketing=False).decode()
    assert _words(page) <= _words(shown)
    for scripting in (False, True):
        assert asked_hosts(shown, URL, scripting=scripting) <= {"www.example.com"}, shown


@pytest.mark.parametrize(
    "hidden", ["<!--", "text <!-- ", "<img src=/a.png><!--", "<style>", "<p title='", "</p"]
)
@pytest.mark.parametrize(
    "behind",
    [
        '<link rel="preconnect" href="//pixel.test"><!-- -->',
        "<img src=//pixel.test/p></style><!-- -->",
        "<script src=//pixel.test/a.js></script><p title='-->'>",
    ],
)
def test_what_only_a_browser_with_scripts_reads_is_closed(hidden: str, behind: str) -> None:
    """The pattern of harmless ones means the same to every Python: tests/build/test_patterns."""
    page = f"<!doctype html><body><noscript>{hidden}</noscript>{behind}<p>w1w</p>"
    shown = closed(page.encode(), marketing=False).decode()
    for scripting in (False, True):
        assert asked_hosts(shown, URL, scripting=scripting) <= {"www.example.com"}, shown


_ROOT_PIECES = (
    "<body background=//pixel.test/b>", "<body background=//video.test/b>",
    "<body background=/own>", "<html style='background:url(//pixel.test/h)'>",
    "<html style='background:url(/own)'>", "<body style='background:url(//pixel.test/s)'>",
    "<body id=x>", "<html lang=en>",
)  # fmt: skip
_SHIFTING = (
    "<noscript>", "</noscript>", "<noscript><img src=//pixel.test/p></noscript>", "<textarea>",
    "</textarea>", "<xmp>", "</xmp>", "<script>", "</script>", "<p title='", "'>", "<!--", "-->",
)  # fmt: skip


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(
    page="<!doctype html><body><noscript><body background=//pixel.test/b>"
    "<noscript><img src=//pixel.test/p></noscript><body background=//pixel.test/b>"
)
@given(
    page=st.lists(st.sampled_from(_ROOT_PIECES + _SHIFTING), min_size=2, max_size=9).map(
        lambda pieces: "<!doctype html>" + "".join(pieces)
    )
)
def test_attributes_that_either_reading_gives_to_a_root_are_closed(page: str) -> None:
    shown = closed(page.encode(), marketing=False).decode()
    for scripting in (False, True):
        try:
            asked = asked_hosts(shown, URL, scripting=scripting)
        except GaveUpError:
            continue
        assert asked <= {"www.example.com"}, shown


@pytest.mark.parametrize(
    "frameset", ["<frameset>", "<head><frameset cols=1>", "<frameset></frameset>"]
)
@pytest.mark.parametrize(
    "noscript", ["<noscript>", "<noscript></style>", "<noscript><p></noscript>"]
)
@pytest.mark.parametrize(
    "style",
    [
        "<style>@import '//pixel.test/a.css';",
        "<style>@import url(//pixel.test/a.css); a{b:url(//pixel.test/x)}",
        "<style type=text/css media=print>@import '/own.css';@import '//pixel.test/a.css';",
    ],
)
def test_imports_that_only_a_scanner_finds_are_closed(
    frameset: str, noscript: str, style: str
) -> None:
    for page in (f"{frameset}{style}{noscript}", f"{noscript}{frameset}{style}</style>"):
        shown = closed(page.encode(), marketing=False).decode()
        for scripting in (False, True):
            assert scanned_hosts(shown, URL, scripting=scripting) <= {"www.example.com"}, shown


def test_a_select_of_one_reading_leaves_out_what_is_around_a_tag() -> None:
    """Browsers before 2025 take the <iframe> of a drawing in a <select> for HTML's."""
    page = (
        "<!doctype html><body><noscript><xmp></noscript><select></xmp>"
        "<svg><iframe src=//pixel.test/f></iframe></svg>"
    )
    assert "pixel.test" not in closed(page.encode(), marketing=False).decode()


def test_a_page_that_other_browsers_read_in_yet_another_way() -> None:
    """WebKit takes a CDATA section in a drawing's text for a comment."""
    page = (
        "<!doctype html><body><noscript><script>pixelq(1)</noscript><h1>w1w</h1>"
        "<svg><desc><![CDATA[><img src=//pixel.test/p>]]></desc></svg><script>own()</script>"
    )
    shown = closed(page.encode(), marketing=False).decode()
    assert _words(page) <= _words(shown)
    assert "pixel.test" not in shown
