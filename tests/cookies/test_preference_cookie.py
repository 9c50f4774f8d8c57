"""The signed preference cookie: what proves a choice, and what counts as none."""

from __future__ import annotations

import base64
import datetime
import errno
import hashlib
import hmac
import json
import multiprocessing
import pickle
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.categories import CHOOSABLE, Category
from consent_rules.preferences import ChoiceSource, Preferences
from proxy.cookies import preference_cookie as tokens
from proxy.cookies.preference_cookie import KeyFileError, KeyRing, cookie_name, set_cookie
from proxy.cookies.signing_keys import NoKeysError, first_keys, read_keys

NOW = 1_790_000_000
WHEN = datetime.datetime(2026, 9, 21, tzinfo=datetime.UTC)

OLD, NEW, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
RING = KeyRing({"1.pem": OLD})

CHOICE = Preferences(
    allowed=frozenset({Category.ANALYTICS}),
    policy_version="2",
    source=ChoiceSource.BANNER,
    vendors={"youtube": True, "hotjar": False},
    under_gpc=True,
    receipt_id="r1",
    made_at=NOW,
    expires_at=NOW + 1000,
)


def b64(data: bytes | str | Mapping[str, Any]) -> str:
    if not isinstance(data, (bytes, str)):
        data = json.dumps(data)
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def kid_of(ring: KeyRing) -> str:
    return str(ring.jwks()["keys"][-1]["kid"])


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def signed(claims: object, key: Ed25519PrivateKey = OLD, **header: object) -> str:
    head = b64({"alg": "EdDSA", "typ": "JWT", "kid": kid_of(RING), **header})
    body = b64(claims if isinstance(claims, (bytes, str)) else json.dumps(claims))
    return f"{head}.{body}.{b64(key.sign(f'{head}.{body}'.encode()))}"


GOOD = RING.sign(CHOICE, "www")


# --- Round trip

choices = st.builds(
    Preferences,
    allowed=st.frozensets(st.sampled_from(CHOOSABLE)),
    policy_version=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    source=st.sampled_from(ChoiceSource),
    vendors=st.dictionaries(st.text("abcxyz0-", max_size=20), st.booleans(), max_size=10),
    under_gpc=st.booleans(),
    receipt_id=st.text("abc_-", max_size=20),
    made_at=st.just(NOW),
    expires_at=st.just(NOW + 5),
)


@given(choices)
def test_what_is_signed_is_read(choice: Preferences) -> None:
    assert RING.verify(RING.sign(choice, "www"), "www", NOW) == choice


def test_claims_are_the_contracts() -> None:
    assert claims_of(GOOD) == {
        "iss": "www",
        "iat": NOW,
        "exp": NOW + 1000,
        "pv": "2",
        "c": ["analytics"],
        "v": {"hotjar": 0, "youtube": 1},
        "src": "banner",
        "rid": "r1",
        "gpc": 1,
    }
    assert jwt.get_unverified_header(GOOD) == {"alg": "EdDSA", "typ": "JWT", "kid": kid_of(RING)}


def test_a_choice_that_fits_no_cookie_is_refused() -> None:
    many = {f"vendor-number-{n}": True for n in range(200)}
    choice = Preferences(frozenset(), "2", vendors=many, made_at=NOW, expires_at=NOW + 5)
    with pytest.raises(ValueError, match="too many vendor exceptions"):
        RING.sign(choice, "www")


# --- What proves nothing


