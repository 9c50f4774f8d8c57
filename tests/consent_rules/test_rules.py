"""For whom a page is, which site and which regime: from the words of a config."""

from __future__ import annotations

import datetime

import pytest

from consent_rules.categories import Audience, Regime
from consent_rules.config.build_rules import build_rules
from consent_rules.config.load import load_config
from consent_rules.rules import Rules, SiteRules, has_patient_mark
from consent_rules.vendors import Vendor
from tests.support.example_rules import TODAY, VENDORS, site

PATIENT, MARKETING = Audience.PATIENT, Audience.MARKETING

CONFIG = """
[policy]
controller = "Example"
version = "2"
url = "/privacy"
regime = "opt_in"
[[policy.region]]
regions = ["US"]
regime = "opt_out"
[[policy.region]]
regions = ["US-CA"]
regime = "opt_in"
[policy.region_from]
country_header = "CF-IPCountry"

[[site]]
name = "www"
hosts = ["www.example.com", "*.shop.example.com"]
upstream = "http://127.0.0.1:9000"
first_party = ["cdn.example.net"]
audience = "marketing"
[[site.page]]
path = "/Patients/*"
audience = "patient"
[[site.page]]
when_cookie = "session"
audience = "patient"

[[site]]
name = "portal"
hosts = ["portal.example.com"]
upstream = "http://127.0.0.1:9001"
audience = "patient"

[[tag]]
vendor = "analytics"
sites = ["www"]
pages = ["/blog/*"]
approved_by = "a@example.com"
approved_on = 2026-01-01
expires = 2027-01-01
"""


@pytest.fixture(scope="module")
def built() -> Rules:
    catalogue: dict[str, Vendor] = dict(VENDORS)
    loaded = load_config(CONFIG, "c.toml", today=TODAY, catalogue=catalogue)
    return build_rules(loaded.config, catalogue)


def www(built: Rules) -> SiteRules:
    return built.sites[0]


# --- Paths

READ_AS_PATIENT = [
    "/patients",
    "/patients/",
    "/patients/pay",
    "/patients/pay?x=/blog",
    "/Patients/pay",
    "/PATIENTS/PAY",
    "/%70atients/pay",
    "/%70%61tients/pay",
    "/%50ATIENTS/pay",
    "/%2570atients/pay",
    "/%25%37%30atients",
    "//patients/pay",
    "///patients//pay",
    "/x/../patients/pay",
    "/x/%2e%2e/patients/pay",
    "/x/%2E./patients/pay",
    "/./patients/pay",
    "/patients;x=1/pay",
    "/patients;jsessionid=1",
    "/patients%3Bx=1/pay",
    "/;x/patients/pay",
    "/x;y=1/../patients/pay",
    "/..;/patients/pay",
    "\\patients\\pay",
    "/\\patients/pay",
    "/x\\..\\patients/pay",
    "/%5Cpatients%5Cpay",
    "/patients/../patients/pay",
]
READ_AS_MARKETING = [
    "/",
    "/patient",
    "/patientspay",
    "/our-patients/pay",
    "/blog/patients",
    "/blog?next=/patients/pay",
    "/blog;v=/patients",
]


@pytest.mark.parametrize("path", READ_AS_PATIENT)
def test_paths_that_some_server_reads_as_a_patient_page(built: Rules, path: str) -> None:
    assert www(built).audience_of(path, ()) is PATIENT


@pytest.mark.parametrize("path", READ_AS_MARKETING)
def test_other_paths(built: Rules, path: str) -> None:
    assert www(built).audience_of(path, ()) is MARKETING


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("/pay", "/pay/"),
        ("/pay/", "/pay"),
        ("/pay", "/pay;s=1"),
        ("/pay", "/pay;s=1/"),
        ("/pay", "/x/../pay"),
        ("/a/b", "/a;p=1/b"),
        ("/a/b", "/a;p=1/b;q=2"),
        ("/años/*", "/a%C3%B1os/1"),
        ("/años/*", "/A%C3%91OS/1"),
        ("*.pdf", "/files/form.PDF"),
    ],
)
def test_rules_without_a_star(rule: str, path: str) -> None:
    assert site(patient_paths=[rule]).audience_of(path, ()) is PATIENT


