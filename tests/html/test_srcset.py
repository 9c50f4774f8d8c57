"""The URLs of a srcset, held against the algorithm of the HTML Standard, character by character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.html.srcset import srcset_urls

BLANKS = "\t\n\f\r "


def by_the_standard(value: str) -> tuple[str, ...]:
    """4.8.4.3.10, "parse a srcset attribute", without what it does with descriptors."""
    found: list[str] = []
    at = 0
    while True:
        while at < len(value) and value[at] in BLANKS + ",":
            at += 1
        if at == len(value):
            return tuple(found)
        start = at
        while at < len(value) and value[at] not in BLANKS:
            at += 1
        url = value[start:at]
        found.append(url.rstrip(","))
        if url.endswith(","):
            continue
        in_parentheses = False
        while at < len(value):
            character = value[at]
            at += 1
            if in_parentheses:
                in_parentheses = character != ")"
            elif character == "(":
                in_parentheses = True
            elif character == ",":
                break


CASES = {
    "": (),
    ",,,": (),
    " , ,": (),
    "/a.jpg": ("/a.jpg",),
    "/a.jpg 1x, /b.jpg 2x": ("/a.jpg", "/b.jpg"),
    "/a.jpg, /b.jpg": ("/a.jpg", "/b.jpg"),
    "/a,b.jpg 1x,/c.jpg": ("/a,b.jpg", "/c.jpg"),
    "/a.jpg,,,": ("/a.jpg",),
    "/a.jpg (1x, /b.jpg) 2x, /c.jpg": ("/a.jpg", "/c.jpg"),
    "/a.jpg (1x, /b.jpg": ("/a.jpg",),
}


@pytest.mark.parametrize("value", CASES, ids=range(len(CASES)))
def test_urls(value: str) -> None:
    assert srcset_urls(value) == CASES[value]


@given(st.text(alphabet="/a ,()\t\n\f\r\x0b\xa0", max_size=40))
def test_as_the_standard_has_it(value: str) -> None:
    assert srcset_urls(value) == by_the_standard(value)