def hs256(key: bytes) -> str:
    head = b64({"alg": "HS256", "kid": kid_of(RING)})
    body = b64(claims_of(GOOD))
    signature = hmac.new(key, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{b64(signature)}"


PUBLIC = OLD.public_key()
RAW = PUBLIC.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
PEM = PUBLIC.public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
CLAIMS = claims_of(GOOD)
_HEAD, _BODY, _SIGNATURE = GOOD.split(".")
WIDER = b64({**CLAIMS, "c": ["advertising", "analytics"]})


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


FORGED = {
    "nothing": "",
    "no token": "x",
    "dots": "...",
    "two parts": f"{_HEAD}.{_BODY}",
    "no signature": f"{_HEAD}.{_BODY}.",
    "other claims": f"{_HEAD}.{WIDER}.{_SIGNATURE}",
    "other signature": f"{_HEAD}.{_BODY}.{b64(bytes(64))}",
    "another's key": signed(CLAIMS, STRANGER),
    "unknown kid": signed(CLAIMS, STRANGER, kid="unknown"),
    "kid of no text": signed(CLAIMS, kid=1),
    "kid null": signed(CLAIMS, kid=None),
    "alg none": f"{b64({'alg': 'none', 'kid': kid_of(RING)})}.{_BODY}.",
    "alg None, signed": signed(CLAIMS, alg="None"),
    "alg none, signed": signed(CLAIMS, alg="none"),
    "alg HS256": hs256(PEM),
    "alg HS256 over the raw key": hs256(RAW),
    "alg ES256": signed(CLAIMS, alg="ES256"),
    "alg missing": signed(CLAIMS, alg=None),
    "key in the header": signed(
        CLAIMS, STRANGER, jwk={"kty": "OKP", "crv": "Ed25519", "x": b64(RAW)}
    ),
    "unknown critical extension": signed(CLAIMS, crit=["x"], x=1),
    "detached body": signed(CLAIMS, b64=False, crit=["b64"]),
    "another site": RING.sign(CHOICE, "portal"),
    "no site": signed(without("iss")),
    "two sites": signed({**CLAIMS, "iss": ["www"]}),
    "no iat": signed(without("iat")),
    "no exp": signed(without("exp")),
    "no policy version": signed(without("pv")),
    "no categories": signed(without("c")),
    "no source": signed(without("src")),
    "no receipt": signed(without("rid")),
    "unknown source": signed({**CLAIMS, "src": "mail"}),
    "exp as text": signed({**CLAIMS, "exp": "never"}),
    "iat as a fraction": signed({**CLAIMS, "iat": 1.5}),
    "exp beyond all": signed(json.dumps(CLAIMS).replace(str(NOW + 1000), "1e999")),
    "categories in no list": signed({**CLAIMS, "c": 5}),
    "categories of lists": signed({**CLAIMS, "c": [["analytics"]]}),
    "vendors in a list": signed({**CLAIMS, "v": [1]}),
    "claims in a list": signed([1]),
    "claims a text": signed('"x"'),
    "claims no JSON": signed("{"),
    "claims no UTF-8": signed(b"\xff\xfe"),
    "deep header": f"{b64('[' * 2500)}.e30.e30",
    "deep header object": f"""{b64('{"a":' * 450 + "1" + "}" * 450)}.e30.e30""",
    "deep claims": signed("[" * 2000),
    "oversized": RING.sign(CHOICE, "www") + "A" * 4000,
    "padding": GOOD + "=",
    "a blank before": " " + GOOD,
    "beyond ASCII": "é" + GOOD,
    "a lone surrogate": "\udcff" + GOOD,
    "a null": "\0" + GOOD,
}


@pytest.mark.parametrize("token", FORGED.values(), ids=list(FORGED))
def test_forged(token: str) -> None:
    ring = KeyRing({"1.pem": OLD})
    assert ring.verify(token, "www", NOW) is None
    assert ring.verify_load_once(token, "www", NOW) is None


def test_the_good_one_is_good() -> None:
    """Else the table above would prove nothing."""
    assert RING.verify(GOOD, "www", NOW) == CHOICE
    assert RING.verify(signed(CLAIMS), "www", NOW) == CHOICE


@given(st.binary(max_size=200))
def test_garbage_never_raises(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    ring = KeyRing({"1.pem": OLD})
    assert ring.verify(text, "www", NOW) is None
    assert ring.verify(f"{_HEAD}.{text}.{_SIGNATURE}", "www", NOW) is None
    assert ring.verify(signed(data), "www", NOW) is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6),
       st.sampled_from(sorted(CLAIMS)))  # fmt: skip
def test_signed_nonsense_never_raises(value: object, name: str) -> None:
    try:
        token = signed({**CLAIMS, name: value})
    except UnicodeEncodeError:
        return
    found = RING.verify(token, "www", NOW)
    assert found is None or isinstance(found, Preferences)


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("AQgw_-x"))
def test_one_changed_character(at: int, other: str) -> None:
    changed = GOOD[:at] + other + GOOD[at + 1 :]
    found = KeyRing({"1.pem": OLD}).verify(changed, "www", NOW)
    assert found is None or changed == GOOD


