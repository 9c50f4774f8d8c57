"""The signed preference cookie: a compact JWS with EdDSA (RFC 7515, RFC 8037).

Whatever is wrong with a cookie (its signature, its key, its age, its site), it counts as no
choice at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent_rules.categories import Category
from consent_rules.preferences import ChoiceSource, Preferences
from proxy.cookies.cookie_header import value_in, values_in

_ALGORITHM = "EdDSA"
_MAX_LENGTH = 3500
"""Characters. Browsers drop cookies over 4096 bytes; a longer token is none of ours."""
_REMEMBERED = 8192
LOAD_ONCE_SECONDS = 60
"""How long "load once" waits for the page it was asked for."""


class KeyFaultError(Exception):
    """A key file cannot be used. The message names the file and says what to do."""


def _public_bytes(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def key_id(key: Ed25519PublicKey) -> str:
    """The RFC 7638 thumbprint of an Ed25519 key, shortened to 96 bits."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(_public_bytes(key))}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())[:16]


class KeyRing:
    """The keys of one configuration. The one whose file name sorts last signs; all verify."""

    def __init__(self, keys: Mapping[str, Ed25519PrivateKey]) -> None:
        """`keys` by file name; at least one."""
        self._public: dict[str, Ed25519PublicKey] = {}
        for name in sorted(keys):
            public = keys[name].public_key()
            self._signing_id = key_id(public)
            self._signing = keys[name]
            self._public[self._signing_id] = public
        self._verified: OrderedDict[tuple[str, str], Preferences] = OrderedDict()

    def sign(self, preferences: Preferences, site: str) -> str:
        """The cookie's text for a choice. Raises ValueError when it would not fit a cookie."""
        claims: dict[str, Any] = {
            "iss": site,
            "iat": preferences.made_at,
            "exp": preferences.expires_at,
            "pv": preferences.policy_version,
            "c": sorted(preferences.allowed),
            "src": str(preferences.source),
            "rid": preferences.receipt_id,
        }
        if preferences.vendors:
            claims["v"] = {name: int(yes) for name, yes in sorted(preferences.vendors.items())}
        if preferences.under_gpc:
            claims["gpc"] = 1
        if preferences.only_vendors:
            claims["only"] = 1
        token = jwt.encode(
            claims, self._signing, algorithm=_ALGORITHM, headers={"kid": self._signing_id}
        )
        if len(token) > _MAX_LENGTH:
            raise ValueError("too many vendor exceptions to fit a cookie")
        return token

    def sign_load_once(self, vendor: str, site: str, now: int) -> str:
        """A token that opens one vendor on the next page, for a minute."""
        claims = {"iss": site, "iat": now, "exp": now + LOAD_ONCE_SECONDS, "once": vendor}
        return jwt.encode(
            claims, self._signing, algorithm=_ALGORITHM, headers={"kid": self._signing_id}
        )

    def verify_load_once(self, token: str, site: str, now: float) -> str | None:
        """The vendor that a token from `sign_once` opens, or None."""
        claims = self._claims(token, site)
        if claims is None or not isinstance(claims.get("once"), str):
            return None
        return claims["once"] if claims["iat"] - 300 <= now < claims["exp"] else None

    def verify(self, token: str, site: str, now: float) -> Preferences | None:
        """The choice that a cookie proves, or None. `now` is seconds since 1970.

        A good signature is checked once and remembered by the cookie's text. Bad ones are not:
        whoever makes them up would push everybody else's out.
        """
        remembered = (token, site)
        preferences = self._verified.get(remembered)
        if preferences is not None:
            self._verified.move_to_end(remembered)
        else:
            preferences = self._check(token, site)
            if preferences is not None:
                self._verified[remembered] = preferences
            if len(self._verified) > _REMEMBERED:
                self._verified.popitem(last=False)
        if preferences is None or not preferences.made_at - 300 <= now < preferences.expires_at:
            return None
        return preferences

    def _check(self, token: str, site: str) -> Preferences | None:
        claims = self._claims(token, site)
        try:
            return None if claims is None else _preferences(claims)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def _claims(self, token: str, site: str) -> dict[str, Any] | None:
        if len(token) > _MAX_LENGTH:
            return None
        try:
            key = self._public.get(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=site,
                # The clock is the caller's; the signature and the issuer are checked here.
                options={
                    "require": ["exp", "iat", "iss"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                },
            )
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError, RecursionError):
            return None  # RecursionError: JSON nested a thousand deep
        whole = isinstance(claims["iat"], int) and isinstance(claims["exp"], int)
        return claims if whole else None

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK Set (RFC 7517), so that others can read the cookie."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "use": "sig",
                    "alg": _ALGORITHM,
                    "kid": kid,
                    "x": _base64url(_public_bytes(key)),
                }
                for kid, key in self._public.items()
            ]
        }


