"""An inline script belongs to a vendor by its code, not by what it names or keeps as data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.html import compile_page, render
from proxy.html.inline_script_owners import vendors_of_script
from tests.html.catalogue_boundary import BOUNDARY, URL
from tests.support.golden import golden_snippets


def _cases() -> list[tuple[str, str, str]]:
    table = Path(__file__).with_name("scripts.txt").read_text(encoding="utf-8")
    cases = []
    for block in re.split(r"^=== ", table, flags=re.MULTILINE)[1:]:
        head, _, script = block.rstrip().partition("\n")
        name, _, whose = head.partition(" | ")
        cases.append((name, whose, script))
    return cases


@pytest.mark.parametrize(("name", "whose", "script"), _cases(), ids=[c[0] for c in _cases()])
def test_whose_a_script_is(name: str, whose: str, script: str) -> None:
    body = f"<!doctype html><body><p>é</p><script>{script}</script><p>x</p>".encode()
    page = compile_page(body, "text/html; charset=utf-8", URL, BOUNDARY)
    if whose == "site":
        assert render(page, frozenset()) == body
        return
    assert page.vendors, "it is a vendor's"
    shown = render(page, frozenset())
    # On the page of a framework its text stays, as one that is not run.
    assert b"<script>" + script.encode() not in shown


def test_published_snippets_lose_nothing() -> None:
    index = BOUNDARY.index
    for snippet in golden_snippets():
        text = snippet["text"]
        assert set(vendors_of_script(text, index)) == set(index.vendors_of_text(text)), text


# --- Scripts that run or load the text that they put away, by one way or another

_ADDRESS = "https://connect.facebook.net/en_US/fbevents.js"
_CODE = "fbq('init','1')"
_MARKUP = "<img src=x onerror=\"fbq('init','1')\">"
_SINKS = {
    _ADDRESS: (
        "var s=document.createElement('script');s.src=$;document.head.appendChild(s)",
        "new Image().src=$", "import($)", "fetch($)", "loadScript($)", "location=$",
        "[$].forEach(loadScript)", "require([$],start)", "document.images[0].setAttribute('src',$)",
        "document.write('<script src='+$+'></'+'script>')", "Object.assign(new Image,{src:$})",
        "document.body.style.backgroundImage='url('+$+')'", "q.push({src:$});run(q)",
    ),
    _CODE: (
        "eval($)", "(0,eval)($)", "new Function($)()", "setTimeout($,1)", "window.setInterval($)",
        "var s=document.createElement('script');s.text=$;document.head.appendChild(s)",
        "document.body.setAttribute('onclick',$)", "location='javascript:'+$", "$.globalEval($)",
        "import('data:text/javascript,'+$)", "new Worker(URL.createObjectURL(new Blob([$])))",
    ),
    _MARKUP: (
        "document.write($)", "document.body.innerHTML=$", "jQuery('body').append($)",
        "document.body.insertAdjacentHTML('beforeend',$)",
        "document.querySelector('iframe').srcdoc=$",
        "document.body.append(document.createRange().createContextualFragment($))", "render($)",
    ),
}  # fmt: skip
# How a text is held, and how it is reached there.
_HELD = (
    ("$", ""), ("[$]", "[0]"), ("{a:$}", ".a"), ("{a:[{b:$}]}", ".a[0].b"),
    ('{"a-b":$}', '["a-b"]'),
    ("(function(x){return {y:x}}($))", ".y"), ("(function(x,o){o.y=x;return o})($,{})", ".y"),
    ("JSON.parse('['+JSON.stringify($)+']')", "[0]"), ("Object.create({a:$})", ".a"),
)  # fmt: skip
_PUT = (
    ("var v=@;", "v"), ("let v=@,w=1;", "v"), ("window.v=@;", "v"), ("v=@;", "window.v"),
    ("self['v']=@;", "v"), ("var n=n||{};n.v=@;", "n.v"), ("var n={};n['v']=@;", "n['v']"),
    ("window.n={v:@};", "n.v"), ("var v=null;v=@;", "v"), ("const v=(@);", "v"),
    ("var m=window.m=window.m||{};m.v=@;", "window.m.v"), ("var v=@,u=v;", "u"),
    ("var n={};n.v=@;n.v.z=1;", "n.v"), ("var n={};n.v=@;n.v.y.z=n.w;n.o.p=2;", "window.n.v"),
)  # fmt: skip
_REACHED = (
    "!", "var t=!;~", "(function(t){~})(!);", "(t=>{~})(!);", "for(const t of [!]){~}",
    "[!].forEach(function(t){~});", "var {t}={t:!};~",
    "addEventListener('load',function(){~},t=!);",
    "function go(t){~}go(!);", "if(ready){let t=!;~}", "Promise.resolve(!).then(function(t){~});",
)  # fmt: skip
_BESIDE = (
    "", "var other={a:1};", "// a comment\n", "window.open_menu=function(){return 1};",
    "self.__next_f=self.__next_f||[];", "document.getElementById('x').textContent='y';",
)  # fmt: skip


@st.composite
def _loading(draw: st.DrawFn) -> str:
    """A script that holds one of the texts and runs, shows or loads it."""
    text = draw(st.sampled_from(sorted(_SINKS)))
    sink = draw(st.sampled_from(_SINKS[text]))
    written, reach = draw(st.sampled_from(_HELD))
    put, name = draw(st.sampled_from(_PUT))
    way = draw(st.sampled_from(_REACHED))
    before, between = draw(st.sampled_from(_BESIDE)), draw(st.sampled_from(_BESIDE))
    stored = put.replace("@", written.replace("$", json.dumps(text)))
    used = sink.replace("$", "t") if "~" in way else sink.replace("$", name + reach)
    run = way.replace("~", used).replace("!", used if way == "!" else name + reach)
    script = f"{before}{stored}{between}{run}"
    return draw(st.sampled_from(("@", "(function(){@})();", "{@}", "try{@}catch(e){}"))).replace(
        "@", script
    )


@settings(max_examples=1500, deadline=None)
@given(script=_loading())
def test_a_script_that_uses_its_text_is_the_vendors(script: str) -> None:
    index = BOUNDARY.index
    vendors = index.vendors_of_text(script)
    assert vendors
    assert vendors_of_script(script, index) == vendors
