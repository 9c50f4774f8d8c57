"""A hint to a host of which vendors own parts is for those whom the page asks there."""

from __future__ import annotations

import pytest

from consent_rules.categories import Category
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor
from proxy.html import Boundary, compile_page
from proxy.html.resource import ResourceKind
from tests.html.pipeline import URL, UTF8, owners

_BOUNDARY = Boundary(
    own=HostSet(["www.example.com"]),
    index=VendorIndex(
        [
            Vendor("maps", "Maps", Category.FUNCTIONAL, paths=("shared.test/maps/*",)),
            Vendor("ads", "Ads", Category.ADVERTISING, paths=("shared.test/ads/*",)),
        ]
    ),
)
_HINT = "<link rel=preconnect href=//shared.test>"


@pytest.mark.parametrize(
    ("rest", "needs"),
    [
        ("", {"?shared.test"}),
        ("<iframe src=//shared.test/maps/x></iframe>", {"maps"}),
        ("<iframe src=//shared.test/maps/x></iframe><img src=//shared.test/ads/y>",
         {"ads", "maps"}),
        ("<iframe src=//shared.test/maps/x></iframe><img src=//shared.test/>",
         {"?shared.test", "maps"}),
        ("<img src=//other.test/?u=//shared.test/maps/x>", {"?shared.test"}),
    ],
)  # fmt: skip
def test_table(rest: str, needs: set[str]) -> None:
    page = compile_page(f"{_HINT}{rest}".encode(), UTF8, URL, _BOUNDARY)
    assert {gate.needs for gate in page.gates if gate.kind is ResourceKind.HINT} == {owners(*needs)}


def test_a_hint_with_a_path_is_its_owners() -> None:
    body = b"<link rel=preload as=image href=//shared.test/ads/x>"
    page = compile_page(body, UTF8, URL, _BOUNDARY)
    assert {gate.needs for gate in page.gates} == {owners("ads")}
