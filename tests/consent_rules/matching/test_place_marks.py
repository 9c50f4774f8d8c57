"""The marks of a page: what the quick search finds is what a look for each of them finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.catalogue.load import catalogue
from consent_rules.categories import Category
from consent_rules.matching import vendor_index
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor


def _vendor(name: str, *places: str) -> Vendor:
    return Vendor(id=name, name=name, category=Category.FUNCTIONAL, places=places)


# Marks that hold one another, or end as another begins.
_INDEX = VendorIndex(
    (
        _vendor("a", "script:abcab", "script:cabba"),
        _vendor("b", "script:bb", ".abcabba"),
        _vendor("c", "into:ca", "script:bb"),
        *(vendor for vendor in catalogue().values() if vendor.places),
    )
)
_TOKENS = sorted({place.token for place in _INDEX._places})
_PIECES = st.sampled_from(("a", "b", "c", "abc", " ", "<p>", "\xe9", *_TOKENS[::5]))


@given(st.lists(_PIECES, max_size=60).map("".join), st.integers(0, 3))
def test_every_mark_on_the_page_is_found_however_they_overlap(text: str, limit: int) -> None:
    page = text.encode()
    expected = {place for place in _INDEX._places if place.token.encode() in page}
    assert set(_INDEX.places_in(page)) == expected
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vendor_index, "_MAX_PLACES_APART", limit)
        assert set(_INDEX.places_in(page)) == expected
