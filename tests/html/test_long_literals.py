"""A long literal of data does not cost a page its state."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.html import compile_page, render
from proxy.html.long_literals import shortened
from proxy.html.own_statements import parts_of
from proxy.html.script_syntax import parse_script
from tests.html.catalogue_boundary import BOUNDARY, URL

_ITEMS = [{"id": n, "words": "some \u00e9 words", "at": f"/x/{n}"} for n in range(12_000)]
_STATE = json.dumps({"items": _ITEMS})
_NAMING = json.dumps({"items": _ITEMS, "tag": {"code": "fbq('init','1')"}})

# As templates and bundlers write it: 10,000 entries have more nodes than a tree may have.
_JS_ITEMS = ",".join(f"{{id:{n},'word':'it\\'s \u00e9',on:!0,at:'/x/{n}',}}" for n in range(10_000))
_JS_STATE = f"{{items:[{_JS_ITEMS}],none:undefined,}}"
_JS_NAMING = f"{{items:[{_JS_ITEMS}],tag:{{code:\"fbq('init','1')\"}}}}"


def _shown(script: str) -> str:
    body = f"<!doctype html><body><script>{script}</script>".encode()
    return render(
        compile_page(body, "text/html; charset=utf-8", URL, BOUNDARY), frozenset()
    ).decode()


@pytest.mark.parametrize(
    "script",
    [
        f"window.__A__={_NAMING};window.__B__={{b:1}};",
        f"App.state={_NAMING};App.b=1;",
        f"window.App=window.App||{{}};App.config={_NAMING};App.init();",
        f"var a={{x:{_NAMING}}},b=2;start(b)",
        f"window.__A__={_JS_NAMING};window.__B__={{b:1}};",
        f"App.state = {_JS_NAMING}\nApp.b=1;",
        f"var a={{x:{_JS_NAMING}}},b=2;start(b)",
    ],
)
def test_a_large_state_that_names_a_vendor_is_the_sites(script: str) -> None:
    assert _shown(script) == f"<!doctype html><body><script>{script}</script>"


@pytest.mark.parametrize(
    ("script", "left"),
    [
        (f"window.__A__={_STATE};fbq('init','1');", f"window.__A__={_STATE};"),
        (f"__A__=JSON.parse({json.dumps(_STATE)});fbq('init','1');",
         f"__A__=JSON.parse({json.dumps(_STATE)});"),
        (f"window.__A__={_NAMING};fbq('init','1');", f"window.__A__={_NAMING};"),
        (f"App.a={_STATE};fbq('init','1');App.b={_STATE};App.start()",
         f"App.a={_STATE};\nApp.b={_STATE};\nApp.start();"),
        (f"window.__A__={_JS_STATE};fbq('init','1');", f"window.__A__={_JS_STATE};"),
        (f"window.__A__={_JS_NAMING};fbq('init','1');", f"window.__A__={_JS_NAMING};"),
        (f"a=JSON.parse('{_STATE}');fbq('init','1');", f"a=JSON.parse('{_STATE}');"),
    ],
)  # fmt: skip
def test_a_large_state_beside_a_tags_call_stays(script: str, left: str) -> None:
    assert _shown(script) == f"<!doctype html><body><script>{left}</script>"


@pytest.mark.parametrize(
    "script",
    [
        f"window.__A__={_NAMING};eval(__A__.tag.code);",
        f"window.__A__={_NAMING};setTimeout(__A__.tag.code);",
        f"picture={_STATE};run({_NAMING});",
        f"window.__A__={_JS_NAMING};eval(__A__.tag.code);",
        f"picture={_JS_STATE};run({_JS_NAMING});",
        f"x={{y:{_JS_STATE[:-1]},z:fbq('init','1')}}}};",
        # To the decoder a literal, to a browser texts with code between them.
        'x=\'={"a":"' + "y" * 40_000 + "';fbq('init','1');z='\"}';",
        '/*={"a":"' + "y" * 40_000 + "*/fbq('init','1');/*\"}*/",
    ],
)
def test_what_runs_a_text_of_one_stays_the_vendors(script: str) -> None:
    assert f"<script>{script}" not in _shown(script)
    assert "fbq('init','1');z" not in _shown(script)


_VALUES = st.recursive(
    st.text(max_size=5) | st.integers() | st.none(), lambda one: st.lists(one, max_size=3)
)


@given(st.lists(_VALUES.map(lambda one: {"long": "l" * 2100, "more": one}), min_size=1, max_size=3))
def test_what_is_taken_out_is_put_back(values: list[object]) -> None:
    filler = f"f('{'x' * 33_000}');"
    written = "".join(f"a={json.dumps(one, ensure_ascii=False)};" for one in values)
    script = filler + written
    short = shortened(script, lambda _: False)
    assert len(short.pairs) == len(values)
    assert short.restored(short.code.encode()) == script.encode("utf-8")
    root = parse_script(short.code.encode())
    assert root is not None
    assert short.is_read_alike(root)


def test_a_script_in_another_charset_is_read_as_it_is() -> None:
    script = b"a={'\xe9':1};/*" + b"x" * 40_000 + b"*/"
    assert parts_of(script, lambda _: False)[0].code == b"a={'\xe9':1};"


def test_half_of_a_character_in_a_text_that_names_a_vendor() -> None:
    """A server that cuts texts leaves half a pair of surrogates."""
    state = _STATE.replace("}]}", """}],"cut":"fbq('init','1') \\ud83d"}""")
    script = f"window.__A__={state};fbq('init','1');"
    assert _shown(script) == f"<!doctype html><body><script>window.__A__={state};</script>"


def test_what_is_no_literal_is_not_read_again_and_again() -> None:
    script = "fbq('init','1');x=" + '{"a":' * 50 + "[" + "1," * 500_000
    began = time.process_time()
    assert shortened(script, bool).code == script
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("unit", ["{a:", 'x={"a":b,', "x=['a',", 'x={"a":"b', "x=[1,", "y={};"])
def test_what_is_no_json_takes_time_by_its_length(unit: str) -> None:
    def took(length: int) -> float:
        script = (unit * (length // len(unit) + 1))[:length]
        started = time.process_time()
        shortened(script, lambda _: False)
        return time.process_time() - started

    assert took(800_000) < 8 * took(200_000) + 0.5
