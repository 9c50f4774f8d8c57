"""Whatever the page: nothing but gates changes, and nothing closed is asked for."""

from __future__ import annotations

import os
import re

import html5lib
import turbohtml
from hypothesis import HealthCheck, assume, given, settings

from proxy.html import Page, render
from proxy.html.compile import MARKETING_ONLY
from tests.html.fragments import page
from tests.html.oracle import asked_hosts
from tests.html.pipeline import URL, compiled

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
_OWN = {"www.example.com", "cdn.example.com", ""}
# html5lib knows no <template>: to it, what is ignored within one is part of the page. Nor does it
# know a <form> within a <select>, after which another form is none. And turbohtml does not give
# the page the attributes of an <html> within a <frameset>; there the policy header must do.
_READ_OTHERWISE = re.compile(
    r"<template.*<(?:html|head|body|frameset|frame)\b|<select.*<form.*<form|<frameset.*<html",
    re.IGNORECASE | re.DOTALL,
)
_fuzz = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def _closed(found: Page) -> bytes:
    return render(found, frozenset())


@_fuzz
@given(page())
def test_all_open_is_the_origins_page(body: bytes) -> None:
    assert render(compiled(body), frozenset(), everything=True) == body


@_fuzz
@given(page())
def test_only_gates_change(body: bytes) -> None:
    found = compiled(body)
    expected = []
    position = 0
    for gate in found.gates:
        if gate.start < position:
            assert gate.end <= position, "a gate within a closed one ends within it"
            continue
        expected += [body[position : gate.start], gate.closed]
        position = gate.end
    assert _closed(found) == b"".join((*expected, body[position:]))


@_fuzz
@given(page())
def test_spans_lie_within_the_page_and_do_not_cross(body: bytes) -> None:
    around: list[int] = []
    for gate in compiled(body).gates:
        assert 0 <= gate.start < gate.end <= len(body)
        while around and around[-1] <= gate.start:
            around.pop()
        assert not around or gate.end <= around[-1]
        around.append(gate.end)


@_fuzz
@given(page())
def test_a_browser_asks_no_one_else(body: bytes) -> None:
    closed = _closed(compiled(body)).decode("utf-8", "replace")
    assume(not _READ_OTHERWISE.search(closed))
    for scripting in (False, True):
        assert asked_hosts(closed, URL, scripting=scripting) <= _OWN, closed


@_fuzz
@given(page())
def test_a_closed_page_has_nothing_to_close(body: bytes) -> None:
    closed = _closed(compiled(body))
    again = compiled(closed)
    assert {gate.needs for gate in again.gates} <= {frozenset({MARKETING_ONLY})}, closed


_HEAD = b"<meta id=head-mark>"
_FOOT = b"<div id=foot-mark></div>"


def _shape(document: turbohtml.Document, without: str = "") -> str:
    for mark in document.select(without) if without else ():
        mark.decompose()
    return str(document.html)


@_fuzz
@given(page())
def test_our_markup_stands_where_the_page_says(body: bytes) -> None:
    found = compiled(body)
    foot = _FOOT if found.foot_at is not None else b""
    marked = render(found, frozenset(), everything=True, foot=foot).decode("latin-1")
    for scripting in (False, True):
        tree = turbohtml.parse(marked, scripting=scripting)
        marks = tree.select("#foot-mark")
        if foot:
            assert len(marks) == 1, marked
            parent = marks[0].parent
            assert isinstance(parent, turbohtml.Element)
            assert parent.tag == "body", marked
        plain = turbohtml.parse(body.decode("latin-1"), scripting=scripting)
        assert _shape(tree, "#foot-mark") == _shape(plain), marked


@_fuzz
@given(page())
def test_our_head_comes_first(body: bytes) -> None:
    found = compiled(body)
    if found.head_at is None or not found.is_document:
        return
    marked = render(found, frozenset(), everything=True, head=_HEAD).decode("utf-8", "replace")
    tree = html5lib.parse(marked, namespaceHTMLElements=False)
    head = tree.find("head")
    assert head is not None
    elements = [child for child in head if isinstance(child.tag, str)]
    assert elements and elements[0].attrib.get("id") == "head-mark", marked
    assert len(re.findall("head-mark", html5lib.serialize(tree))) == 1
