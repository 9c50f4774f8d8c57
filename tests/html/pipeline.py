"""A site, three vendors and nobody's hosts: what the tests of the page pipeline share."""

from __future__ import annotations

from consent_rules.categories import Category
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor
from proxy.enforcement.csp import endpoints_amendment
from proxy.html import Boundary, Page, compile_page, render
from proxy.html.owners import MARKETING_ONLY, AllowedCategory, KnownVendor, Owner, UnknownHost

URL = "https://www.example.com/dir/page"
UTF8 = "text/html; charset=utf-8"
BOUNDARY = Boundary(
    own=HostSet(["www.example.com", "cdn.example.com"]),
    index=VendorIndex(
        [
            Vendor(
                id="pixel",
                name="Pixel",
                category=Category.ADVERTISING,
                hosts=("pixel.test", "*.pixel.test"),
                paths=("/collect/*",),
                inline=("pixelq(",),
            ),
            Vendor(id="video", name="Video", category=Category.FUNCTIONAL, hosts=("video.test",)),
        ]
    ),
    amend_policy=endpoints_amendment(["www.example.com"], "/.consent"),
)


def compiled(body: bytes, content_type: str = UTF8, url: str = URL) -> Page:
    return compile_page(body, content_type, url, BOUNDARY)


def owner(written: str) -> Owner:
    """An owner as tests write it: "pixel", "?host", "@marketing" or "@analytics"."""
    if written.startswith("?"):
        return UnknownHost(written[1:])
    if written == "@marketing":
        return MARKETING_ONLY
    if written.startswith("@"):
        return AllowedCategory(Category(written[1:]))
    return KnownVendor(written)


def owners(*written: str) -> frozenset[Owner]:
    return frozenset(map(owner, written))


def closed(body: bytes, content_type: str = UTF8, *, marketing: bool = True) -> bytes:
    """The page with every vendor's gates closed; on a marketing page unless told otherwise."""
    is_open = frozenset({MARKETING_ONLY}) if marketing else frozenset[Owner]()
    return render(compiled(body, content_type), is_open)
