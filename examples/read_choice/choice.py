"""Read a visitor's choice at the site's own server. Needs Python 3.9 and `cryptography`.

    keys = Keys("https://www.example.com/.consent/jwks.json")
    choice = read_choice(request.headers.get("Cookie", ""), keys, "www", "2026-01-01")
    if allows(choice, "advertising", "meta-pixel", gpc=request.headers.get("Sec-GPC") == "1"):
        ...  # send the event

`choice` is None where there is none in force: no cookie, a damaged or forged one, one of a key
that is unknown or revoked, of another site, of another policy version, or one that has ended. Then
nothing is allowed. A copy of this file is all that a server needs.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Choice = dict[str, Any]
CLOCK_SKEW = 300
MAX_LENGTH = 3500
SHAPE = re.compile(r"[A-Za-z0-9_-]{2,200}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{85}[AQgw]")


class Keys:
    """The proxy's public keys: fetched when first needed, again after `max_age` seconds, and at
    once for a key that is not known, at most every `again` seconds. While they cannot be fetched
    those known hold, for a day.
    """

    def __init__(self, url: str, max_age: float = 60, again: float = 10, timeout: float = 5):
        self._url, self._max_age, self._again, self._timeout = url, max_age, again, timeout
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._fetched = self._tried = float("-inf")

    def find(self, kid: str) -> Ed25519PublicKey | None:
        now = time.monotonic()
        old = now - self._fetched >= self._max_age
        if (old or kid not in self._keys) and now - self._tried >= min(self._again, self._max_age):
            self._tried = now
            try:
                self._keys = read_jwks(self._load())
                self._fetched = now
            except (OSError, ValueError):
                if now - self._fetched > 86_400:
                    self._keys = {}
        return self._keys.get(kid)

    def _load(self) -> bytes:
        if "://" not in self._url:
            return Path(self._url).read_bytes()
        with urllib.request.urlopen(self._url, timeout=self._timeout) as reply:
            return bytes(reply.read(1_000_000))


def read_jwks(text: bytes) -> dict[str, Ed25519PublicKey]:
    """The Ed25519 keys of a JWK Set by their id. Raises ValueError."""
    found = {}
    try:
        for key in json.loads(text)["keys"]:
            if key.get("kty") == "OKP" and key.get("crv") == "Ed25519":
                found[str(key["kid"])] = Ed25519PublicKey.from_public_bytes(_decoded(key["x"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a JWK Set") from error
    return found


def read_choice(
    cookie_header: str,
    keys: Keys,
    site: str,
    policy_version: str,
    name: str = "__Host-consent",
    now: float | None = None,
) -> Choice | None:
    """The choice in force, or None. `name` is "__Secure-consent" where the config has a
    cookie_domain, and "consent" without TLS.
    """
    pairs = (pair.partition("=") for pair in cookie_header.split(";"))
    tokens = {value.strip() for key, _, value in pairs if key.strip() == name}
    if len(tokens) != 1:
        return None  # of several none is certain
    token = tokens.pop()
    if len(token) > MAX_LENGTH or not SHAPE.fullmatch(token):
        return None
    try:
        signed, _, signature = token.rpartition(".")
        head, body = (json.loads(_decoded(part)) for part in signed.split("."))
        if head.get("alg") != "EdDSA" or "crit" in head or not isinstance(head["kid"], str):
            return None
        key = keys.find(head["kid"])
        if key is None:
            return None
        key.verify(_decoded(signature), signed.encode())
        return _choice(body, site, policy_version, time.time() if now is None else now)
    except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _choice(body: Any, site: str, policy_version: str, now: float) -> Choice | None:
    made_at, expires_at = body["iat"], body["exp"]
    if type(made_at) is not int or type(expires_at) is not int or "once" in body:
        return None
    if body["iss"] != site or body["pv"] != policy_version:
        return None
    if not made_at - CLOCK_SKEW <= now < expires_at:
        return None
    categories, vendors = body["c"], body.get("v", {})
    if not isinstance(categories, list) or not isinstance(vendors, dict):
        return None
    if not all(isinstance(one, str) for one in categories):
        return None
    return {
        "categories": sorted(categories),
        "vendors": {str(one): yes == 1 for one, yes in vendors.items()},
        "gpc": body.get("gpc") == 1,
        "receipt": str(body["rid"]),
    }


def allows(choice: Choice | None, category: str, vendor: str = "", gpc: bool = False) -> bool:
    """Whether a choice allows a vendor of a category. `gpc`: the request says `Sec-GPC: 1`."""
    if choice is None:
        return False
    if gpc and category in ("advertising", "social") and not choice["gpc"]:
        return False
    if vendor in choice["vendors"]:
        return bool(choice["vendors"][vendor])
    return category in choice["categories"]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def main(arguments: list[str]) -> None:
    """`choice.py JWKS SITE POLICY_VERSION [MAX_AGE]`: JSON lines in ({"cookie", "name", "now"}),
    each answered by the choice or null.
    """
    if not 3 <= len(arguments) <= 4:
        print("usage: python3 choice.py JWKS SITE POLICY_VERSION [MAX_AGE]", file=sys.stderr)
        sys.exit(2)
    jwks, site, version, *rest = arguments
    keys = Keys(jwks, max_age=float(rest[0]) if rest else 60)
    for line in sys.stdin:
        asked = json.loads(line)
        found = read_choice(
            asked["cookie"],
            keys,
            site,
            version,
            asked.get("name", "__Host-consent"),
            asked.get("now"),
        )
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
