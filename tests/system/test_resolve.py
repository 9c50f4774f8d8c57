"""request -> Visitor: the signal, the region, "load once"."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from multidict import CIMultiDict

from consent_rules.categories import Category
from consent_rules.config.load import RegionFrom
from consent_rules.preferences import Preferences
from proxy.cookies.preference_cookie import KeyRing, load_once_vendors
from proxy.resolve import region_of, sends_gpc

NOW = 1_790_000_000
RING = KeyRing({"1.pem": Ed25519PrivateKey.from_private_bytes(b"1" * 32)})


def choice(made_at: int = NOW, *allowed: Category) -> Preferences:
    return Preferences(frozenset(allowed), "2", made_at=made_at, expires_at=made_at + 1000)


def token(made_at: int = NOW, *allowed: Category, site: str = "www") -> str:
    return RING.sign(choice(made_at, *allowed), site)


@pytest.mark.parametrize(
    ("value", "sent"),
    [("1", True), (" 1 ", True), ("0", False), ("", False), ("true", False), ("11", False)],
)
def test_gpc(value: str, sent: bool) -> None:
    assert sends_gpc(CIMultiDict({"sec-gpc": value})) is sent
    assert not sends_gpc(CIMultiDict())


@pytest.mark.parametrize(
    ("country", "part", "region"),
    [
        ("US", "", "US"),
        ("us", "ca", "US-CA"),
        ("US", "CA", "US-CA"),
        ("US", "US-CA", "US-CA"),
        ("", "US-CA", "US-CA"),
        ("", "CA", ""),
        ("", "", ""),
        ("XX", "", "XX"),
        ("T1", "", "T1"),
        ("U S", "", ""),
        ("US,DE", "", ""),
        ("<script>", "CA", ""),
        ("US" * 20, "", ""),
        ("GB", "ENG", "GB-ENG"),
    ],
)
def test_region(country: str, part: str, region: str) -> None:
    source = RegionFrom(country_header="X-Country", region_header="X-Region")
    headers = CIMultiDict({"x-country": country, "x-region": part})
    assert region_of(headers, source, trusted=True) == region
    assert region_of(headers, source, trusted=False) == ""
    assert region_of(headers, RegionFrom(), trusted=True) == ""


def test_once() -> None:
    wanted = RING.sign_load_once("youtube", "www", NOW)
    for name, secure in (("consent-once", False), ("__Host-consent-once", True)):
        found = load_once_vendors(f"a=1; {name}={wanted}", RING, "www", NOW, secure=secure)
        assert found == {"youtube"}
    for header in ("", "consent-once=x", f"consent={wanted}", f"consent-once={token()}"):
        assert load_once_vendors(header, RING, "www", NOW, secure=False) == frozenset()
