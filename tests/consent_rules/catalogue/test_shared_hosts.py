"""No entry of the catalogue opens a host on which strangers publish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import publicsuffixlist
import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.matching.hosts import HostPattern, host_covers
from consent_rules.matching.shared_hosts import SHARED_HOSTS, SharedHost, shared_host_of
from consent_rules.matching.urls import resolve
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor
from proxy.enforcement.csp import vendor_sources

VENDORS = list(catalogue().values())


def _private_suffixes() -> frozenset[str]:
    """The second part of the public suffix list, without its stars."""
    file = Path(publicsuffixlist.__file__).with_name("public_suffix_list.dat")
    part = file.read_text(encoding="utf-8").partition("===BEGIN PRIVATE DOMAINS===")[2]
    lines = (line.strip() for line in part.splitlines())
    return frozenset(
        line.removeprefix("*.") for line in lines if line and not line.startswith(("//", "!"))
    )


@pytest.fixture(scope="module")
def index() -> VendorIndex:
    return VendorIndex(VENDORS)


PRIVATE = _private_suffixes()


def _suffixes_opened(host: str) -> Iterator[str]:
    """The private suffixes of which a host pattern opens more than one publisher's host."""
    pattern = HostPattern.parse(host)
    if pattern.host in PRIVATE:
        yield pattern.host
    if pattern.below:
        yield from (suffix for suffix in PRIVATE if suffix.endswith(f".{pattern.host}"))


def test_the_list_of_private_suffixes_is_read() -> None:
    assert {"blogspot.com", "cloudfront.net", "firebaseapp.com"} <= PRIVATE


@pytest.mark.parametrize("vendor", VENDORS, ids=[v.id for v in VENDORS])
def test_no_vendor_opens_what_strangers_publish(vendor: Vendor) -> None:
    opened = {
        pattern: shared.name
        for pattern in (*vendor.hosts, *vendor.paths)
        if not pattern.startswith("/") and (shared := shared_host_of(pattern)) is not None
    }
    assert opened == {}


@pytest.mark.parametrize("vendor", VENDORS, ids=[v.id for v in VENDORS])
def test_no_vendor_opens_a_private_suffix(vendor: Vendor) -> None:
    opened = {host: list(_suffixes_opened(host)) for host in vendor.hosts}
    assert {host: suffixes for host, suffixes in opened.items() if suffixes} == {}


@pytest.mark.parametrize("vendor", VENDORS, ids=[v.id for v in VENDORS])
def test_no_policy_header_opens_what_strangers_publish(vendor: Vendor) -> None:
    """Directly what browsers are told: a CSP source is a host, or a host with a path."""
    for source in vendor_sources(vendor):
        host, slash, path = source.partition("/")
        # A path that ends in "/" holds for everything below it (CSP 3, 6.7.2.12).
        pattern = f"{host}/{path}*" if slash and source.endswith("/") else source
        shared = shared_host_of(pattern)
        assert shared is None, f"{source} opens {shared.name if shared else ''}"


@pytest.mark.parametrize(
    ("pattern", "shared"),
    [
        ("cdn.jsdelivr.net", "jsdelivr"),
        ("*.jsdelivr.net", "jsdelivr"),
        ("*.jsdelivr.net/npm/friendly-challenge*", "jsdelivr"),
        ("cdn.jsdelivr.net/npm/*", "jsdelivr"),
        ("cdn.jsdelivr.net/combine/npm/x@1/y.js", "jsdelivr"),
        ("cdn.jsdelivr.net/npm/friendly-challenge@0.9.12/*", ""),
        ("cdn.jsdelivr.net/npm/@friendlycaptcha/*", ""),
        ("cdn.jsdelivr.net/npm/x@1/dist/x.js", ""),
        ("unpkg.com/friendly-challenge*", "unpkg"),
        ("unpkg.com/friendly-challenge", "unpkg"),
        ("unpkg.com/friendly-challenge@0.9.12/*", ""),
        ("*.firebaseapp.com", "firebase-hosting"),
        ("acme.firebaseapp.com", ""),
        ("*.googleapis.com", "google-cloud-storage"),
        ("storage.googleapis.com", "google-cloud-storage"),
        ("storage.googleapis.com/acme/*", ""),
        ("storage.googleapis.com/acme*", "google-cloud-storage"),
        ("*.cloudfront.net", "cloudfront"),
        ("d111.cloudfront.net", ""),
        ("*.blogspot.com:8080", "blogger"),
        ("www.example.com", ""),
        ("*.example.com/npm/*", ""),
    ],
)
def test_which_patterns_open_more_than_one_publisher(pattern: str, shared: str) -> None:
    found = shared_host_of(pattern)
    assert (found.id if found else "") == shared


