"""A closed inline script leaves what the rest of the page needs of it, and no vendor's code."""

from __future__ import annotations

import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.html import Boundary, render
from proxy.html.inline_remnants import CALLED, ENDED, VendorsOfCode, is_in, remnants
from proxy.html.known_remnants import known_remnants
from tests.html.pipeline import BOUNDARY, closed, compiled, owners


def _is_vendors(text: str) -> bool:
    return "pixelq(" in text or text == "pixelq"


def _vendors(code: str) -> set[str]:
    return {"pixel"} if "pixelq(" in code else set()


_STUB = "__consentClosed"


def _empty(path: str) -> str:
    return f"\n{path}={path}||self.{_STUB};"


@pytest.mark.parametrize(
    ("script", "rest", "code", "names"),
    [
        ("function own(){a()} pixelq(1)", "own()", "function own(){a()}", ""),
        ("function own(){a()} pixelq(1)", "", "", ""),
        ("function own(){a()} pixelq(1)", "x.own() own-x my_own $own", "", ""),
        ("function own(){} pixelq(1)", "window.own(1)", "function own(){}", ""),
        ("function own(){pixelq(2)} pixelq(1)", "own()", "", "own"),
        ("function pixelq(){} pixelq(1)", "pixelq(2)", "", ""),
        ("var c={a:[1,'x',-2,null]}; pixelq(1)", "", "var c={a:[1,'x',-2,null]};", ""),
        ("var ccc={a:[1,'x',null]}; pixelq(1)", "ccc.a", "var ccc={a:[1,'x',null]};", ""),
        ("window.ccc={a:1}; pixelq(1)", "ccc.a", "window.ccc={a:1};", ""),
        ("ccc=1, ddd=2; pixelq(1)", "ddd+1", "ccc=1;\nddd=2;", ""),
        ("var ccc=f(); pixelq(1)", "if (ccc) x()", "var ccc=f();", ""),
        ("var ccc=f(); pixelq(f)", "if (ccc) x()", "var ccc;", ""),
        ("var ccc=f(); pixelq(f)", "ccc.push(1)", "", "ccc"),
        ("var ccc={a:pixelq(1)}", "ccc[0]", "", "ccc"),
        (
            "function bbb(){} function aaa(){bbb();ccc()} function ccc(){pixelq(2)}",
            "aaa()",
            "function bbb(){}\nfunction aaa(){bbb();ccc()}",
            "ccc",
        ),
        ("class Own{} pixelq(1)", "new Own()", "class Own{}", ""),
        ("function go(){a()} pixelq(1); go()", "", "function go(){a()}\ngo();", ""),
        (
            "function own(){} var own=own||{};pixelq(1)",
            "",
            "function own(){}\nvar own=own||{};",
            "",
        ),
        # What a statement that goes would make of the window, from within a function or a block.
        ("(function(w,d){w.own||(w.own=function(){});pixelq(d)})(window,d)", "own(1)", "", "own"),
        ("(function(w,d){w.own||(w.own=function(){});pixelq(d)})(window,d)", "", "", ""),
        ("(function(w,n){w[n]=w[n]||pixelq})(window,'own')", "own(1)", "", "own"),
        ("!function(){self.own=pixelq}()", "own.push(1)", "", "own"),
        ("(w=>{w['own']=pixelq})(globalThis)", "window.own(1)", "", "own"),
        ("(function(w){w.own=pixelq})(this)", "own(1)", "", "own"),
        ("if(x){own=pixelq}", "own(1)", "", "own"),
        ("if(x){var own=pixelq}", "own(1)", "", "own"),
        ("(function(o){o.own=pixelq})({})", "own(1)", "", ""),
        ("(function(){var own;own=pixelq})()", "own(1)", "", ""),
        ("(function(own){own=pixelq})()", "own(1)", "", ""),
        ("(function(w){w.ow=pixelq})(window)", "ow(1)", "", ""),
        # What it would have put into an object that stays, where that is called.
        ("ccc={};ccc.own=pixelq(1)", "ccc.own()", f"ccc={{}};{_empty('ccc.own')}", _STUB),
        (
            "var ccc=ccc||{};ccc.d={};ccc.d.own=function(){pixelq(1)}",
            "ccc.d.own.x",
            f"var ccc=ccc||{{}};\nccc.d={{}};{_empty('ccc.d.own')}",
            _STUB,
        ),
        ("ccc={};ccc.own=pixelq(1)", "ccc.own;ccc.owner()", "ccc={};", ""),
        (
            "ccc={};(function(){ccc.own=pixelq})()",
            "ccc.own(1)",
            f"ccc={{}};{_empty('ccc.own')}",
            _STUB,
        ),
        ("ccc.own=pixelq(1)", "ccc.own()", "", ""),
        ("ccc={};ccc.own=pixelq(1);ccc.own={}", "ccc.own()", "ccc={};\nccc.own={};", ""),
        ("(function(){function own(){pixelq(1)}})()", "own()", "", ""),
        ("function own(){ pixelq(1)", "own()", "", ""),
        ("<!-- x\nfunction own(){} pixelq(1)", "own()", "", ""),
        ("pixelq(1); var s='function own(){}'", "own()", "var s='function own(){}';", ""),
    ],
)
def test_table(script: str, rest: str, code: str, names: str) -> None:
    vendors = VendorsOfCode(_vendors, _vendors)
    found = remnants(script.encode(), partial(is_in, rest.encode()), _is_vendors, vendors)
    assert found.code.decode() == code
    assert found.names == frozenset(names.split())


def test_the_tag_stays_as_it_was() -> None:
    page = b'<script nonce="n">function own(){} pixelq(1)</script><p onclick="own()">'
    assert closed(page) == b'<script nonce="n">function own(){}</script><p onclick="own()">'


