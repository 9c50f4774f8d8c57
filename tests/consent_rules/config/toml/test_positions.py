"""Every value that tomllib reads has its place."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.config.toml.positions import Path, TomlLines

TEXT = """\
# comment
title = "ü" # comment
a.b.c = 1
a."x y".'z' = [1, # one
  2, {k = 3, "ö" = [4]},
]

[policy]
version = "1"
[policy.region_from]
header = "H"
[[site]]
name = "www"
[[site.page]]
path = "/a"
[[site.page]]
path = "/b"
[site.extra]
x = 1
[[site]]
name = "shop"
  [[site.page]]
  path = "/c"
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("title",), (2, 1), (2, 9)),
        (("a", "b", "c"), (3, 1), (3, 9)),
        (("a", "x y", "z", 0), (4, 16), (4, 16)),
        (("a", "x y", "z", 1), (5, 3), (5, 3)),
        (("a", "x y", "z", 2, "k"), (5, 7), (5, 11)),
        (("a", "x y", "z", 2, "ö", 0), (5, 21), (5, 21)),
        (("policy",), (8, 2), (8, 2)),
        (("policy", "version"), (9, 1), (9, 11)),
        (("policy", "region_from"), (10, 2), (10, 2)),
        (("policy", "region_from", "header"), (11, 1), (11, 10)),
        (("site",), (12, 3), (12, 3)),
        (("site", 0), (12, 3), (12, 3)),
        (("site", 0, "page", 1), (16, 3), (16, 3)),
        (("site", 0, "page", 1, "path"), (17, 1), (17, 8)),
        (("site", 0, "extra", "x"), (19, 1), (19, 5)),
        (("site", 1, "name"), (21, 1), (21, 8)),
        (("site", 1, "page", 0, "path"), (23, 3), (23, 10)),
        # What is not there is told at its table, or at the start.
        (("site", 1, "hosts", 3), (20, 3), (20, 3)),
        (("nothing",), (1, 1), (1, 1)),
        ((), (1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_places(path: Path, key: tuple[int, int], value: tuple[int, int], ending: str) -> None:
    lines = TomlLines(TEXT.replace("\n", ending))
    assert lines.key(path) == key
    assert lines.value(path) == value


KEYS = st.sampled_from(["a", "b", "c-d", "9", '"e f"', "'g.h'", '"\\u00fc"', '""'])
SCALARS = st.sampled_from(
    ["1", "-2.5", "true", '"x"', "'y'", '"""m\nn"""', "2026-01-02", "inf", '"ü"', "0xff"]
)
COMMENTS = st.sampled_from(["", " # note", " # ["])
INLINE = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda items: "[ # c\n" + ",\n".join(items) + ",\n]"
        ),
        st.dictionaries(KEYS, inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{k} = {v}" for k, v in table.items()) + "}"
        ),
    ),
    max_leaves=6,
)
PAIRS = st.builds(
    lambda keys, value, comment: f"{'.'.join(keys)} = {value}{comment}",
    st.lists(KEYS, min_size=1, max_size=3),
    INLINE,
    COMMENTS,
)
HEADERS = st.builds(
    lambda keys, array, comment: (
        f"[[{'.'.join(keys)}]]{comment}" if array else f"[{' . '.join(keys)}]{comment}"
    ),
    st.lists(KEYS, min_size=1, max_size=3),
    st.booleans(),
    COMMENTS,
)


def _paths(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _paths(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _paths(value, (*path, index))


@pytest.mark.slow
@given(st.lists(st.one_of(PAIRS, HEADERS, st.just("# only a comment")), max_size=12))
@settings(max_examples=500, deadline=None)
def test_every_value_that_tomllib_reads_has_its_place(entries: list[str]) -> None:
    # Headers and keys drawn at random often clash: what would clash is left out.
    text = ""
    for entry in entries:
        try:
            tomllib.loads(longer := f"{text}{entry}\n")
        except tomllib.TOMLDecodeError:
            continue
        text = longer
    lines = TomlLines(text)
    rows = text.split("\n")
    for path, value in _paths(tomllib.loads(text)):
        if not path:
            continue
        assert lines.has(path), (path, text)
        line, column = lines.value(path)
        shown = rows[line - 1][column - 1 :]
        if isinstance(value, bool):
            assert shown.startswith("true")
        elif isinstance(value, str):
            assert shown.startswith(("'", '"'))
        elif isinstance(value, datetime.date):
            assert shown.startswith("2026")
        elif isinstance(value, int):
            assert shown.startswith(("1", "0xff"))
