"""Click identifiers come off an address; everything else of it stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.matching.click_ids import is_click_id, without_click_ids


@pytest.mark.parametrize(
    ("target", "clean"),
    [
        ("/pay", None),
        ("/pay?", None),
        ("/pay?bill=12&amount=3", None),
        ("/pay?gclid=abc", "/pay"),
        ("/pay?bill=12&gclid=abc", "/pay?bill=12"),
        ("/pay?gclid=abc&bill=12", "/pay?bill=12"),
        ("/pay?a=1&fbclid=x&b=%20&msclkid=y&c", "/pay?a=1&b=%20&c"),
        ("/pay?GCLID=abc&TtClId=1", "/pay"),
        ("/pay?%67clid=abc", "/pay"),
        ("/pay?li_fat_id=1&_hsenc=2&_hsmi=3&mc_eid=4&utm_source=x&wbraid=5", "/pay"),
        ("/pay?gclid", "/pay"),
        ("/pay?xgclid=1&gclidx=2", None),
        ("//pay?twclid=1", "//pay"),
    ],
)
def test_table(target: str, clean: str | None) -> None:
    assert without_click_ids(target) == clean


@given(st.text("abcglidfu_%&=?/;", max_size=40))
def test_what_stays_is_as_it_was(query: str) -> None:
    target = f"/p?{query}"
    clean = without_click_ids(target)
    if clean is None:
        return
    path, _, kept = clean.partition("?")
    assert path == "/p"
    given_parts = query.split("&")
    parts = kept.split("&") if kept else []
    assert without_click_ids(clean) is None
    # In order, and nothing new.
    rest = iter(given_parts)
    assert all(part in rest for part in parts)


def test_names_that_sites_use_are_none() -> None:
    for name in ("id", "q", "page", "bill", "account", "ref", "token", "lang", "sid", "source"):
        assert not is_click_id(name)