@pytest.mark.parametrize(
    "kind",
    ["", "text/javascript", "0a1b2c3d4e5f-text/javascript", "rocketlazyloadscript",
     "litespeed/javascript", "pmdelayedscript", "text/psajs"],
)  # fmt: skip
def test_what_a_loader_of_the_page_runs_later_leaves_its_own_code(kind: str) -> None:
    page = f'<script type="{kind}">function own(){{}} pixelq(1)</script><p onclick="own()">'
    left = f'<script type="{kind}">function own(){{}}</script><p onclick="own()">'
    assert closed(page.encode()).decode() == left


@pytest.mark.parametrize("kind", ["module", "text/partytown", "text/plain; javascript"])
def test_what_is_not_run_as_a_script_leaves_nothing(kind: str) -> None:
    page = f'<script type="{kind}">function own(){{}} pixelq(1)</script><p onclick="own()">'
    assert b"function" not in closed(page.encode())


def test_a_vendors_snippet_goes_whole() -> None:
    page = b"<script>function own(){} var a_b=pixelq(); pixelq(1)</script><p>a_b own function"
    left = b"<script type=application/consent-closed></script><p>a_b own function"
    assert closed(page) == left


@pytest.mark.parametrize(
    ("script", "left"),
    [
        ("var conf={at:'//a.pixel.test/'}; pixelq(1)", "var conf={at:'//a.pixel.test/'};"),
        ("ours={code:'pixelq(2)'}; pixelq(1)", "ours={code:'pixelq(2)'};"),
        ("ours={code:'pixelq(2)'}; eval(ours.code)", "ours={code:'pixelq(2)'};"),
        ("ours={code:'pixelq(2)',n:1}; show(ours.n); pixelq(1)", "ours={code:'pixelq(2)',n:1};"),
        (
            "a={}; a.b={code:'pixelq(2)'}; a.b.c=a.n; a.d=f(a.b); show(a.d); show(n); pixelq(1)",
            "a={};a.b={code:'pixelq(2)'};show(n);",
        ),
        # Where that is not enough: without the data, and without what rests upon it.
        (
            "a={}; a.b={code:'pixelq(2)',b:1}; a.b.c={d:1}; a.e={f:2}; pixelq(1)",
            "a={};a.e={f:2};",
        ),
    ],
)
def test_data_that_names_a_tracker_stays_while_nothing_that_stays_reads_it(
    script: str, left: str
) -> None:
    shown = closed(f"<script>{script}</script>".encode()).decode()
    assert shown.replace("\n", "") == f"<script>{left}</script>"


def test_what_is_called_gets_a_stand_in() -> None:
    page = compiled(b"<script>function own(){pixelq(1)}</script><p onclick='own()'>")
    assert frozenset[str]().union(*(gate.names for gate in page.gates)) == {"own"}
    assert render(page, owners("pixel")) == page.body


def test_a_script_within_a_drawing_leaves_nothing() -> None:
    page = b"<svg><script>function own(){} pixelq(1)</script></svg><p onclick='own()'>"
    left = b"<svg><script type=application/consent-closed></script></svg><p onclick='own()'>"
    assert closed(page) == left


def test_what_stays_of_a_script_hides_nothing_of_those_who_read_the_page_without_it() -> None:
    """To a browser with scripts a script, to one without them an image: closed for both."""
    page = (
        b"<noscript><p title='</noscript><script>function own(){} pixelq(1);/*'>"
        b"<img src=//pixel.test/p>*/</script><p onclick='own()'>"
    )
    assert b"pixel.test" not in closed(page)
    assert b"<script type=application/consent-closed>function own(){} pixelq(1)" in closed(page)


@given(
    code=st.lists(
        st.sampled_from(
            ("own", "ownown", "window.", ".", "-", "$", "x", " ", "\n", "(", "[", ";", "\xe9", "")
        ),
        max_size=12,
    ).map("".join),
    following=st.sampled_from((CALLED, ENDED)),
)
def test_a_name_is_found_as_one_expression_would_find_it(
    code: str, following: re.Pattern[bytes]
) -> None:
    written = code.encode("latin-1")
    long_way = rb"(?:(?<![\w$.-])|(?<=window\.))own" + following.pattern
    assert is_in(written, "own", following) == bool(re.search(long_way, written))


_PAGES = ("own()", "x", "own", "own(1);name", "other()", "own()", "name.own()", "app.go()", "x")
_SCRIPTS = (
    "function own(){return name} var name=1;function other(){own()} pixelq(own())",
    "var name=pixelq(1);function own(){pixelq(name)}",
    "window.app={};app.go=function(){pixelq(1)};var own=2,name={a:own}",
)


@pytest.mark.parametrize("script", _SCRIPTS)
def test_what_is_remembered_is_what_the_page_needs(script: str) -> None:
    boundary = Boundary(own=BOUNDARY.own, index=BOUNDARY.index)
    for rest in _PAGES * 2:
        named = partial(is_in, rest.encode())
        fresh = Boundary(own=BOUNDARY.own, index=BOUNDARY.index)
        found = known_remnants(script.encode(), named, boundary)
        assert found == known_remnants(script.encode(), named, fresh)


def test_the_same_answers_are_not_looked_into_again(monkeypatch: pytest.MonkeyPatch) -> None:
    boundary = Boundary(own=BOUNDARY.own, index=BOUNDARY.index)
    script = _SCRIPTS[0].encode()
    first = known_remnants(script, partial(is_in, b"own()"), boundary)
    monkeypatch.delattr("proxy.html.known_remnants.remnants")
    assert known_remnants(script, partial(is_in, b"own(2);x"), boundary) is first
