"""Every entry of the catalogue is well-formed, and no pattern stands in two of them."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from consent_rules.catalogue.load import catalogue, vendor_from_table
from consent_rules.categories import Category
from consent_rules.vendors import BaaOffer, Vendor

CATALOGUE = Path(__file__).parents[3] / "consent_rules" / "catalogue"
EMBEDS = {"", "video", "map", "social", "form", "audio", "calendar", "chat", "captcha", "other"}

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)+{_LABEL}(?::\d+)?")
_PATH = re.compile(rf"(?:{_HOST.pattern})?/[^\s?#]*")
_COOKIE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/:-]+")  # RFC 6265 token, and what vendors also use
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NAME = re.compile(r"[A-Za-z_$][\w$]*")

# gtag.js serves three products; whose a script is shows in the id it configures.
SHARED_LOADER = ("gtag('config'", 'gtag("config"', "gtag( 'config'")


def _tables() -> list[tuple[str, Mapping[str, Any]]]:
    return [
        (file.name, table)
        for file in sorted(CATALOGUE.glob("*.toml"))
        for table in tomllib.loads(file.read_text(encoding="utf-8"))["vendor"]
    ]


TABLES = _tables()
VENDORS = [vendor_from_table(table) for _, table in TABLES]
IDS = [v.id for v in VENDORS]


def test_there_are_enough_vendors_for_real_sites() -> None:
    assert len(VENDORS) >= 120


def test_most_vendors_say_where_their_privacy_policy_is() -> None:
    """A floor: an address is left out, not guessed, where it is not known."""
    assert sum(bool(v.policy_url) for v in VENDORS) >= 640


def test_every_category_has_vendors() -> None:
    assert {v.category for v in VENDORS} == set(Category)


def test_what_the_sites_own_host_serves_for_function_or_security_is_the_site() -> None:
    """Only measurement and advertising are a vendor's there; a CDN's scripts are the site's."""
    own = {v.id: v.category for v in VENDORS if any(path.startswith("/") for path in v.paths)}
    measuring = {Category.ANALYTICS, Category.SESSION_REPLAY, Category.ADVERTISING}
    assert {vendor for vendor, category in own.items() if category not in measuring} == set()


def test_ids_are_unique() -> None:
    assert sorted(IDS) == sorted(set(IDS))


@pytest.mark.parametrize("vendor", VENDORS, ids=IDS)
def test_entry_is_well_formed(vendor: Vendor) -> None:
    assert _ID.fullmatch(vendor.id)
    assert vendor.name == vendor.name.strip() != ""
    assert vendor.company
    assert vendor.embed in EMBEDS
    assert vendor.hosts or vendor.paths or vendor.inline or vendor.cookies
    for host in vendor.hosts:
        assert _HOST.fullmatch(host), host
        assert host == host.encode("idna").decode("ascii"), host
    for path in vendor.paths:
        assert _PATH.fullmatch(path), path
        assert path.strip("/*"), f"{path} would claim a whole site"
    for signature in vendor.inline:
        assert len(signature) >= 6, signature
        assert signature == signature.strip(), signature
    for cookie in vendor.cookies:
        assert _COOKIE.fullmatch(cookie), cookie
        assert len(cookie.strip("*_.-")) >= 2, f"{cookie} would take a site's own cookies"
    for name in vendor.globals:
        assert _NAME.fullmatch(name), name
    if vendor.policy_url:
        parts = urlsplit(vendor.policy_url)
        assert parts.scheme == "https"
        assert parts.hostname


@pytest.mark.parametrize("vendor", VENDORS, ids=IDS)
def test_no_pattern_is_covered_by_a_wider_one_of_its_own(vendor: Vendor) -> None:
    wildcards = [h[1:] for h in vendor.hosts if h.startswith("*.")]
    for host in vendor.hosts:
        assert not [w for w in wildcards if f"*{w}" != host and f".{host}".endswith(w)], host


@pytest.mark.parametrize(
    "patterns",
    [
        pytest.param(lambda v: v.hosts, id="hosts"),
        pytest.param(lambda v: v.paths, id="paths"),
        pytest.param(lambda v: v.inline, id="inline"),
        pytest.param(lambda v: v.cookies, id="cookies"),
    ],
)
def test_no_two_vendors_claim_the_same(patterns: Callable[[Vendor], tuple[str, ...]]) -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for vendor in VENDORS:
        for pattern in patterns(vendor):
            owners[pattern].append(vendor.id)
    assert {p: ids for p, ids in owners.items() if len(ids) > 1} == {}


