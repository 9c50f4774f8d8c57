"""The files of other hosts that a page's markup asks for: what a library may be.

Not images: they are content, of another page each, or pixels.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urljoin

import ada_url

from consent_rules.matching.urls import resolve
from proxy.html import Boundary, Source, findings, scan
from proxy.html.owners import KnownVendor, UnknownHost
from proxy.html.resource import ResourceKind

_FILES = frozenset(
    {
        ResourceKind.SCRIPT,
        ResourceKind.STYLE_SHEET,
        ResourceKind.HINT,
        ResourceKind.LINK,
        ResourceKind.CSS,
    }
)


def third_party_files(
    source: Source, url: str, boundary: Boundary, of: Collection[str]
) -> list[str]:
    """The absolute addresses of a page's files of some hosts and vendors (ids), without doubles, in
    the page's order. `url` is the page's address.
    """
    scanned = scan(source)
    base = urljoin(url, scanned.base)
    found: dict[str, None] = {}
    for one in findings(source, scanned, url, boundary):
        if one.kind not in _FILES:
            continue
        named = {_name_of(owner) for owner in one.owners} & {*of}
        for address in one.urls:
            target = resolve(address, base)
            if target is None or not (named or target.host in of):
                continue
            href = ada_url.URL(address, base=base).href.partition("#")[0]
            # A hint names a host; what is fetched from there has a path.
            if one.kind is not ResourceKind.HINT or target.path != "/":
                found[href] = None
    return list(found)


def _name_of(owner: object) -> str:
    match owner:
        case KnownVendor(vendor):
            return vendor
        case UnknownHost(host):
            return host
    return ""
