"""Real URLs and published snippets find the vendor a person would name."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.matching.paths import path_glob
from consent_rules.matching.vendor_index import VendorIndex
from tests.support.golden import golden_rows, golden_snippets


@pytest.fixture(scope="module")
def index() -> VendorIndex:
    return VendorIndex(catalogue().values())


@pytest.mark.parametrize(("url", "vendor_id"), golden_rows("golden_urls.csv"))
def test_url(index: VendorIndex, url: str, vendor_id: str) -> None:
    parts = urlsplit(url)
    assert parts.hostname
    vendor = index.vendor_of_url(parts.hostname, parts.port, parts.path or "/")
    assert (vendor.id if vendor else "") == vendor_id


@pytest.mark.parametrize(("path", "vendor_id"), golden_rows("golden_own_paths.csv"))
def test_own_path(index: VendorIndex, path: str, vendor_id: str) -> None:
    vendor = index.vendor_of_own_path(path)
    assert (vendor.id if vendor else "") == vendor_id


@pytest.mark.parametrize(("cookie", "vendor_ids"), golden_rows("golden_cookies.csv"))
def test_cookie(cookie: str, vendor_ids: str) -> None:
    found = [
        vendor.id
        for vendor in catalogue().values()
        if any(path_glob(pattern).match(cookie) for pattern in vendor.cookies)
    ]
    assert sorted(found) == vendor_ids.split()


@pytest.mark.parametrize("snippet", golden_snippets(), ids=lambda s: s["what"])
def test_snippet(index: VendorIndex, snippet: dict[str, Any]) -> None:
    assert sorted(index.vendors_of_text(snippet["text"])) == sorted(snippet["vendors"])
