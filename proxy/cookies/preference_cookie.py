"""The signed preference cookie: a compact JWS with EdDSA (RFC 7515, RFC 8037).

Encoding, signature and attributes of one cookie. `stored_choice` reads all of a request's.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent_rules.categories import Category
from consent_rules.preferences import ChoiceSource, Preferences
from proxy.cookies.cookie_header import value_in

_ALGORITHM = "EdDSA"
_MAX_LENGTH = 3500
"""Characters. Browsers drop cookies over 4096 bytes; a longer token is none of ours."""
_SHAPE = re.compile(r"[\w-]{2,200}\.[\w-]{2,}\.[\w-]{85}[AQgw]", re.ASCII)
"""Three parts in base64url. An Ed25519 signature has 64 bytes: the bits that its last character has
to spare are zero, so that one signature has one text."""
_REMEMBERED = 8192
LOAD_ONCE_SECONDS = 60
"""Lifetime of a "load once" token."""


MAX_COOKIE_SECONDS = 400 * 86_400
"""Browsers store no cookie longer (RFC 6265bis, 5.5)."""
CLOCK_SKEW_SECONDS = 300
"""By how much a choice may be dated in the future: clocks of nodes differ."""


class Unreadable(StrEnum):
    """Why a preference cookie cannot be read."""

    UNKNOWN_KEY = "unknown_key"
    """It has the form of one, but none of our keys signed it."""
    REVOKED_KEY = "revoked_key"
    """A key signed it that was revoked since."""
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class SignedChoice:
    """The content of a cookie whose signature is valid, whatever its age. `site` is where the
    choice was made.
    """

    preferences: Preferences
    site: str


class KeyFileError(Exception):
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


_NAMED_TIME = re.compile(r"(\d{8}T\d{6})Z-")


def signs_from(name: str) -> float | None:
    """When the key of a file signs from, in seconds since 1970: the time that its name begins with
    (`20261129T174644Z-KID.pem`). None where the name says none.
    """
    found = _NAMED_TIME.match(name)
    if found is None:
        return None
    try:
        time = datetime.datetime.strptime(found[1], "%Y%m%dT%H%M%S")
    except ValueError:
        return None
    return time.replace(tzinfo=datetime.UTC).timestamp()


class KeyRing:
    """The keys of one configuration. All verify, except those that were revoked. The one whose file
    name sorts last signs, among those whose time has come (`signs_from`).
    """

    def __init__(
        self, keys: Mapping[str, Ed25519PrivateKey], revoked: Collection[str] = frozenset()
    ) -> None:
        """`keys` by file name; at least one. `revoked` are key ids, of these keys or of others.

        Where all are revoked the last one still signs: what it signs is not read, so that nothing
        opens.
        """
        self._private = dict(keys)
        self._revoked = frozenset(revoked)
        self._ids: dict[str, str] = {}
        self._public: dict[str, Ed25519PublicKey] = {}
        self._signers: list[tuple[float, str, Ed25519PrivateKey]] = []
        for name in sorted(keys):
            public = keys[name].public_key()
            kid = self._ids[name] = key_id(public)
            if kid not in self._revoked:
                self._public[kid] = public
                self._signers.append((signs_from(name) or 0.0, kid, keys[name]))
        if not self._signers:
            last = max(keys)
            self._signers.append((0.0, self._ids[last], keys[last]))
        self._verified: OrderedDict[str, SignedChoice] = OrderedDict()

    @property
    def ids(self) -> Mapping[str, str]:
        """The keys' ids by file name, in the order of the names."""
        return self._ids

    @property
    def revoked(self) -> frozenset[str]:
        """The ids of the keys that were revoked."""
        return self._revoked

    @property
    def usable(self) -> bool:
        """Whether a key is left that was not revoked."""
        return bool(self._public)

    def without(self, revoked: Collection[str]) -> KeyRing:
        """The same keys with more of them revoked."""
        return KeyRing(self._private, self._revoked.union(revoked))

    def _signer(self, now: float) -> tuple[float, str, Ed25519PrivateKey]:
        started = (one for one in reversed(self._signers) if one[0] <= now)
        return next(started, self._signers[0])

    def signing_id(self, now: float) -> str:
        """The id of the key that signs at `now`."""
        return self._signer(now)[1]

    def signing_since(self, now: float) -> float | None:
        """Since when the key signs that signs at `now`; None where its name does not say."""
        return self._signer(now)[0] or None

    def __reduce__(self) -> tuple[object, tuple[dict[str, bytes], frozenset[str]]]:
        """For a pickle that never leaves the machine's memory: it holds the private keys in the
        clear.
        """
        raw = {name: key.private_bytes_raw() for name, key in self._private.items()}
        return _key_ring, (raw, self._revoked)

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
        token = self._signed(claims, preferences.made_at)
        if len(token) > _MAX_LENGTH:
            raise ValueError("too many vendor exceptions to fit a cookie")
        return token

    def sign_load_once(self, vendor: str, site: str, now: int) -> str:
        """A token that opens one vendor on the next page, for a minute."""
        claims = {"iss": site, "iat": now, "exp": now + LOAD_ONCE_SECONDS, "once": vendor}
        return self._signed(claims, now)

    def _signed(self, claims: Mapping[str, Any], now: float) -> str:
        _, kid, key = self._signer(now)
        return jwt.encode(dict(claims), key, algorithm=_ALGORITHM, headers={"kid": kid})

    def verify_load_once(self, token: str, site: str, now: float) -> str | None:
        """The vendor that a token from `sign_load_once` opens, or None."""
        claims = None if self.rejection(token) else self._claims(token)
        if claims is None or claims["iss"] != site or not isinstance(claims.get("once"), str):
            return None
        in_time = claims["iat"] - CLOCK_SKEW_SECONDS <= now < claims["exp"]
        return claims["once"] if in_time else None

    def verify(self, token: str, site: str, now: float) -> Preferences | None:
        """The choice of a token that was made on a site and is in force at `now` (seconds since
        1970), or None.
        """
        signed = self.remembered(token) or self.read(token)
        if signed is None or signed.site != site:
            return None
        chosen = signed.preferences
        in_time = chosen.made_at - CLOCK_SKEW_SECONDS <= now < chosen.expires_at
        return chosen if in_time else None

    def remembered(self, token: str) -> SignedChoice | None:
        """The content of a token whose signature was verified before."""
        known = self._verified.get(token)
        if known is not None:
            self._verified.move_to_end(token)
        return known

    def rejection(self, token: str) -> Unreadable | None:
        """Why a token is invalid, as far as that shows without verifying its signature."""
        if len(token) > _MAX_LENGTH or not _SHAPE.fullmatch(token):
            return Unreadable.DAMAGED
        header = _header(token)
        if header is None:
            return Unreadable.DAMAGED
        kid = header.get("kid")
        if not isinstance(kid, str):
            return Unreadable.UNKNOWN_KEY
        if kid in self._revoked:
            return Unreadable.REVOKED_KEY
        return None if kid in self._public else Unreadable.UNKNOWN_KEY

    def read(self, token: str) -> SignedChoice | None:
        """Verify a token's signature and return its content, or None. Neither age nor site is
        checked.

        Valid tokens are cached by their text. Invalid ones are not: forged tokens would evict the
        others.
        """
        if self.rejection(token):
            return None
        claims = self._claims(token)
        try:
            found = None if claims is None else SignedChoice(_preferences(claims), claims["iss"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        if found is not None:
            self._verified[token] = found
            if len(self._verified) > _REMEMBERED:
                self._verified.popitem(last=False)
        return found

    def _claims(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that `rejection` does not reject, if its signature is good."""
        try:
            kid = (_header(token) or {})["kid"]
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public[kid],
                algorithms=[_ALGORITHM],
                # The clock and the site are the caller's; the signature is checked here.
                options={
                    "require": ["exp", "iat", "iss"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                },
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
            return None  # RecursionError: JSON nested a thousand deep
        whole = isinstance(claims["iat"], int) and isinstance(claims["exp"], int)
        return claims if whole and isinstance(claims["iss"], str) else None

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


def _header(token: str) -> dict[str, Any] | None:
    """The header of a well-formed token, not verified."""
    text = token.partition(".")[0]
    try:
        found = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), "-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _key_ring(raw: Mapping[str, bytes], revoked: frozenset[str]) -> KeyRing:
    keys = {name: Ed25519PrivateKey.from_private_bytes(key) for name, key in raw.items()}
    return KeyRing(keys, revoked)


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
    """The preference cookie's name: its prefix makes browsers enforce its attributes."""
    if not secure:
        return "consent"
    return "__Secure-consent" if domain else "__Host-consent"


SAVED_FORM_COOKIE = "consent-kept"
"""Requests the script that restores form fields after a choice reloaded the page. It is set and
removed by our scripts, and has no other meaning.
"""


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


def load_once_vendors(
    cookie_header: str, keys: KeyRing, site: str, now: float, *, secure: bool
) -> frozenset[str]:
    """The vendor that the visitor requested for the next page only, if any."""
    name = load_once_cookie_name(secure=secure)
    if name not in cookie_header:
        return frozenset()
    token = value_in(cookie_header, name)
    vendor = keys.verify_load_once(token, site, now) if token else None
    return frozenset() if vendor is None else frozenset({vendor})
