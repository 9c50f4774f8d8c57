"""Pages that come in chunks, and what a browser would ask for, for what is sent of them."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from proxy.html import render
from proxy.html.incremental import CompiledChunk
from tests.html.fragments import fragment, page
from tests.html.oracle import asked_hosts
from tests.html.pipeline import URL, compiled
from tests.html.properties import OWN, READ_OTHERWISE

PADDING = b"<!--" + b"x" * 1445 + b"-->"
"""A page is not read before so much of it is here."""


def closed(pieces: list[CompiledChunk]) -> bytes:
    return b"".join(render(piece.page, frozenset()) for piece in pieces)


@st.composite
def long_page(draw: st.DrawFn) -> bytes:
    """A page of more fragments, that begins in an orderly way or not, and its cuts."""
    more = "".join(draw(st.lists(fragment(), max_size=16))).encode()
    start = draw(st.sampled_from((b"", b"<!doctype html><head></head><body>x", b"<body>x<p>")))
    middle = draw(page().filter(lambda written: written.codec == "utf-8")).body
    return PADDING + start + middle + b" x " + more


def assert_asks_no_one(body: bytes, pieces: list[CompiledChunk]) -> None:
    text = closed(pieces).decode("utf-8", "replace")
    whole = render(compiled(body), frozenset()).decode("utf-8", "replace")
    assume(not READ_OTHERWISE.search(text))
    for scripting in (False, True):
        asked = asked_hosts(text, URL, scripting=scripting)
        # What the oracle misreads in the whole page (a url( within a string) it misreads here.
        assert asked <= OWN or asked <= OWN | asked_hosts(whole, URL, scripting=scripting), text
