"""The index of tags gives what asking each tag gives."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.rules import TagIndex, TagRule

DAY = datetime.date(2026, 1, 1)
_SEGMENTS = st.sampled_from(["", "a", "b", "ab", "*", "a*", "*b", "a*b"])
_PATTERNS = st.lists(_SEGMENTS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
_PATHS = st.lists(st.sampled_from(["", "a", "b", "ab", "axb", "*"]), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)


@pytest.mark.slow
@given(
    pages=st.lists(
        st.tuples(st.lists(_PATTERNS, min_size=1, max_size=3), st.lists(_PATTERNS, max_size=1)),
        max_size=8,
    ),
    paths=st.lists(_PATHS, min_size=1, max_size=8),
)
@settings(max_examples=400, deadline=None)
def test_the_same_tags_in_the_same_order(
    pages: list[tuple[list[str], list[str]]], paths: list[str]
) -> None:
    tags = [
        TagRule(f"v{i}", tuple(some), DAY, DAY, False, tuple(out))
        for i, (some, out) in enumerate(pages)
    ]
    index = TagIndex(tags)
    for path in paths:
        found = index.at(path)
        assert found == tuple(tag for tag in tags if tag.names(path))
        assert index.at(path) is found


def test_what_is_asked_does_not_grow_with_the_tags() -> None:
    tags = [TagRule(f"v{i}", (f"/part-{i}/*",), DAY, DAY, False) for i in range(10_000)]
    index = TagIndex(tags)
    near = index._by_segment["part-7"]
    assert near == [7]
    assert [tag.vendor for tag in index.at("/part-7/x")] == ["v7"]
    assert index.at("/elsewhere") is index.at("/another") == ()


@pytest.mark.parametrize(
    ("path", "is_named"),
    [
        ("/", True),
        ("/blog/x", True),
        ("/patientsx", True),
        ("/patients", False),
        ("/patients/", False),
        ("/patients/x", False),
        ("/Patients/x", False),
        ("//patients/x", False),
        ("/blog/../patients/x", False),
        ("/%70atients/x", False),
        ("/x/..%2fpatients/x", False),
        ("/patients;a=1/x", False),
        ("/careers", False),
        ("/careers/", False),
        ("/careers/x", True),
    ],
)
def test_what_is_left_out_is_so_in_every_spelling(path: str, is_named: bool) -> None:
    tag = TagRule("v", ("/*",), DAY, DAY, False, ("/patients/*", "/careers"))
    assert bool(TagIndex([tag]).on(path)) is is_named