# --- The stricter source wins


@pytest.mark.parametrize(
    ("marks", "audience"),
    [
        ((), MARKETING),
        (("patient",), PATIENT),
        ((" Patient ",), PATIENT),
        (("marketing", "patient"), PATIENT),
        (("marketing, patient",), PATIENT),
        (("patient,",), PATIENT),
        (("marketing",), MARKETING),
        (("patients",), MARKETING),
        (("",), MARKETING),
    ],
)
def test_marks_of_the_origin(built: Rules, marks: tuple[str, ...], audience: Audience) -> None:
    assert www(built).audience_of("/", (), marks) is audience
    assert has_patient_mark(marks) is (audience is PATIENT)


def test_a_mark_never_loosens(built: Rules) -> None:
    assert www(built).audience_of("/patients/pay", (), ["marketing"]) is PATIENT
    assert built.sites[1].audience_of("/", (), ["marketing"]) is PATIENT


def test_cookies(built: Rules) -> None:
    assert www(built).audience_of("/", ["a", "session"]) is PATIENT
    assert www(built).audience_of("/", ["a", "Session"]) is MARKETING
    assert site(patient_cookies=["s"]).audience_of("/", []) is MARKETING


def test_has_patient_pages(built: Rules) -> None:
    assert www(built).has_patient_pages
    assert built.sites[1].has_patient_pages
    assert not site().has_patient_pages


# --- Sites, regimes, tags


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("www.example.com", "www"),
        ("shop.example.com", "www"),
        ("a.b.shop.example.com", "www"),
        ("portal.example.com", "portal"),
        ("example.com", None),
        ("cdn.example.net", None),
        ("xwww.example.com", None),
    ],
)
def test_site_of(built: Rules, host: str, name: str | None) -> None:
    found = built.site_of(host, None)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("region", "regime"),
    [
        ("", Regime.OPT_IN),
        ("US", Regime.OPT_OUT),
        ("us", Regime.OPT_OUT),
        ("US-NY", Regime.OPT_OUT),
        ("US-CA", Regime.OPT_IN),
        ("us-ca", Regime.OPT_IN),
        ("DE", Regime.OPT_IN),
        ("USA", Regime.OPT_IN),
        ("XX", Regime.OPT_IN),
    ],
)
def test_regime_of(built: Rules, region: str, regime: Regime) -> None:
    assert built.terms_of(region).regime is regime


@pytest.mark.parametrize(
    ("path", "tagged"),
    [
        ("/blog", True),
        ("/blog/post?x=1", True),
        ("/blog//post", True),
        ("/blog/caf%C3%A9", True),
        ("/blog/post;jsessionid=1", True),
        ("/(S(x))/blog/post", True),
        ("/blog/what%3F", True),
        ("/blog/100%25-free", True),
        ("/blog/a%2Fb", True),
        # A server that takes the first segment for an authority shows `/post`.
        ("//blog/post", False),
        ("/blog/../pricing", False),
        ("/blog/..;/pricing", False),
        ("/blog/..%2fpricing", False),
        ("/blog/%252e%252e/pricing", False),
        ("/blog%2f..%5cpricing", False),
        ("/pricing%3fx/../blog/", False),
        ("/index.php/blog/post", False),
        ("/blog/%61" + "%61" * 1000, False),
        ("/pricing?x=/blog/", False),
        ("/Blog/post", False),
    ],
)
def test_tags_name_paths(built: Rules, path: str, tagged: bool) -> None:
    context = built.page(www(built), path, MARKETING, TODAY)
    assert [t.vendor for t in context.tags] == (["analytics"] if tagged else [])


def test_the_last_day_of_a_tag(built: Rules) -> None:
    (tag,) = www(built).tags
    assert (tag.approved_on, tag.expires) == (
        datetime.date(2026, 1, 1),
        datetime.date(2027, 1, 1),
    )