def _preferences(claims: Mapping[str, Any]) -> Preferences:
    known = {str(category) for category in Category}
    return Preferences(
        # A category that this version does not know was not said yes to here.
        allowed=frozenset(Category(c) for c in claims["c"] if c in known),
        policy_version=str(claims["pv"]),
        source=ChoiceSource(claims["src"]),
        vendors={str(name): bool(yes) for name, yes in dict(claims.get("v", {})).items()},
        under_gpc=bool(claims.get("gpc", 0)),
        only_vendors=bool(claims.get("only", 0)),
        receipt_id=str(claims["rid"]),
        made_at=claims["iat"],
        expires_at=claims["exp"],
    )


def cookie_name(domain: str, *, secure: bool) -> str:
    """The preference cookie's name: its prefix lets browsers hold it to its attributes."""
    if not secure:
        return "consent"
    return "__Secure-consent" if domain else "__Host-consent"


SAVED_FORM_COOKIE = "consent-kept"
"""Asks for the script that puts back what was typed before a choice loaded the page anew. It is
set and taken away by our scripts, and says nothing else."""


def load_once_cookie_name(*, secure: bool) -> str:
    """The name of the cookie that carries a "load once" to the next page."""
    return "__Host-consent-once" if secure else "consent-once"


def set_load_once_cookie(token: str, *, secure: bool) -> str:
    """The Set-Cookie value for a "load once"; an empty token ends it."""
    age = LOAD_ONCE_SECONDS if token else 0
    parts = [f"{load_once_cookie_name(secure=secure)}={token}", "Path=/", f"Max-Age={age}"]
    return "; ".join([*parts, "HttpOnly", "SameSite=Lax", *(["Secure"] if secure else [])])


def set_cookie(token: str, domain: str, max_age: int, *, secure: bool) -> str:
    """The Set-Cookie value for a preference cookie."""
    parts = [f"{cookie_name(domain, secure=secure)}={token}", "Path=/", f"Max-Age={max_age}"]
    if domain:
        parts.append(f"Domain={domain}")
    parts += ["HttpOnly", "SameSite=Lax"]
    if secure:
        parts.append("Secure")
    return "; ".join(parts)


_MAX_CANDIDATES = 4
"""Cookies of one name that are looked at: each may cost a signature check."""


def stored_preferences(
    cookie_header: str,
    keys: KeyRing,
    site: str,
    domain: str,
    now: float,
    *,
    lasts: int,
    secure: bool,
) -> Preferences | None:
    """The choice in the visitor's cookie; None when there is none or it proves nothing.

    `lasts` is how long a choice lasts under the present config, in seconds: one made when it was
    longer ends with it.

    Two cookies of the name (one of this host, one of a parent domain) come in no order that says
    which is newer: of those that are valid, the latest choice counts.
    """
    name = cookie_name(domain, secure=secure)
    if name not in cookie_header:
        return None
    tokens = islice(dict.fromkeys(values_in(cookie_header, name)), _MAX_CANDIDATES)
    choices = [p for token in tokens if (p := keys.verify(token, site, now)) is not None]
    latest = max(choices, key=lambda choice: choice.made_at, default=None)
    if latest is None or latest.expires_at <= latest.made_at + lasts:
        return latest
    until = latest.made_at + lasts
    return replace(latest, expires_at=until) if now < until else None


def load_once_vendors(
    cookie_header: str, keys: KeyRing, site: str, now: float, *, secure: bool
) -> frozenset[str]:
    """The vendor that the visitor asked for on the next page only, if any."""
    name = load_once_cookie_name(secure=secure)
    if name not in cookie_header:
        return frozenset()
    token = value_in(cookie_header, name)
    vendor = keys.verify_load_once(token, site, now) if token else None
    return frozenset() if vendor is None else frozenset({vendor})
