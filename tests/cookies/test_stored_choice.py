"""What a request's preference cookies come down to: a choice, none, or one that cannot be read."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from math import inf
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.categories import CHOOSABLE, Category, Regime
from consent_rules.decision import Visitor, decide
from consent_rules.preferences import Preferences
from proxy.cookies.preference_cookie import KeyRing, Unreadable
from proxy.cookies.stored_choice import NO_CHOICE, StoredChoice, stored_choice
from tests.support.example_rules import page, rules, site, tag

NOW = 1_790_000_000
DAY = 86_400
KEY = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
RING = KeyRing({"1.pem": KEY})
OTHER = KeyRing({"1.pem": Ed25519PrivateKey.from_private_bytes(b"2" * 32)})
SITES = ("www", "blog")


def choice(made_at: int = NOW, *allowed: Category, max_age: int = 1000) -> Preferences:
    return Preferences(frozenset(allowed), "2", made_at=made_at, expires_at=made_at + max_age)


def token(made_at: int = NOW, *allowed: Category, site: str = "www") -> str:
    return RING.sign(choice(made_at, *allowed), site)


def read(
    header: str,
    *,
    domain: str = "",
    secure: bool = False,
    now: float = NOW + 10,
    max_age: int = 10**8,
    keys: KeyRing = RING,
) -> StoredChoice:
    sites = SITES if domain else ("www",)
    return stored_choice(header, keys, sites, domain, now, max_age=max_age, secure=secure)


# --- None, good, unreadable


@pytest.mark.parametrize("header", ["", "a=1", "consent", "xconsent=1", "Consent=1", "a=consent"])
def test_no_cookie_is_no_choice(header: str) -> None:
    assert read(header) is NO_CHOICE


def test_the_cookie_of_the_scheme_and_domain() -> None:
    good = token()
    for name, domain, secure in (
        ("consent", "", False),
        ("consent", "example.com", False),
        ("__Host-consent", "", True),
        ("__Secure-consent", "example.com", True),
    ):
        found = read(f"a=1; {name}={good}; b=2", domain=domain, secure=secure)
        assert found == StoredChoice(choice(), until=NOW + 1000)
        for another in ("Consent", "xconsent"):
            other = read(f"a=1; {another}={good}; b=2", domain=domain, secure=secure)
            assert other.preferences is None and other.unreadable is None


DAMAGED = {
    "empty": "",
    "a word": "x",
    "cut off": token()[:-1],
    "cut in half": token()[:80],
    "longer": token() + "A",
    "quoted": f'"{token()}"',
    "another signature": token()[:-20] + "A" * 20,
    "spare bits": token()[:-1] + chr(ord(token()[-1]) + 1),
    "too long": token() + "A" * 4000,
    "load once": RING.sign_load_once("youtube", "www", NOW),
    "no JSON": f"e30.{'A' * 20}.{'A' * 86}",
}
UNKNOWN = {
    "another's key": OTHER.sign(choice(), "www"),
    "no key": "e30." + "A" * 20 + "." + "A" * 86,
    "a key of no text": f"""{base64.urlsafe_b64encode(b'{"kid":[1]} ').decode()}.e30.{"A" * 86}""",
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=list(DAMAGED))
def test_damaged(text: str) -> None:
    if text.startswith("e30"):
        assert read(f"consent={text}").unreadable
    else:
        assert read(f"consent={text}") == StoredChoice(unreadable=Unreadable.DAMAGED)


@pytest.mark.parametrize("text", UNKNOWN.values(), ids=list(UNKNOWN))
def test_of_an_unknown_key(text: str) -> None:
    assert read(f"a=1; consent={text}") == StoredChoice(unreadable=Unreadable.UNKNOWN_KEY)


@pytest.mark.parametrize("also", ["", "; consent=damaged", "; consent=e30.e30." + "A" * 86])
def test_of_a_key_that_was_revoked(also: str) -> None:
    ring = RING.without([RING.signing_id(NOW)])
    several = bool(also)
    assert read(f"consent={token()}{also}", keys=ring) == StoredChoice(
        unreadable=Unreadable.REVOKED_KEY, several=several
    )
    once = RING.sign_load_once("youtube", "www", NOW)
    assert (RING.verify_load_once(once, "www", NOW), ring.verify_load_once(once, "www", NOW)) == (
        "youtube", None,
    )  # fmt: skip


def test_keys_that_were_lost_or_are_another_nodes() -> None:
    refusal = f"consent={token()}"
    assert read(refusal, keys=OTHER) == StoredChoice(unreadable=Unreadable.UNKNOWN_KEY)


# --- Time and place: a refusal needs neither


@pytest.mark.parametrize(
    ("now", "until", "in_force", "ask_again"),
    [
        (NOW, NOW + 1000, True, False),
        (NOW + 999.9, NOW + 1000, True, False),
        (NOW + 1000, inf, False, True),
        (NOW + 400 * DAY, inf, False, True),
        (NOW - 299, NOW + 1000, True, False),  # clocks of two nodes differ
        (NOW - 301, NOW - 300, False, False),
        (NOW - 3600, NOW - 300, False, False),  # a clock set back an hour
    ],
)
def test_date(now: float, until: float, in_force: bool, ask_again: bool) -> None:
    for allowed in ((), (Category.ANALYTICS,)):
        found = read(f"consent={token(NOW, *allowed)}", now=now)
        assert found.until == until
        lapsed = replace(choice(NOW, *allowed), lapsed=not in_force, ask_again=ask_again)
        assert found.preferences == lapsed


def test_a_choice_does_not_outlast_the_present_config() -> None:
    header = f"consent={token(NOW, Category.ANALYTICS)}"
    found = read(header, max_age=100)
    assert found.preferences == replace(choice(NOW, Category.ANALYTICS), expires_at=NOW + 100)
    assert found.until == NOW + 100
    late = read(header, max_age=100, now=NOW + 100).preferences
    assert late is not None and late.lapsed and late.ask_again


def test_another_sites_choice_keeps_its_refusals() -> None:
    """The site was given another name, say."""
    found = read(f"consent={token(NOW, Category.ANALYTICS, site='old-name')}").preferences
    assert found == replace(choice(NOW, Category.ANALYTICS), lapsed=True)


def test_hosts_that_share_a_cookie_share_the_choice() -> None:
    header = f"__Secure-consent={token(NOW, Category.ANALYTICS, site='blog')}"
    shared = read(header, domain="example.com", secure=True)
    assert shared == StoredChoice(choice(NOW, Category.ANALYTICS), until=NOW + 1000)
    other = f"__Secure-consent={token(NOW, Category.ANALYTICS, site='shop')}"
    found = read(other, domain="example.com", secure=True).preferences
    assert found == replace(choice(NOW, Category.ANALYTICS), lapsed=True)


def test_the_cookies_former_name_keeps_the_refusals() -> None:
    """`cookie_domain` was changed: the browser still brings the other cookie."""
    for former, domain in (("__Host-consent", "example.com"), ("__Secure-consent", "")):
        found = read(f"{former}={token(NOW, Category.ANALYTICS)}", domain=domain, secure=True)
        assert found.preferences == replace(choice(NOW, Category.ANALYTICS), lapsed=True)
        # It may be somebody else's: another system below the same domain.
        for other in ("x", OTHER.sign(choice(), "www"), token(site="shop")):
            found = read(f"{former}={other}", domain=domain, secure=True)
            assert found == StoredChoice()
        # A new choice goes before it, an unreadable one as well.
        now = {"": "__Host-consent", "example.com": "__Secure-consent"}[domain]
        both = f"{former}={token()}; {now}={token(NOW, Category.ANALYTICS)}"
        chosen = read(both, domain=domain, secure=True).preferences
        assert chosen == choice(NOW, Category.ANALYTICS)
        assert read(f"{former}={token()}; {now}=x", domain=domain, secure=True).unreadable


@pytest.mark.parametrize(
    ("former", "secure", "domain"),
    [
        ("consent", True, ""),
        ("consent", True, "example.com"),
        ("__Host-consent", False, ""),
        ("__Secure-consent", False, "example.com"),
        ("__Secure-consent", False, ""),
    ],
)
def test_another_schemes_cookie_keeps_the_refusals(former: str, secure: bool, domain: str) -> None:
    """The site was moved to TLS, or a proxy in front no longer says that there is any."""
    header = f"{former}={token(NOW, Category.ANALYTICS)}"
    found = read(header, domain=domain, secure=secure)
    assert found.preferences == replace(choice(NOW, Category.ANALYTICS), lapsed=True)
    for other in ("x", OTHER.sign(choice(), "www"), token(site="shop")):
        assert read(f"{former}={other}", domain=domain, secure=secure) == StoredChoice()


# --- Several cookies


def test_junk_does_not_hide_the_good_one() -> None:
    header, claims, _ = token().split(".")
    known = [f"{header}.{claims[:-n]}.{'A' * 86}" for n in range(1, 8)]
    for junk in (
        ["", "x", "y", "z"],
        [f"{n}" for n in range(500)],
        [OTHER.sign(choice(NOW + n), "www") for n in range(50)],
        known,
        [token()[:-n] for n in range(1, 60)],
    ):
        for ring in (RING, KeyRing({"1.pem": KEY})):  # known already, and not
            crowd = "; ".join(f"consent={one}" for one in junk)
            for cookies in (f"{crowd}; consent={token()}", f"consent={token()}; {crowd}"):
                found = read(cookies, keys=ring)
                assert found == StoredChoice(choice(), until=NOW + 1000, several=True)


def test_a_flood_of_cookies_costs_a_few_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    plain = KeyRing._claims

    def counted(self: KeyRing, token: str) -> dict[str, Any] | None:
        checked.append(token)
        return plain(self, token)

    monkeypatch.setattr(KeyRing, "_claims", counted)
    header = token().partition(".")[0]
    forged = "; ".join(f"consent={header}.{n:04}.{'A' * 86}" for n in range(300))
    assert read(forged).unreadable is Unreadable.DAMAGED
    assert len(checked) == 8
    checked.clear()
    cheap = "; ".join(f"consent={n:04}.{n:04}.{'A' * 86}" for n in range(300))
    assert read(cheap).unreadable
    assert checked == []
    # More than any browser sends is not searched, and does not hide a refusal either.
    assert read("a=1;" * 20_000 + f"consent={token()}").unreadable is Unreadable.DAMAGED
    assert read("a=1;" * 20_000) is NO_CHOICE


def test_of_two_good_ones_the_stricter_counts() -> None:
    yes = (token(NOW + 5, Category.ADVERTISING, Category.ANALYTICS), token(NOW, Category.ANALYTICS))
    for first, second in (yes, yes[::-1]):
        found = read(f"consent={first}; consent={second}")
        assert found.preferences is not None and found.several
        assert found.preferences.allowed == {Category.ANALYTICS}
    for refusal in (token(NOW + 5), token(NOW - 5), token(NOW - 10**6), token(NOW + 10**6)):
        for header in (
            f"consent={refusal}; consent={token(NOW, Category.ANALYTICS)}",
            f"consent={token(NOW, Category.ANALYTICS)}; consent={refusal}",
        ):
            chosen = read(header).preferences
            assert chosen is not None and not chosen.allowed


# --- Properties: what a cookie that was tampered with may open

WWW = site(tags=[tag(str(category), "ok") for category in CHOOSABLE])


def opened(header: str, regime: Regime, now: float = NOW + 10) -> frozenset[str]:
    stored = read(header, now=now, keys=KeyRing({"1.pem": KEY}))
    visitor = Visitor(stored.preferences, unreadable_choice=stored.unreadable is not None)
    return decide(rules(WWW, regime), page(WWW), visitor).open


@st.composite
def mutations(draw: st.DrawFn, text: str) -> str:
    """A text with some of it changed, gone, doubled or put in."""
    alphabet = st.sampled_from("AQgw._-=x0 é")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        end = draw(st.integers(at, min(len(text), at + 4)))
        text = text[:at] + draw(st.text(alphabet, max_size=3)) + text[end:]
    return text.replace(";", "")


REFUSAL = token()
ACCEPTANCE = token(NOW, *CHOOSABLE)
nows = st.sampled_from([NOW, NOW - 3600, NOW + 10, NOW + 1000, NOW + 500 * DAY])


@given(mutations(REFUSAL), st.sampled_from(Regime), nows)
@settings(max_examples=300, deadline=None)
def test_no_mutation_of_a_refusal_opens_more_than_the_refusal(
    changed: str, regime: Regime, now: float
) -> None:
    assert opened(f"a=1; consent={changed}", regime, now) <= opened(f"consent={REFUSAL}", regime)


@given(mutations(ACCEPTANCE), nows)
@settings(max_examples=300, deadline=None)
def test_no_mutation_of_any_cookie_opens_more_than_none_where_the_law_asks_first(
    changed: str, now: float
) -> None:
    if changed.strip() != ACCEPTANCE:
        assert opened(f"consent={changed}", Regime.OPT_IN, now) <= opened("", Regime.OPT_IN)


@given(st.binary(max_size=60), st.sampled_from(Regime))
def test_garbage_closes_and_never_raises(data: bytes, regime: Regime) -> None:
    text = data.decode("latin-1").replace(";", "")
    assert opened(f"consent={text}", regime) == frozenset()


json_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.lists(st.text(max_size=3))
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)
CLAIMS = ["c", "v", "pv", "iat", "exp", "iss", "src", "only", "gpc"]


@given(st.dictionaries(st.sampled_from(CLAIMS), json_values))
def test_signed_nonsense_opens_nothing_where_the_law_asks_first(changes: dict[str, object]) -> None:
    header, body, _ = REFUSAL.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    text = base64.urlsafe_b64encode(json.dumps({**claims, **changes}).encode()).decode().rstrip("=")
    signature = KEY.sign(f"{header}.{text}".encode())
    made = f"{header}.{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert opened(f"consent={made}", Regime.OPT_IN) == frozenset()
