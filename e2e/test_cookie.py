"""A preference cookie that we did not sign, or that is past its day, is no choice at all."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from playwright.sync_api import Browser

from e2e.site import RunningDemo
from e2e.visitor import PREFERENCE_COOKIE, Visitor, until

Claims = dict[str, Any]


def text_of(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def signing_key(demo: RunningDemo) -> Ed25519PrivateKey:
    """The key that the proxy made on its first run."""
    for file in sorted(Path(demo.state, "keys").iterdir()):
        if file.is_file() and b"PRIVATE KEY" in file.read_bytes():
            key = load_pem_private_key(file.read_bytes(), password=None)
            assert isinstance(key, Ed25519PrivateKey)
            return key
    raise AssertionError("the proxy made no key")


class Maker:
    """Makes cookies out of one that the proxy signed for somebody who accepted everything."""

    def __init__(self, demo: RunningDemo, genuine: str) -> None:
        self.genuine = genuine
        self.header = jwt.get_unverified_header(genuine)
        self.claims: Claims = jwt.decode(genuine, options={"verify_signature": False})
        self.key = signing_key(demo)

    def signed(
        self, key: Any = None, algorithm: str = "EdDSA", kid: str = "", **claims: Any
    ) -> str:
        header = {**self.header, "kid": kid or self.header["kid"]}
        del header["alg"]
        payload = {k: v for k, v in (self.claims | claims).items() if v is not None}
        return jwt.encode(payload, key or self.key, algorithm, headers=header)

    def renewed(self) -> str:
        return self.signed(rid="another")

    def forged_by_another_key(self) -> str:
        return self.signed(Ed25519PrivateKey.generate())

    def with_an_unknown_key(self) -> str:
        return self.signed(Ed25519PrivateKey.generate(), kid="retired-long-ago")

    def with_a_key_path(self) -> str:
        return self.signed(kid="../keys/" + self.header["kid"])

    def unsigned(self) -> str:
        return f"{text_of({**self.header, 'alg': 'none'})}.{text_of(self.claims)}."

    def signed_with_the_public_key_as_a_secret(self) -> str:
        # What everybody can read in jwks.json must not serve as an HMAC secret.
        secret = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return self.signed(secret, "HS256")

    def tampered(self) -> str:
        header, _, signature = self.genuine.split(".")
        return f"{header}.{text_of(self.claims | {'rid': 'tampered'})}.{signature}"

    def expired(self) -> str:
        now = int(time.time())
        return self.signed(iat=now - 7200, exp=now - 3600)

    def without_an_end(self) -> str:
        return self.signed(exp=None)

    def from_another_site(self) -> str:
        return self.signed(iss="another-site")

    def from_the_future(self) -> str:
        now = int(time.time())
        return self.signed(iat=now + 86_400, exp=now + 172_800)

    def nonsense(self) -> str:
        return "eyJhbGciOiJFZERTQSJ9.e30.AAAA"

    def truncated(self) -> str:
        return self.genuine[:-4]


BAD: tuple[Callable[[Maker], str], ...] = (
    Maker.forged_by_another_key,
    Maker.with_an_unknown_key,
    Maker.with_a_key_path,
    Maker.unsigned,
    Maker.signed_with_the_public_key_as_a_secret,
    Maker.tampered,
    Maker.expired,
    Maker.without_an_end,
    Maker.from_another_site,
    Maker.from_the_future,
    Maker.nonsense,
    Maker.truncated,
)


@pytest.fixture(scope="module")
def maker(demo_site: RunningDemo, browser: Browser) -> Maker:
    someone = Visitor(demo_site, browser.new_context())
    someone.open("/")
    someone.accept_all()
    genuine = someone.cookies()[PREFERENCE_COOKIE]
    someone.context.close()
    return Maker(demo_site, genuine)


def carrying(visitor: Visitor, cookie: str) -> Visitor:
    visitor.context.add_cookies(
        [{"name": PREFERENCE_COOKIE, "value": cookie, "url": visitor.demo.url("/")}]
    )
    return visitor


def test_cookie_signed_by_the_proxys_key_is_a_choice(maker: Maker, visitor: Visitor) -> None:
    # Shows that the cookies below fail for the fault in them, not for how they are made.
    carrying(visitor, maker.renewed()).open("/")
    until(lambda: "meta-pixel" in visitor.fired(), "a good cookie opens the gates")
    assert not visitor.accept_button.is_visible()


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_bad_cookie_is_no_choice(
    maker: Maker, visitor: Visitor, make: Callable[[Maker], str]
) -> None:
    response = carrying(visitor, make(maker)).open("/")
    assert response.status == 200
    assert visitor.fired() == set()
    assert visitor.hosts_asked() == set()
    assert visitor.accept_button.is_visible()


def test_cookie_is_out_of_reach_of_scripts(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.accept_all()
    cookie = next(
        c for c in visitor.context.cookies(visitor.demo.url("/")) if c["name"] == PREFERENCE_COOKIE
    )
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert cookie["path"] == "/"
    assert PREFERENCE_COOKIE + "=" not in visitor.page.evaluate("document.cookie")
    days = (cookie["expires"] - time.time()) / 86_400
    assert 179 < days <= 180


def test_cookie_holds_nothing_of_the_visitor(maker: Maker) -> None:
    assert set(maker.claims) <= {"iss", "iat", "exp", "pv", "c", "v", "src", "rid", "gpc"}
    assert maker.header["alg"] == "EdDSA"
