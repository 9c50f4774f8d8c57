"""Answers that are remembered are those of the function, for each text and each further value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.html import Boundary, compile_page, render
from proxy.html.gates import Gate
from proxy.html.remembered import Remembered
from tests.html.catalogue_boundary import BOUNDARY
from tests.html.pipeline import BOUNDARY as SMALL
from tests.html.pipeline import URL, UTF8

_LONG = "/* " + "x" * 600 + " */"


@given(
    st.lists(
        st.tuples(st.sampled_from(("", _LONG)), st.text(max_size=3), st.booleans()), max_size=30
    )
)
def test_it_is_what_the_function_says(asked: list[tuple[str, str, bool]]) -> None:
    calls = []

    def answer(text: str, flag: bool) -> tuple[str, bool]:
        calls.append(text)
        return text, flag

    remembered = Remembered(answer)
    for start, text, flag in asked:
        assert remembered(start + text, flag) == (start + text, flag)
    long = [one for one in calls if len(one) > 512]
    assert len(long) == len({(text, flag) for start, text, flag in asked if start})


def test_what_is_too_large_is_not_kept() -> None:
    calls = []

    def answer(text: str) -> str:
        calls.append(text)
        return text

    remembered = Remembered(answer, lambda _: False)
    assert (remembered(_LONG), remembered(_LONG), len(calls)) == (_LONG, _LONG, 2)


_SCRIPTS = (
    "pixelq(1)", "own()", "fbq('init','1')", "var a={opacity:0};//anti-flicker",
    "window.__S__={'a':'pixelq(1)'}", "import '//pixel.test/a.js'",
)  # fmt: skip
_STYLES = (
    "a{b:url(//pixel.test/x)}", "@import '//video.test/y'", "body{opacity:0!important}",
    ".async-hide{opacity:0 !important}", "a{b:url(own.png)}", "a{--x:'//pixel.test/z'}",
)  # fmt: skip
_ELEMENTS = st.one_of(
    st.tuples(
        st.sampled_from(("<script>", "<script type=module>", "<svg><script>")),
        st.sampled_from(_SCRIPTS),
        st.just("</script>"),
    ),
    st.tuples(
        st.sampled_from(("<style>", "<style id=anti-flicker>", "<svg><style>")),
        st.sampled_from(_STYLES),
        st.just("</style>"),
    ),
)
_PAGES = st.lists(_ELEMENTS, min_size=1, max_size=4).map(
    lambda parts: "".join(f"{start}{code}\n{_LONG}{end}" for start, code, end in parts)
)


def _gates(page: str, start: str, boundary: Boundary) -> tuple[tuple[Gate, ...], bytes]:
    found = compile_page(f"{start}{page}".encode(), UTF8, URL, boundary)
    return found.gates, render(found, frozenset())


@given(page=_PAGES, start=st.sampled_from(("", "<base href=//video.test/>")))
def test_a_page_is_what_it_is_whatever_was_compiled_before(page: str, start: str) -> None:
    for boundary in (SMALL, BOUNDARY):
        fresh = Boundary(own=boundary.own, index=boundary.index)
        expected = _gates(page, start, fresh)
        known = Boundary(own=boundary.own, index=boundary.index)
        for other in ("<base href=//pixel.test/>", "", start):
            _gates(page, other, known)
        assert _gates(page, start, known) == expected
