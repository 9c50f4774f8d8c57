"""What of a script is the site's own, told from what is a vendor's."""

from __future__ import annotations

import time

import pytest

from proxy.html import compile_page, render
from proxy.html.own_statements import parts_of
from tests.html.catalogue_boundary import BOUNDARY, URL
from tests.support.golden import golden_snippets


def _is_vendors(text: str) -> bool:
    return "pixelq" in text


@pytest.mark.parametrize(
    ("script", "left"),
    [
        # Data stays, whoever reads it.
        ("ACME={c:{a:1}};pixelq(1)", ["ACME={c:{a:1}};"]),
        ("x.y={a:1};pixelq(1)", ["x.y={a:1};"]),
        ("x['y'].z=[-1,!0,undefined];pixelq(1)", ["x['y'].z=[-1,!0,undefined];"]),
        ("window['__A__']={a:1};pixelq(1)", ["window['__A__']={a:1};"]),
        ("window.conf=window.conf||{};conf.a=1;pixelq(1)", ["window.conf=window.conf||{};",
                                                            "conf.a=1;"]),
        ("var conf=window.conf||{};pixelq(1)", ["var conf=window.conf||{};"]),
        ("let a={b:1},c=pixelq(2)", ["var a={b:1};"]),
        ("x={a:'see pixelq(1)'};pixelq(2)", ["x={a:'see pixelq(1)'};"]),
        # Statements of the site's own stay.
        ("document.documentElement.className='js';pixelq(1)",
         ["document.documentElement.className='js';"]),
        ("pixelq(1);initTabs();", ["initTabs();"]),
        ("pixelq(1);$(function(){$('.tab').show()});", ["$(function(){$('.tab').show()});"]),
        ("pixelq(1);if(location.hash){openTab(location.hash)}",
         ["if(location.hash){openTab(location.hash)}"]),
        ("var t=document.querySelector('p');t.hidden=true;pixelq(1)",
         ["var t=document.querySelector('p');", "t.hidden=true;"]),
        ("pixelq('init','1');AOS.init();", ["AOS.init();"]),
        ("pixelq('a',1);if(!window.x){window.x={a:1}}", ["if(!window.x){window.x={a:1}}"]),
        ("window.conf=Object.assign({},{a:1});pixelq(1)", ["window.conf=Object.assign({},{a:1});"]),
        ("window.conf=Object.freeze({a:'pixelq'});pixelq(1)",
         ["window.conf=Object.freeze({a:'pixelq'});"]),
        ("conf=JSON.parse('{\"a\":\"pixelq\"}');pixelq(1)",
         ["conf=JSON.parse('{\"a\":\"pixelq\"}');"]),
        ("jQuery.extend(Drupal.settings,{a:'pixelq(2)'});pixelq(1)",
         ["jQuery.extend(Drupal.settings,{a:'pixelq(2)'});"]),
        ("addEventListener('load',()=>{document.body.hidden=false});pixelq(1)",
         ["addEventListener('load',()=>{document.body.hidden=false});"]),
        ("$('.tab').on('click',function(){$(this).toggle()});pixelq('event','click')",
         ["$('.tab').on('click',function(){$(this).toggle()});"]),
        ("var menu=document.querySelector('p');menu.onclick=function(){pixelq(2)};menu.hidden=1",
         ["var menu=document.querySelector('p');", "menu.hidden=1;"]),
        ("const {a,b:[c]}=window.conf;show(c);pixelq(1)",
         ["var {a,b:[c]}=window.conf;", "show(c);"]),
        ("switch(a){case 1:show(a)} do{b()}while(0);pixelq(1)",
         ["switch(a){case 1:show(a)}", "do{b()}while(0);"]),
        ("pixelq(1);document.cookie='a=1';document.body.className='x'",
         ["document.body.className='x';"]),
        # Where a stand-in is there for the vendor's global, its call in a handler is no harm.
        ("pixelq('init');menu.addEventListener('click',function(){open();fooq('event')})",
         ["menu.addEventListener('click',function(){open();fooq('event')});"]),
        ("function fooq(){pixelq(arguments)} fooq('js');setTimeout(()=>{fooq('x');own()},9);",
         ["setTimeout(()=>{fooq('x');own()},9);"]),
        # Not where the handler has the vendor's own code, or runs at once.
        ("pixelq(1);menu.addEventListener('click',function(){open();pixelq(2)})", []),
        ("pixelq(1);(function(){fooq('x');own()})()", []),
        ("pixelq(1);own(fooq)", []),
        ("pixelq(1);on('click',function(){fooq.src='//x.test'})", []),
        # Functions that are assigned run nothing yet, whatever they do.
        ("ACME={};ACME.show=function(u){document.body.append(u)};pixelq(1);ACME.show(x)",
         ["ACME={};", "ACME.show=function(u){document.body.append(u)};", "ACME.show(x);"]),
        ("var a=a||{};a.on=function(f){addEventListener('load',f)};a.on(function(){pixelq(1)})",
         ["var a=a||{};", "a.on=function(f){addEventListener('load',f)};"]),
        ("ACME={load(u){document.body.append(u)},at:[1,()=>fetch(x)]};pixelq(1)",
         ["ACME={load(u){document.body.append(u)},at:[1,()=>fetch(x)]};"]),
        ("x.show=(function(){fetch(y)});pixelq(1)", ["x.show=(function(){fetch(y)});"]),
        ("var show=function(){x.append(1)};pixelq(1)", ["var show=function(){x.append(1)};"]),
        ("pixelq(1);customElements.define('x-a',class extends HTMLElement{open(){this.hidden=0}})",
         ["customElements.define('x-a',class extends HTMLElement{open(){this.hidden=0}});"]),
        ("pixelq(1);define(['x'],function(){customElements.get('x-a')})", []),
        # Not those that hold a signature, that a browser calls, or of a vendor's object.
        ("ACME={a:function(){pixelq(1)}};pixelq(2)", []),
        ("x.onload=function(){document.write(1)};pixelq(1)", []),
        ("document.write=function(){fetch(x)};pixelq(1)", []),
        ("pixelq.show=function(){x.append(1)};pixelq(1)", []),
        ("ACME={[document.write(1)](){}};pixelq(1)", []),
        ("ACME={a:fetch(x),b(){}};pixelq(1)", []),
        # What is a vendor's goes, and what rests upon it.
        ("ACME={};ACME.a=pixelq(1);ACME.a.b=2;ACME.c={d:1}", ["ACME={};", "ACME.c={d:1};"]),
        ("ACME={};ACME.a=function(){pixelq(1)};ACME.a.b=function(){};ACME.c=function(){}",
         ["ACME={};", "ACME.c=function(){};"]),
        ("ACME={a:{b:1}};ACME.a=pixelq(1);ACME.a={c:1};ACME.a.d=2",
         ["ACME={a:{b:1}};", "ACME.a={c:1};", "ACME.a.d=2;"]),
        ("pixelq.conf={a:1};pixelq(1)", []),
        ("var t=pixelq(1);t.x={a:1};show(t)", []),
        ("(function(w){w.fooq=function(){pixelq(1)}})(window);fooq('x');own()", ["own();"]),
        ("(function(w,n){w[n]=function(){pixelq(1)}})(window,'fooq');fooq('x');own()", ["own();"]),
        ("function load(u){pixelq(u)} load('//x');own()", ["own();"]),
        ("pixelq(1);document.cookie='a=1'", []),
        ("pixelq(1);new Image().src='//x.test'", []),
        ("pixelq(1);document.body.append(x)", []),
        ("pixelq(1);location='https://x.test'", []),
        ("pixelq(1);onerror='x'", []),
        ("pixelq(1);eval('a')", []),
        ("pixelq(1);window['ev'+'al'](x);fetch(y);import('z')", ["window['ev'+'al'](x);"]),
        ("pixelq(1);f(`${pixelq(2)}`)", []),
        ("pixelq(1);f(", []),
    ],
)  # fmt: skip
def test_table(script: str, left: list[str]) -> None:
    parts = parts_of(script.encode(), _is_vendors, frozenset({b"fooq"}))
    assert [part.code.decode() for part in parts if part.stays] == left