@pytest.mark.parametrize("shared", SHARED_HOSTS, ids=lambda shared: str(shared.id))
def test_the_example_is_one_publishers(shared: SharedHost) -> None:
    example = shared.example
    assert shared_host_of(example) is None
    host = example.partition("/")[0]
    assert any(host_covers(pattern, host) for pattern in shared.hosts)


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.jsdelivr.net/npm/friendly-challenge-not@1.0.0/x.js",
        "https://cdn.jsdelivr.net/npm/friendly-challenge@0.9.12-evil/x.js",
        "https://unpkg.com/friendly-challenge.js@1/x.js",
        "https://cdn.jsdelivr.net/npm/prebid.js-not@1/x.js",
        "https://cdn.jsdelivr.net/npm/search-insights-x/x.js",
        "https://cdn.jsdelivr.net/gh/anybody/repository/x.js",
        "https://cdnjs.cloudflare.com/ajax/libs/anything/1/x.js",
        "https://anybody.firebaseapp.com/x.js",
        "https://firebasestorage.googleapis.com/v0/b/anybody.appspot.com/o/x.js",
        "https://anybody.blogspot.com/",
        "https://anybody.myshopify.com/",
        "https://cdn.shopify.com/s/files/1/0000/0001/files/x.js",
        "https://raw.githubusercontent.com/anybody/x/main/x.js",
        "https://anybody.lpages.co/",
        "https://anybody.hs-sites.com/",
        "https://anybody.squarespace.com/",
    ],
)
def test_what_strangers_publish_has_no_vendor(index: VendorIndex, url: str) -> None:
    target = resolve(url, url)
    assert target is not None
    assert index.vendor_of_url(target.host, target.port, target.path) is None


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("cdn.shopify.com", "/s/files/1/0001/0002/files/a.jpg", "/s/files/1/0001/0002/*"),
        ("cdn.shopify.com", "/s/files/1/0001/a.jpg", ""),
        ("cdn.shopify.com", "/extensions/abc/a.js", "/extensions/abc/*"),
        ("cdn.shopify.com", "/x/a.js", ""),
        ("cdn.shopify.com", "/s/files/1//0002/a.js", ""),
        ("cdn.prod.website-files.com", "/5f/css/a.css", "/5f/*"),
        ("cdn.prod.website-files.com", "/a.css", ""),
        ("static1.squarespace.com", "/static/5f/t/a.css", "/static/5f/*"),
        ("framerusercontent.com", "/modules/5f/a.mjs", "/modules/5f/*"),
        ("res.cloudinary.com", "/acme/image/a.jpg", "/acme/*"),
        ("storage.googleapis.com", "/acme/a.js", "/acme/*"),
    ],
)
def test_the_publisher_of_a_file(host: str, path: str, expected: str) -> None:
    shared = shared_host_of(host)
    assert shared is not None
    found = shared.publisher_of(host, path)
    assert found == (f"{host}{expected}" if expected else "")
    assert not found or shared_host_of(found) is None, "opens one publisher's files only"


def test_whose_sites_keep_their_files_there_is_in_the_catalogue() -> None:
    named = {shared.vendor for shared in SHARED_HOSTS if shared.vendor}
    assert named
    assert all(catalogue()[id_].builder for id_ in named)


def test_a_builder_serves_parts_of_pages() -> None:
    assert all(vendor.looks for vendor in VENDORS if vendor.builder)
