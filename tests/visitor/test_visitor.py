"""request -> Visitor: the cookie, the signal, the region."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from multidict import CIMultiDict

from consent_rules.categories import Category
from consent_rules.config.load import RegionFrom
from consent_rules.decision import Visitor
from consent_rules.preferences import Preferences
from proxy.cookies.preference_cookie import KeyRing, load_once_vendors, stored_preferences
from proxy.resolve import region_of, sends_gpc, visitor

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


def stored(header: str, *, domain: str = "", secure: bool = False) -> Preferences | None:
    return stored_preferences(header, RING, "www", domain, NOW + 10, lasts=10**8, secure=secure)


def test_the_cookie_of_the_scheme_and_domain() -> None:
    good = token()
    for name, domain, secure in (
        ("consent", "", False),
        ("consent", "example.com", False),
        ("__Host-consent", "", True),
        ("__Secure-consent", "example.com", True),
    ):
        for cookie in ("consent", "__Host-consent", "__Secure-consent", "Consent", "xconsent"):
            found = stored(f"a=1; {cookie}={good}; b=2", domain=domain, secure=secure)
            assert (found is not None) is (cookie == name)


@pytest.mark.parametrize("header", ["", "a=1", "consent=", "consent", "consent=x", "xconsent=1"])
def test_no_choice(header: str) -> None:
    assert stored(header) is None


def test_of_two_cookies_any_valid_one_counts() -> None:
    good, forged, foreign = token(), token()[:-6] + "AAAAAA", token(site="portal")
    for header in (
        f"consent={good}; consent={forged}",
        f"consent={forged}; consent={good}",
        f"consent=; consent=x; consent={good}",
        f"consent={foreign}; consent={good}; a=1",
    ):
        assert stored(header) == choice()


def test_of_two_valid_ones_the_later_choice_counts() -> None:
    """A yes on a parent domain must not outlive the no that came after it."""
    yes, no = token(NOW, Category.ADVERTISING), token(NOW + 5)
    for header in (f"consent={yes}; consent={no}", f"consent={no}; consent={yes}"):
        assert stored(header) == choice(NOW + 5)


def test_a_flood_of_cookies_costs_a_few_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[str] = []
    monkeypatch.setattr(RING, "verify", lambda token, *_: checks.append(token))
    assert stored("; ".join(f"consent={n}" for n in range(500))) is None
    assert 1 <= len(checks) <= 5


def test_once() -> None:
    wanted = RING.sign_load_once("youtube", "www", NOW)
    for name, secure in (("consent-once", False), ("__Host-consent-once", True)):
        found = load_once_vendors(f"a=1; {name}={wanted}", RING, "www", NOW, secure=secure)
        assert found == {"youtube"}
    for header in ("", "consent-once=x", f"consent={wanted}", f"consent-once={token()}"):
        assert load_once_vendors(header, RING, "www", NOW, secure=False) == frozenset()


def test_visitor() -> None:
    once = frozenset({"youtube"})
    assert visitor(CIMultiDict({"Sec-GPC": "1"}), choice(), "US", once) == Visitor(
        choice(), gpc=True, region="US", once=once
    )