def test_no_signature_lies_within_another_vendors() -> None:
    """Else the longer one would always name both vendors."""
    signatures = [(s, v.id) for v in VENDORS for s in v.inline if s not in SHARED_LOADER]
    text = "\n".join(s for s, _ in signatures)
    clashes = [
        (inner, owner, outer, other)
        for inner, owner in signatures
        if text.count(inner) > 1
        for outer, other in signatures
        if other != owner and inner in outer
    ]
    assert clashes == []


def test_tag_managers_serve_their_own_category() -> None:
    managers = [v for v in VENDORS if v.is_tag_manager]
    assert {"google-tag-manager", "tealium", "adobe-launch", "ensighten"} <= {
        v.id for v in managers
    }
    assert [v.id for v in managers if v.category not in v.serves] == []


def test_vendors_that_collect_are_no_tag_managers() -> None:
    """A tag manager opens with any category it serves; a collector must not."""
    by_id = dict(zip(IDS, VENDORS, strict=True))
    for vendor_id in ("segment", "rudderstack", "tealium-collect", "cloudflare-zaraz"):
        assert not by_id[vendor_id].is_tag_manager


def test_session_replay_vendors_stand_in_their_file() -> None:
    elsewhere = [
        table["id"]
        for file, table in TABLES
        if (table["category"] == Category.SESSION_REPLAY) != (file == "session_replay.toml")
    ]
    assert elsewhere == []


@pytest.mark.parametrize("vendor", VENDORS, ids=IDS)
def test_what_is_said_of_patients_data_and_recording(vendor: Vendor) -> None:
    if vendor.category is Category.SESSION_REPLAY:
        assert vendor.records_sessions
    # An offer is a legal matter: whoever notes one says where the vendor does.
    assert (vendor.baa is not BaaOffer.UNKNOWN) == bool(vendor.baa_source)
    assert not vendor.baa_source or vendor.baa_source.startswith("https://")


def test_every_field_of_a_vendor_is_in_use() -> None:
    used = {key for _, table in TABLES for key in table}
    # Details of cookies lie beside the catalogue, in a file each.
    assert used == set(Vendor.__dataclass_fields__) - {"cookie_details"}


def test_necessary_vendors_stand_in_their_file() -> None:
    """So that a reviewer finds all that no visitor can refuse in one place."""
    elsewhere = [
        table["id"]
        for file, table in TABLES
        if table["category"] == Category.NECESSARY and file != "necessary.toml"
    ]
    assert elsewhere == []


@pytest.mark.parametrize(
    "own",
    [
        "session",
        "sessionid",
        "PHPSESSID",
        "JSESSIONID",
        "csrftoken",
        "XSRF-TOKEN",
        "uid",
        "user_id",
        "guest_id",
        "cart",
        "lang",
        "certificate",
        "__cf_bm",
        "AWSALB",
        "__Host-consent",
        "__Secure-consent",
        "consent",
        "wordpress_logged_in_abc",
        "wp-settings-1",
    ],
)
def test_no_cookie_pattern_takes_a_sites_own_cookie(own: str) -> None:
    globs = set(chain.from_iterable(v.cookies for v in VENDORS))
    hits = [g for g in globs if re.fullmatch(".*".join(map(re.escape, g.split("*"))), own)]
    assert hits == []


@pytest.mark.parametrize("file", sorted(CATALOGUE.glob("*.toml")), ids=lambda f: f.stem)
def test_file_says_where_its_facts_come_from(file: Path) -> None:
    head = file.read_text(encoding="utf-8").split("[[vendor]]")[0]
    assert "third-party-web" in head
    assert "Open Cookie Database" in head


def test_recaptcha_asks() -> None:
    """CNIL, SAN-2023-003 (Cityscoot): consent is needed, also where it guards sign-in."""
    assert catalogue()["recaptcha"].category is Category.FUNCTIONAL


def test_the_measure_of_necessary_is_written_down() -> None:
    text = (CATALOGUE / "necessary.toml").read_text("utf-8")
    head = text.partition("[[vendor]]")[0]
    for source in ("5(3)", "WP 194", "2020-091", "SAN-2023-003"):
        assert source in head