@pytest.mark.parametrize(
    ("script", "left"),
    [
        ("ACME={c:{a:1}};ga('create','UA-1-1')", "ACME={c:{a:1}};"),
        ("window.__STATE__={a:'" + "z" * 20_000 + "'};fbq('init','1')",
         "window.__STATE__={a:'" + "z" * 20_000 + "'};"),
        ("window['__A__']={a:1};window['__B__']={t:'at //www.google-analytics.com/analytics.js'};"
         "ga('create','UA-1-1')",
         "window['__A__']={a:1};\n"
         "window['__B__']={t:'at //www.google-analytics.com/analytics.js'};"),
        ('Fusion.globalContent={"h":"src=https://platform.twitter.com/widgets.js"};'
         'Fusion.deployment="1";fbq("init","1")',
         'Fusion.globalContent={"h":"src=https://platform.twitter.com/widgets.js"};\n'
         'Fusion.deployment="1";'),
    ],
)  # fmt: skip
def test_configuration_beside_a_tags_call_stays(script: str, left: str) -> None:
    body = f"<!doctype html><body><script>{script}</script>".encode()
    page = compile_page(body, "text/html; charset=utf-8", URL, BOUNDARY)
    assert page.vendors
    shown = render(page, frozenset()).decode()
    assert shown == f"<!doctype html><body><script>{left}</script>"
    again = compile_page(shown.encode(), "text/html; charset=utf-8", URL, BOUNDARY)
    assert not again.gates


def test_of_published_snippets_nothing_stays_that_runs_their_code() -> None:
    for snippet in golden_snippets():
        body = f"<script>{snippet['text']}</script>".encode()
        shown = render(compile_page(body, "text/html; charset=utf-8", URL, BOUNDARY), frozenset())
        again = compile_page(shown, "text/html; charset=utf-8", URL, BOUNDARY)
        assert not again.gates, shown


def test_remembered_parts_are_the_parts() -> None:
    for snippet in (
        *(one["text"] for one in golden_snippets()),
        "ACME={a:1};ga('create','UA-1-1')",
        "f(",
    ):
        script = str(snippet).encode("utf-8", "replace")
        made = parts_of(script, BOUNDARY.names_vendor, BOUNDARY.stubbed_in(script))
        for _ in range(2):
            assert list(BOUNDARY.parts_of_script(script)) == made


@pytest.mark.parametrize(
    "script",
    [
        "a0=pixelq(1)," + ",".join(f"a{number + 1}=a{number}+1" for number in range(4000)),
        "pixelq(1);" + ".".join(["aaaaaaaaaa"] * 30_000) + "=own(1)",
    ],
    ids=["each rests upon the one before", "a long path"],
)
def test_a_chain_takes_time_by_its_length(script: str) -> None:
    began = time.process_time()
    assert parts_of(script.encode(), _is_vendors)
    assert time.process_time() - began < 3  # with the square it is minutes
