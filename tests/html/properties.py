"""What holds of every page, whatever it is: each a function that raises AssertionError."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import html5lib

from proxy.html import Page, UndecodableError, render
from proxy.html.gates import Gate
from proxy.html.owners import MARKETING_ONLY
from proxy.html.resource import ResourceKind
from proxy.html.tree import Document, Element, parse_unplaced
from tests.html.fragments import Written
from tests.html.oracle import GaveUpError, asked_hosts
from tests.html.pipeline import URL, compiled
from tests.html.scanner_oracle import scanned_hosts

OWN = {"www.example.com", "cdn.example.com"}
# html5lib knows no <template>: to it, what is ignored within one is part of the page, and tags
# behind may end it. Nor does it know a <form> within a <select>, after which another form is none.
# And turbohtml does not give the page the attributes of an <html> within a <frameset>; there the
# policy header must do.
READ_OTHERWISE = re.compile(
    r"<template.*<(?:html|head|body|frameset|frame|base|t[dhr])\b|<template.*<table.*<form"
    r"|<select.*<form.*<form|<frameset.*<html",
    re.IGNORECASE | re.DOTALL,
)


@lru_cache(maxsize=1)  # each property asks for the same page
def _compiled(written: Written) -> Page | None:
    """None for a page that cannot be read: it goes out with a policy that opens nothing."""
    try:
        return compiled(written.body, written.content_type)
    except UndecodableError:
        return None


def _codec(found: Page, written: Written) -> str:
    return "utf-8" if found.transcoded else written.codec


def _closed(found: Page) -> bytes:
    return render(found, frozenset())


def all_open_is_the_origins_page(written: Written) -> None:
    found = _compiled(written)
    if found is None:
        return
    shown = render(found, frozenset(), everything=True)
    if found.transcoded:
        assert shown == found.body
    else:
        assert shown == written.body


def only_gates_change(written: Written) -> None:
    found = _compiled(written)
    if found is None:
        return
    body = found.body
    expected = []
    position = 0
    for gate in found.gates:
        if gate.start < position:
            assert gate.end <= position, "a gate within a closed one ends within it"
            continue
        expected += [body[position : gate.start], gate.closed]
        position = gate.end
    whole = b"".join((*expected, body[position:]))
    assert _closed(found) == (whole.decode().encode(found.wire) if found.wire else whole)


def spans_lie_within_the_page_and_do_not_cross(written: Written) -> None:
    found = _compiled(written)
    around: list[int] = []
    for gate in found.gates if found is not None else ():
        assert 0 <= gate.start < gate.end <= len(found.body if found is not None else b"")
        while around and around[-1] <= gate.start:
            around.pop()
        assert not around or gate.end <= around[-1]
        around.append(gate.end)


def a_browser_asks_no_one_else(written: Written) -> None:
    found = _compiled(written)
    if found is None:
        return
    closed = _closed(found).decode(_codec(found, written), "replace").removeprefix("\ufeff")
    if READ_OTHERWISE.search(closed):
        return
    for scripting in (False, True) if "<noscript" in closed.lower() else (False,):
        try:
            asked = asked_hosts(closed, URL, scripting=scripting)
        except GaveUpError:
            continue
        assert asked <= OWN, closed


def a_preload_scanner_asks_no_one_else(written: Written) -> None:
    found = _compiled(written)
    if found is None:
        return
    closed = _closed(found).decode(_codec(found, written), "replace").removeprefix("\ufeff")
    for scripting in (False, True) if "<noscript" in closed.lower() else (True,):
        assert scanned_hosts(closed, URL, scripting=scripting) <= OWN, closed


_OURS = re.compile(
    rb"<[\w:]+ (?:type=application/consent-closed|rel=consent-closed|[\w:]+=data:,)[\s>]"
)


def _asks_nothing(gate: Gate, closed: bytes, written: Written) -> bool:
    """Whether what a closed page has left for closing asks for nothing."""
    if gate.kind is ResourceKind.REPEATED:
        # Behind an address of ours: a scanner takes the first.
        return _OURS.match(closed, closed.rfind(b"<", 0, gate.start)) is not None
    if gate.kind is ResourceKind.CSS and b"\\" in written.body:
        # With its last escape gone a style sheet is searched, not tokenized, and to the search an
        # address in a string is one, too. What is asked the other properties say.
        return True
    # A tag that is written anew as it was.
    return gate.closed.strip() == closed[gate.start : gate.end].strip()


def a_closed_page_has_nothing_to_close(written: Written) -> None:
    found = _compiled(written)
    if found is None:
        return
    closed = _closed(found)
    kind = "text/html; charset=utf-8" if found.transcoded else written.content_type
    again = compiled(closed, kind)
    left = [gate for gate in again.gates if not _asks_nothing(gate, closed, written)]
    assert {gate.needs for gate in left} <= {frozenset({MARKETING_ONLY})}, closed


_HEAD = b"<meta id=head-mark>"
_FOOT = b"<div id=foot-mark></div>"


def _unmarked(text: str) -> str:
    return text.removeprefix("\ufeff").removeprefix("\xef\xbb\xbf")


def _shape(document: Document, without: str = "") -> str:
    for mark in document.select(without) if without else ():
        mark.decompose()
    return str(document.html)


def our_markup_stands_where_the_page_says(written: Written) -> None:
    found = _compiled(written)
    if found is None:
        return
    foot = _FOOT if found.foot_at is not None else b""
    codec = "utf-8" if found.wire else "latin-1"
    shown = render(found, frozenset(), everything=True, foot=foot)
    marked = _unmarked(shown.decode(found.wire or codec))
    for scripting in (False, True):
        tree = parse_unplaced(marked, scripting=scripting)
        marks = tree.select("#foot-mark")
        if foot:
            assert len(marks) == 1, marked
            parent = marks[0].parent
            assert isinstance(parent, Element)
            assert parent.tag == "body", marked
        plain = parse_unplaced(_unmarked(found.body.decode(codec)), scripting=scripting)
        assert _shape(tree, "#foot-mark") == _shape(plain), marked


def our_head_comes_first(written: Written) -> None:
    found = _compiled(written)
    if found is None or found.head_at is None or not found.is_document:
        return
    shown = render(found, frozenset(), everything=True, head=_HEAD)
    marked = shown.decode(_codec(found, written), "replace").removeprefix("\ufeff")
    try:
        tree = html5lib.parse(marked, namespaceHTMLElements=False)
    except AssertionError:  # html5lib met what it thought could not be
        return
    head = tree.find("head")
    assert head is not None
    elements = [child for child in head if isinstance(child.tag, str)]
    assert elements and elements[0].attrib.get("id") == "head-mark", marked
    assert len(re.findall("head-mark", html5lib.serialize(tree))) == 1


PROPERTIES: tuple[Callable[[Written], None], ...] = (
    all_open_is_the_origins_page,
    only_gates_change,
    spans_lie_within_the_page_and_do_not_cross,
    a_browser_asks_no_one_else,
    a_preload_scanner_asks_no_one_else,
    a_closed_page_has_nothing_to_close,
    our_markup_stands_where_the_page_says,
    our_head_comes_first,
)
