"""Dictionaries of structured fields (RFC 9651)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.structured_fields import dictionary


@pytest.mark.parametrize(
    ("field", "members"),
    [
        ("", {}),
        ("  ", {}),
        ("a", {"a": ("?1",)}),
        ("a;p=1;q, b=2", {"a": ("?1",), "b": ("2",)}),
        ("a=()", {"a": ()}),
        ("a=( )", {"a": ()}),
        ('a=(self  "x y, z)";p *);q=?0 ,\tb=t/:', {"a": ("self", '"x y, z)"', "*"), "b": ("t/:",)}),
        ("a=1, a=(2)", {"a": ("2",)}),
        (r'a="\"\\"', {"a": (r'"\"\\"',)}),
        ("*a-._9=-1.250, b=:aGk=:, c=?1", {"*a-._9": ("-1.250",), "b": (":aGk=:",), "c": ("?1",)}),
    ],
)  # fmt: skip
def test_well_formed(field: str, members: dict[str, tuple[str, ...]]) -> None:
    assert dictionary(field) == members


@pytest.mark.parametrize(
    "field",
    [
        "a,", ",a", "a,,b", "a =1", "a= 1", "A=1", "a=1 b=2", "a=(", "a=(b", "a=(b,c)", "a=(b c))",
        "a=(b)c", "a='b'", 'a="b', r'a="\b"', 'a="\u00e4"', "a=1234567890123456", "a=1.", "a=.5",
        "a=1.2345", "a=@1", 'a=%"b"', "a=?2", "a=:b", "a=;b", "a=b;C", "\ta=1",
        "a 'none'; b 'none'", 'a=("b""c")',
    ],
)  # fmt: skip
def test_malformed(field: str) -> None:
    assert dictionary(field) is None


_KEYS = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,5}", fullmatch=True)
_ITEMS = st.from_regex(
    r"[a-z*][a-zA-Z:/]{0,5}|[0-9]{1,9}|\?[01]|\"[ !#-~]{0,5}\"", fullmatch=True
).filter(lambda item: "\\" not in item)
_MEMBERS = st.dictionaries(_KEYS, st.lists(_ITEMS, max_size=3).map(tuple), max_size=4)


@given(_MEMBERS, _MEMBERS)
def test_lines_that_are_joined_are_one_dictionary(
    one: dict[str, tuple[str, ...]], other: dict[str, tuple[str, ...]]
) -> None:
    lines = [", ".join(f"{k}=({' '.join(v)})" for k, v in part.items()) for part in (one, other)]
    joined = ", ".join(line for line in lines if line)
    assert dictionary(joined) == one | other


@given(st.text(alphabet='a*=();, \t"\\1.?:-B', max_size=40))
def test_any_text_is_read_or_refused(field: str) -> None:
    read = dictionary(field)
    if read is not None and field.strip(" "):
        # What browsers take, they take beside ours.
        assert dictionary(f"{field}, ours=()") == {**read, "ours": ()}