def test_an_unknown_category_is_left_out() -> None:
    token = signed({**CLAIMS, "c": ["analytics", "mind_reading"]})
    found = RING.verify(token, "www", NOW)
    assert found is not None
    assert found.allowed == {Category.ANALYTICS}


# --- Time


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (NOW, True),
        (NOW + 999.9, True),
        (NOW + 1000, False),
        (NOW + 10**6, False),
        (NOW - 299, True),  # clocks of two nodes differ
        (NOW - 301, False),
    ],
)
def test_age(now: float, holds: bool) -> None:
    ring = KeyRing({"1.pem": OLD})
    for _ in range(2):  # the second answer comes from memory
        assert (ring.verify(GOOD, "www", now) is not None) is holds


# --- Keys


def test_rotation() -> None:
    both = KeyRing({"2026.pem": OLD, "2027.pem": NEW})
    assert both.verify(GOOD, "www", NOW) == CHOICE
    fresh = both.sign(CHOICE, "www")
    assert RING.verify(fresh, "www", NOW) is None
    assert KeyRing({"2027.pem": NEW}).verify(fresh, "www", NOW) == CHOICE
    assert KeyRing({"2027.pem": NEW}).verify(GOOD, "www", NOW) is None


def test_others_can_read_the_cookie_by_the_jwks() -> None:
    ring = KeyRing({"1.pem": OLD, "2.pem": NEW})
    jwks = jwt.PyJWKSet.from_dict(ring.jwks())
    for token in (GOOD, ring.sign(CHOICE, "www")):
        key = jwks[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(
            token, key, algorithms=["EdDSA"], issuer="www", options={"verify_exp": False,
            "verify_iat": False},
        )  # fmt: skip
        assert claims["pv"] == "2"
    public = {"kty", "crv", "use", "alg", "kid", "x"}
    assert all(set(key) == public for key in ring.jwks()["keys"])


def test_key_id_is_the_thumbprint_of_rfc_7638() -> None:
    whole = base64.urlsafe_b64encode(
        hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{b64(RAW)}"}}'.encode()).digest()
    ).decode()
    assert kid_of(RING) == whole[:16]


# --- Memory


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was checked."""
    seen: list[str] = []
    plain = KeyRing._claims

    def counted(self: KeyRing, token: str) -> dict[str, Any] | None:
        seen.append(token)
        return plain(self, token)

    monkeypatch.setattr(KeyRing, "_claims", counted)
    return seen


def test_a_good_signature_is_checked_once(checks: list[str]) -> None:
    ring = KeyRing({"1.pem": OLD})
    for _ in range(3):
        assert ring.verify(GOOD, "www", NOW) == CHOICE
    assert ring.verify(GOOD, "portal", NOW) is None
    assert ring.verify(GOOD, "www", NOW + 5000) is None
    assert checks == [GOOD]


def test_made_up_tokens_do_not_push_real_ones_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_REMEMBERED", 3)
    ring = KeyRing({"1.pem": OLD})
    ring.verify(GOOD, "www", NOW)
    for n in range(20):
        ring.verify(f"{_HEAD}.{b64(str(n))}.{_SIGNATURE}", "www", NOW)
    assert list(ring._verified) == [GOOD]


def test_the_least_used_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_REMEMBERED", 2)
    ring = KeyRing({"1.pem": OLD})
    a, b, c = (
        ring.sign(Preferences(frozenset(), str(n), made_at=NOW, expires_at=NOW + 9), "www")
        for n in range(3)
    )
    for token in (a, b, a, c):
        assert ring.verify(token, "www", NOW) is not None
    assert list(ring._verified) == [a, c]


# --- Load once


def test_once() -> None:
    token = RING.sign_load_once("youtube", "www", NOW)
    assert RING.verify_load_once(token, "www", NOW) == "youtube"
    assert RING.verify_load_once(token, "www", NOW + tokens.LOAD_ONCE_SECONDS) is None
    assert RING.verify_load_once(token, "portal", NOW) is None
    # Neither cookie is taken for the other.
    assert RING.verify(token, "www", NOW) is None
    assert RING.verify_load_once(GOOD, "www", NOW) is None


# --- Key files


def test_the_first_key_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    with pytest.raises(NoKeysError):
        read_keys(folder)
    assert not folder.exists()
    ring = first_keys(folder, WHEN)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert file.name == f"20260921T000000Z-{kid_of(ring)}.pem"
    again = read_keys(folder)
    assert list(folder.iterdir()) == [file]
    assert again.verify(ring.sign(CHOICE, "www"), "www", NOW) == CHOICE


def _load(folder: Path, start: float) -> list[str]:
    time.sleep(max(0.0, start - time.time()))
    return [str(key["kid"]) for key in first_keys(folder, WHEN).jwks()["keys"]]


def test_workers_that_start_together_make_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        start = time.time() + 0.3
        kids = pool.starmap(_load, [(tmp_path / "keys", start)] * 4)
    assert len({tuple(found) for found in kids}) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 1


def _pem(key: Any, password: bytes | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return pem


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an unencrypted PEM private key"),
        (b"garbage \xff", "not an unencrypted PEM private key"),
        (PEM, "not an unencrypted PEM private key"),
        (_pem(OLD, b"secret"), "not an unencrypted PEM private key"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 key"),
        (_pem(rsa.generate_private_key(65537, 2048)), "not an Ed25519 key"),
    ],
    ids=["empty", "garbage", "public", "encrypted", "P-256", "RSA"],
)
def test_wrong_key_files(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "1.pem"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(KeyFileError, match=message) as caught:
        read_keys(tmp_path)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_may_read(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "1.pem"
    file.write_bytes(_pem(OLD))
    file.chmod(mode)
    with pytest.raises(KeyFileError, match=f"chmod 600 {file}"):
        read_keys(tmp_path)


def test_a_folder_where_a_key_should_be(tmp_path: Path) -> None:
    (tmp_path / "1.pem").mkdir(mode=0o700)
    with pytest.raises(KeyFileError, match=r"1\.pem: cannot be read"):
        read_keys(tmp_path)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(KeyFileError, match="not a folder"):
        first_keys(tmp_path / "keys", WHEN)


def test_a_folder_is_made_below_one_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"no key can be made here .*; create the folder"):
        first_keys(tmp_path / "etc" / "keys", WHEN)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_cannot_be_written_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(KeyFileError, match="No space left"):
        first_keys(tmp_path / "keys", WHEN)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    with pytest.raises(KeyFileError, match="No space left"):
        first_keys(tmp_path / "there", WHEN)
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


def test_a_pickled_ring_signs_and_reads_the_same() -> None:
    both = KeyRing({"2026.pem": OLD, "2027.pem": NEW})
    again = pickle.loads(pickle.dumps(both))
    assert again.jwks() == both.jwks()
    assert again.sign(CHOICE, "www") == both.sign(CHOICE, "www")
    revoked = both.without([both.signing_id(NOW)])
    again = pickle.loads(pickle.dumps(revoked))
    assert (again.revoked, again.jwks()) == (revoked.revoked, revoked.jwks())


def test_where_all_are_revoked_nothing_that_is_signed_opens() -> None:
    ring = RING.without(RING.ids.values())
    token = ring.sign(CHOICE, "www")
    assert RING.verify(token, "www", NOW) == CHOICE
    assert ring.verify(token, "www", NOW) is None
    assert (ring.usable, ring.jwks()) == (False, {"keys": []})


# --- The cookie


@pytest.mark.parametrize(
    ("domain", "secure", "cookie"),
    [
        ("", True, "__Host-consent=t; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"),
        ("", False, "consent=t; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"),
        (
            "example.com",
            True,
            "__Secure-consent=t; Path=/; Max-Age=60; Domain=example.com; HttpOnly; SameSite=Lax; "
            "Secure",
        ),
    ],
)
def test_cookie(domain: str, secure: bool, cookie: str) -> None:
    assert set_cookie("t", domain, 60, secure=secure) == cookie
    assert cookie.startswith(cookie_name(domain, secure=secure) + "=")
