"""What is read as a literal of JavaScript is one, to the parser as well, and runs no code."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.html.script_literals import read_literal, read_text
from proxy.html.script_syntax import is_data, parse_script


@pytest.mark.parametrize(
    ("literal", "texts"),
    [
        ("{}", ()),
        ("[ ]", ()),
        ("{a:1,}", ()),
        ("{a:{b:[1,-2.5e3,.5,],},'c':null}", ()),
        ("{a:!0,b:!1,c:void 0,d:undefined,e:true,f:false}", ()),
        (r"""{"a":"b",'c':'it\'s',3:"\"",$d_:'\\'}""", ('"b"', r"'it\'s'", r'"\""', r"'\\'")),
        ("\n { \n 'a' \t: [ 'x' , 'y' ] \n}".strip(), ("'x'", "'y'")),
        ("['</', \"//\", '/*']", ("'</'", '"//"', "'/*'")),
    ],
)
def test_what_is_data_is_read_to_its_end(literal: str, texts: tuple[str, ...]) -> None:
    for behind in ("", ";f()", "}", "]"):
        found = read_literal(f"x={literal}{behind}", 2, 99)
        assert (found.is_whole, found.end, found.texts) == (True, 2 + len(literal), texts)


@pytest.mark.parametrize(
    "script",
    [
        "{a:b}", "{a:f()}", "{a:1+1}", "{a}", "{a(){}}", "{get a(){}}", "{...b}", "{[a]:1}",
        "{a:`b`}", "{a:function(){}}", "{a:()=>1}", "{a:/b/}", "{a:1", "{a:'b", "{a:'b\n'}",
        "{a:'b\\\n'}", "[1 2]", "[1}", "{a:1]", "{,}", "[,]", "{a:1,,}", "{a:1/*b*/}", "{a:new B}",
        "{a:'b'.c}", "{a:'b'+c}", "{a:[1].b}", "{a:{}()}", "{a:1;b:2}", "{a:01}", "{a:1n}",
        "{a:truer}", "{a:NaN}", "{a:-Infinity}", "{a:'b' 'c'}",
    ],
)  # fmt: skip
def test_what_is_not_or_may_be_something_else_is_no_literal(script: str) -> None:
    assert not read_literal(script, 0, len(script)).is_whole


def test_a_text() -> None:
    assert read_text(r"f('a\'b')", 2).end == len(r"f('a\'b'")
    assert not read_text("f('a\n')", 2).is_whole


_PIECES = st.sampled_from(
    ["{", "}", "[", "]", ",", ":", "a", "'b'", '"c"', "1", "-2", "!0", "void 0", " ", "\n", "'",
     '"', "\\", "(", ")", "=>", "/", "`", "undefined", "...", "f()", "é", "//", "/*", ";"]
)  # fmt: skip


@given(st.sampled_from("{["), st.lists(_PIECES, max_size=14).map("".join))
@example("{", "a:'b',c:[1,{d:\"e\",},],}")
@example("[", "{a:1},'\\\\'x']")
def test_the_parser_agrees(opens: str, rest: str) -> None:
    script = f"{opens}{rest}"
    found = read_literal(script, 0, len(script))
    if not found.is_whole:
        return
    root = parse_script(f"x={script[: found.end]};".encode())
    assert root is not None
    value = root.children[0].children[0].child_by_field_name("right")
    assert value is not None
    assert value.type in {"object", "array"}
    assert value.end_byte == len(f"x={script[: found.end]}".encode())
    assert is_data(value)


def test_it_ends_within_its_room() -> None:
    assert read_literal("{a:1,b:2}", 0, 9).is_whole
    assert not read_literal("{a:1,b:2}", 0, 8).is_whole


@pytest.mark.parametrize(
    "unit", ["{a:", "[", "{a:[", "'b',", "1,", "{a:'b',", "a:1,", " ", "{a:'\\''},"]
)
def test_it_takes_time_by_the_length(unit: str) -> None:
    def took(length: int) -> float:
        script = "{a:[" + (unit * (length // len(unit) + 1))[:length]
        started = time.process_time()
        read_literal(script, 0, len(script))
        return time.process_time() - started

    assert took(800_000) < 8 * took(200_000) + 0.5
