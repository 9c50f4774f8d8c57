"""Cookies for those who read them elsewhere (`examples/read_choice/`), and what each says.

`python -m tests.support.choice_vectors > examples/read_choice/vectors.json` writes them anew.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_rules.categories import Category
from consent_rules.preferences import ChoiceSource, Preferences
from proxy.cookies.preference_cookie import KeyRing

NOW = 1_796_000_000
SITE, VERSION = "www", "2026-01-01"
KEY, OLD, REVOKED, STRANGER = (
    Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3, 4)
)
PUBLISHED = KeyRing({"1.pem": OLD, "2.pem": KEY})
BY = {name: KeyRing({"1.pem": key}) for name, key in (
    ("new", KEY), ("old", OLD), ("revoked", REVOKED), ("stranger", STRANGER),
)}  # fmt: skip
CHOICE = Preferences(
    allowed=frozenset({Category.ANALYTICS, Category.ADVERTISING}),
    policy_version=VERSION,
    source=ChoiceSource.BANNER,
    vendors={"meta-pixel": False, "youtube": True},
    receipt_id="receipt-1",
    made_at=NOW - 1000,
    expires_at=NOW + 1000,
)
SAYS = {
    "categories": ["advertising", "analytics"],
    "vendors": {"meta-pixel": False, "youtube": True},
    "gpc": False,
    "receipt": "receipt-1",
}
NAME = "__Host-consent"


def _part(value: object) -> str:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _signed(claims: object, key: Ed25519PrivateKey = KEY, **header: object) -> str:
    kid = KeyRing({"1.pem": key}).signing_id(NOW)
    text = f"{_part({'alg': 'EdDSA', 'kid': kid, 'typ': 'JWT', **header})}.{_part(claims)}"
    signature = base64.urlsafe_b64encode(key.sign(text.encode())).rstrip(b"=").decode()
    return f"{text}.{signature}"


def _claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def _swapped(token: str, at: int) -> str:
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


def _cases() -> Iterator[tuple[str, str, object, float]]:
    """Name, Cookie header, what is read of it, and when."""
    good = PUBLISHED.sign(CHOICE, SITE)
    head, body, signature = good.split(".")
    yield "good", f"{NAME}={good}", SAYS, NOW
    yield "among others", f"a=1; {NAME}={good};b=2; x{NAME}=1", SAYS, NOW
    yield "of the key before", f"{NAME}={BY['old'].sign(CHOICE, SITE)}", SAYS, NOW
    refused = replace(CHOICE, allowed=frozenset(), vendors={}, under_gpc=True)
    nothing = {"categories": [], "vendors": {}, "gpc": True, "receipt": "receipt-1"}
    yield "a refusal", f"{NAME}={PUBLISHED.sign(refused, SITE)}", nothing, NOW
    yield "no cookie", "", None, NOW
    yield "others only", "a=1; consents=2; _ga=3", None, NOW
    yield "empty", f"{NAME}=", None, NOW
    yield "a word", f"{NAME}=all", None, NOW
    yield "another name", f"consent={good}", None, NOW
    yield "twice the same", f"{NAME}={good}; {NAME}={good}", SAYS, NOW
    yield "two", f"{NAME}={good}; {NAME}={PUBLISHED.sign(refused, SITE)}", None, NOW
    yield "two, one damaged", f"{NAME}=x; {NAME}={good}", None, NOW
    # Tampered
    for name, at in (("head", 5), ("body", len(head) + 9), ("signature", -40)):
        yield f"{name} changed", f"{NAME}={_swapped(good, at % len(good))}", None, NOW
    yield "cut off", f"{NAME}={good[:-1]}", None, NOW
    yield "one more", f"{NAME}={good}A", None, NOW
    last = {"A": "B", "Q": "R", "g": "h", "w": "x"}[good[-1]]
    yield "spare bits of the signature", f"{NAME}={good[:-1]}{last}", None, NOW
    yield "padded", f"{NAME}={good}==", None, NOW
    more = _part({**_claims(good), "c": ["advertising", "analytics", "social"]})
    yield "another body", f"{NAME}={head}.{more}.{signature}", None, NOW
    yield "not signed", f"{NAME}={_part({'alg': 'none'})}.{body}.", None, NOW
    yield (
        "not signed, of our shape",
        f"{NAME}={_part({'alg': 'none'})}.{body}.{'A' * 86}",
        None,
        NOW,
    )
    claims = _claims(good)
    yield "another algorithm", f"{NAME}={_signed(claims, alg='HS256')}", None, NOW
    yield "no key named", f"{NAME}={_signed(claims, kid=None)}", None, NOW
    yield "key named by a list", f"{NAME}={_signed(claims, kid=['x'])}", None, NOW
    yield "must be understood", f"{NAME}={_signed(claims, crit=['x'])}", None, NOW
    # Keys
    yield "a revoked key", f"{NAME}={BY['revoked'].sign(CHOICE, SITE)}", None, NOW
    yield "an unknown key", f"{NAME}={BY['stranger'].sign(CHOICE, SITE)}", None, NOW
    forged = _signed(claims, STRANGER, kid=PUBLISHED.signing_id(NOW))
    yield "a stranger's under our name", f"{NAME}={forged}", None, NOW
    # Another site's, policy's or time's
    yield "another site", f"{NAME}={PUBLISHED.sign(CHOICE, 'shop')}", None, NOW
    older = replace(CHOICE, policy_version="2025-01-01")
    yield "an earlier policy", f"{NAME}={PUBLISHED.sign(older, SITE)}", None, NOW
    yield "at its end", f"{NAME}={good}", None, CHOICE.expires_at
    yield "just before", f"{NAME}={good}", SAYS, CHOICE.expires_at - 1
    yield "long after", f"{NAME}={good}", None, NOW + 10**7
    yield "clocks differ", f"{NAME}={good}", SAYS, CHOICE.made_at - 299
    yield "from the future", f"{NAME}={good}", None, CHOICE.made_at - 301
    # Signed by us and no choice
    once = PUBLISHED.sign_load_once("youtube", SITE, NOW)
    yield "a load once", f"{NAME}={once}", None, NOW
    for name, changed in (
        ("no end", {k: v for k, v in claims.items() if k != "exp"}),
        ("an end in words", {**claims, "exp": "later"}),
        ("categories in words", {**claims, "c": "analytics"}),
        ("a category that is none", {**claims, "c": [1]}),
        ("vendors in a list", {**claims, "v": ["youtube"]}),
        ("a list", [claims]),
        ("a number", 1),
    ):
        yield name, f"{NAME}={_signed(changed)}", None, NOW


def vectors() -> dict[str, Any]:
    """The whole file."""
    return {
        "jwks": PUBLISHED.jwks(),
        "site": SITE,
        "policy_version": VERSION,
        "cases": [
            {"name": name, "cookie": cookie, "now": now, "choice": choice}
            for name, cookie, choice, now in _cases()
        ],
    }


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=1))
