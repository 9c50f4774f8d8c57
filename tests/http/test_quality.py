"""Quality values: one reader for codings, languages and the cache's normal form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.quality import most_wanted, weighted


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", []),
        ("gzip", [("gzip", 1.0)]),
        ("GZIP ; Q=0.5 , br", [("gzip", 0.5), ("br", 1.0)]),
        ("a;q=0,b;q=0.000,c;q=1.000", [("a", 0.0), ("b", 0.0), ("c", 1.0)]),
        ("a;q=.5, b;q=0.", [("a", 0.5), ("b", 0.0)]),
        ("text/html;level=1;q=0.3", [("text/html", 0.3)]),
        ("text/html;q=0.3;level=1", [("text/html", 0.3)]),
        ("a;x", [("a", 1.0)]),
        # What is no weight is not wanted.
        ("a;q=2, b;q=-1, c;q=nan, d;q=inf, e;q=1e-1, f;q=", [(c, 0.0) for c in "abcdef"]),
        ("a;q=0.1_0, b;q=\u0660", [("a", 0.0), ("b", 0.0)]),
        (" , ;q=1,", []),
    ],
)
def test_weighted(value: str, found: list[tuple[str, float]]) -> None:
    assert weighted(value) == found


def test_most_wanted_first_and_in_their_order() -> None:
    assert most_wanted("a;q=0.5, b, c;q=0, d;q=0.5, e") == ["b", "e", "a", "d"]


@given(st.text(alphabet="ab,;=qQ .019xé\t", max_size=60))
def test_any_text_has_weights_from_0_to_1(value: str) -> None:
    found = weighted(value)
    assert all(name == name.strip().lower() != "" and 0 <= weight <= 1 for name, weight in found)
    assert set(most_wanted(value)) <= {name for name, _ in found}
